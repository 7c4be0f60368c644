"""Several readers of one image: whose word counts, and what they say together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ptx_node.domain.finding import Laterality
from ptx_node.domain.reading import Consensus, Given, Level, Reading, Subject, TruthKind, consensus, counting
from ptx_node.domain.truth import LabelValue

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)
P, N, U = LabelValue.POSITIVE, LabelValue.NEGATIVE, LabelValue.UNCERTAIN


def said(reader: str, label: LabelValue, *, hours: float = 0, level: Level = Level.IMAGE, **changes: Any) -> Given:
    return Given(reader, level, label, (MORNING + timedelta(hours=hours), 1), **changes)


@pytest.mark.parametrize(
    ("labels", "together", "agreeing"),
    [
        ([P], P, 1),
        ([P, P, N], P, 2),
        ([N, N, P], N, 2),
        ([P, N], U, 0),
        ([P, U], U, 1),
        ([P, U, U], U, 2),
        ([P, P, U], P, 2),
        ([P, P, N, N, U], U, 1),
        ([N, LabelValue.RESOLVED, LabelValue.NOT_MENTIONED, P], N, 3),
        ([P, LabelValue.NOT_COVERED], P, 1),
    ],
)
def test_the_most_votes_decide_and_a_tie_decides_nothing(labels: list[LabelValue], together: LabelValue, agreeing: int) -> None:
    found = consensus(said(f"reader {number}", label) for number, label in enumerate(labels))
    assert found is not None
    assert (together, agreeing) == (found.label, found.agreeing)
    assert len([one for one in labels if one is not LabelValue.NOT_COVERED]) == found.readers


def test_nobody_who_saw_it_makes_no_truth() -> None:
    assert consensus([]) is None
    assert consensus([said("a", LabelValue.NOT_COVERED)]) is None


def test_of_each_reader_the_nearest_to_the_image_counts_then_the_newest() -> None:
    study, image = said("a", N, hours=9, level=Level.STUDY), said("a", P, hours=1)
    late, other = said("a", U, hours=2), said("b", N)
    assert [image, other] == counting([other, study, image])
    assert [late, other] == counting([late, image, other])
    assert [late] == counting([image, late])


def test_sides_sizes_and_figures_are_those_of_who_agree() -> None:
    found = consensus(
        [
            said("a", P, laterality="left", size="small", confidence=0.9, area_mm2=100.0, dice=0.5),
            said("b", P, laterality="left", size="small", confidence=0.7, area_mm2=200.0, dice=0.7),
            said("c", P, laterality="right", area_mm2=600.0),
            said("d", N, confidence=0.1, area_mm2=0.0, dice=0.0),
        ]
    )
    assert Consensus(P, 4, 3, "left", "small", pytest.approx(0.8), pytest.approx(300.0), pytest.approx(0.6)) == found
    unclear = consensus([said("a", P, laterality="left", size="small"), said("b", P, laterality="right", size="large")])
    assert unclear is not None
    assert (None, "") == (unclear.laterality, unclear.size)


def test_a_reading_is_known_by_all_that_it_says() -> None:
    one = Reading(TruthKind.READER, "a", Subject(Level.IMAGE, "1.2"), P, Laterality.LEFT, "small", 0.5, MORNING)
    others = [
        Reading(TruthKind.READER, "b", Subject(Level.IMAGE, "1.2"), P, Laterality.LEFT, "small", 0.5, MORNING),
        Reading(TruthKind.READER, "a", Subject(Level.STUDY, "1.2"), P, Laterality.LEFT, "small", 0.5, MORNING),
        Reading(TruthKind.READER, "a", Subject(Level.IMAGE, "1.2"), N, None, "small", 0.5, MORNING),
        Reading(TruthKind.READER, "a", Subject(Level.IMAGE, "1.2"), P, Laterality.LEFT, "small", 0.5, None),
    ]
    assert 5 == len({one.content_sha256, *(other.content_sha256 for other in others)})
    assert one.content_sha256 == Reading(*(getattr(one, name) for name in one.__slots__)).content_sha256
