"""The two tests of the watch over drift: against known answers, with few cases, with ties, and how often they cry for nothing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ptx_node.db.observed import Observed
from ptx_node.validation.drift import OTHER, Limits, compare_numbers, compare_values, lasting
from ptx_node.validation.drift_watch import FIGURES, compare

ANY = Limits(minimum=1, p_value=0.05, effect=0.0)


def test_numbers_are_compared_as_kolmogorov_and_smirnov_do() -> None:
    """The largest distance is counted by hand here, its p-value the tail of Kolmogorov's distribution."""
    rng = np.random.default_rng(5)
    one, other = rng.beta(2, 8, 400), rng.beta(2.6, 8, 300)
    found = compare_numbers(one.tolist(), other.tolist(), ANY)
    places = np.concatenate([one, other])
    distance = max(abs(float((one <= at).mean() - (other <= at).mean())) for at in places)
    assert found.statistic == pytest.approx(distance)
    assert found.effect == found.statistic
    assert found.p_value == pytest.approx(stats.kstwo.sf(distance, round(400 * 300 / 700)), rel=0.05)
    assert found.method == "ks"
    assert sum(found.reference) == pytest.approx(1)
    assert sum(found.window) == pytest.approx(1)
    assert len(found.places) == len(found.window) + 1


def test_values_are_compared_as_pearson_did() -> None:
    """A table from a textbook's arithmetic: 20, 30 against 30, 20 gives chi-square 4, p 0.0455, phi 0.2."""
    found = compare_values({"yes": 20, "no": 30}, {"yes": 30, "no": 20}, ANY)
    assert found.statistic == pytest.approx(4.0)
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(2.0)))
    assert found.effect == pytest.approx(0.2)
    assert found.crossed


def test_a_difference_counts_only_if_there_are_enough_cases_and_it_is_large_enough() -> None:
    limits = Limits(minimum=100, p_value=0.001, effect=0.1)
    few = compare_values({"AP": 99}, {"PA": 5000}, limits)
    assert (few.method, few.crossed) == ("", False)
    assert math.isnan(few.p_value)
    slight = compare_values({"AP": 50_000, "PA": 50_000}, {"AP": 52_000, "PA": 48_000}, limits)
    assert slight.p_value < 1e-10
    assert not slight.crossed, "significant, and of no consequence"
    assert compare_values({"AP": 100}, {"PA": 100}, limits).crossed
    assert not compare_values({"AP": 1000}, {"AP": 1000}, limits).crossed
    for empty in (compare_numbers([], [], limits), compare_numbers([], [0.5] * 200, limits), compare_values({}, {}, limits)):
        assert (empty.method, empty.crossed) == ("", False)
    assert not compare_numbers([0.5] * 200, [0.5] * 200, limits).crossed


def test_rare_values_are_taken_together_and_a_new_one_is_seen() -> None:
    many = {f"room {number}": 3 for number in range(300)}
    found = compare_values(many, many, ANY)
    assert found.places == (OTHER,)
    assert not found.crossed
    new = compare_values({"Maker A": 500}, {"Maker A": 250, "<script>": 250}, Limits())
    assert new.crossed
    assert set(new.places) == {"Maker A", "<script>"}


def test_only_what_lasts_counts() -> None:
    quiet, loud = (compare_values({"a": 500}, {other: 500}, Limits()) for other in ("a", "b"))
    assert lasting([quiet, loud, loud], 2)
    assert not lasting([loud, loud, quiet], 2)
    assert not lasting([loud], 2)


def answers(rng: np.random.Generator, count: int) -> list[Observed]:
    """Patients of one unchanging site."""
    ill = rng.random(count) < 0.12
    score = rng.beta(np.where(ill, 6, 1.2), np.where(ill, 3, 9))
    view, maker, room = rng.random(count) < 0.6, rng.integers(0, 3, count), rng.integers(0, 8, count)
    seen = (rng.normal(0, 1, (count, 16)) * np.linspace(4, 0.1, 16)).astype(np.float16)
    size, exposure, age = rng.lognormal(6.5, 0.9, count), rng.normal(250, 60, count), rng.integers(18, 95, count)
    return [
        Observed(
            float(score[i]),
            bool(score[i] > 0.5),
            bool(i % 50 or score[i] < 0.9) if score[i] > 0.5 else None,
            float(size[i]) if score[i] > 0.5 else None,
            "AP" if view[i] else "PA",
            f"Maker {maker[i]}",
            (10, 12, 12)[maker[i]],
            f"{age[i] // 10 * 10}",
            "FM"[i % 2],
            f"room {room[i]}",
            float(exposure[i]),
            seen[i],
        )
        for i in range(count)
    ]


def test_where_nothing_changes_hardly_anything_alarms() -> None:
    """Twelve sites, ten weeks each: no alarm, and single windows cross seldom. docs/drift.md has the long measurement."""
    rng, limits = np.random.default_rng(20), Limits()
    crossed = alarms = looks = 0
    for _ in range(12):
        reference = answers(rng, 800)
        before: Counter[str] = Counter()
        for _week in range(10):
            window = answers(rng, 200)
            for figure in FIGURES:
                found = compare(figure, reference, window, limits)
                looks += 1
                crossed += found.crossed
                before[figure] = before[figure] + 1 if found.crossed else 0
                alarms += before[figure] == 2
    assert looks == 12 * 10 * len(FIGURES)
    assert alarms == 0
    assert crossed <= 5


def test_every_figure_alarms_when_it_changes() -> None:
    rng, limits = np.random.default_rng(3), Limits()
    reference, window = answers(rng, 2500), answers(rng, 2500)
    changed = [
        replace(
            one,
            probability=one.probability**0.5,
            positive=index % 3 == 0,
            mask=index % 2 == 0 if one.mask is not None else None,
            size=one.size * 3 if one.size else None,
            view="PA",
            manufacturer="Maker 9",
            bits_stored=8,
            age_band="90+",
            sex="",
            source="a new room",
            exposure_index=500.0,
            embedding=one.embedding + np.float16(1.0) if one.embedding is not None else None,
        )
        for index, one in enumerate(window)
    ]
    assert [figure for figure in FIGURES if compare(figure, reference, window, limits).crossed] == []
    assert [figure for figure in FIGURES if not compare(figure, reference, changed, limits).crossed] == []
