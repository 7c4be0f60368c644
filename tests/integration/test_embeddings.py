"""What networks saw, from the finding's row to the alarm and to its forgetting: on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from sqlalchemy import Engine, delete, func, select, update

from ptx_node.db import embeddings, housekeeping, observed, watching
from ptx_node.db.embeddings import EMBEDDING, KEEP
from ptx_node.db.observed import Days, Stream, first_day
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import FindingRow
from ptx_node.db.watch_tables import DriftLook, FindingEmbedding
from ptx_node.domain.finding import Finding, Outcome
from ptx_node.pipeline.results import record_finding
from ptx_node.pipeline.store import FileStore
from ptx_node.validation.drift_watch import Terms, look_at
from tests import factories as make
from tests.answered import DIMENSION, ZONE, answered, days, patients_of, seen_of
from tests.findings import finding
from tests.unit.test_results_recording import new_job

TERMS = Terms(ZONE)
STREAM = Stream("ptx-cxr", "1.0", "ab" * 32)
FIRST = date(2026, 3, 2)
A_DAY = 18


@cache
def some_patients() -> list[dict[str, Any]]:
    """Who comes again and again, so that the figures of headers and answers stay what they are."""
    return patients_of("toulouse", 1, A_DAY)


def toulouse(seed: int) -> np.ndarray:
    """What the network sees at this site."""
    return seen_of("toulouse", seed)


def flow(engine: Engine, first: date, count: int, *, seed: int, sees: Callable[[int], np.ndarray] = toulouse) -> None:
    """So many days of answers, all of them alike but for what the network sees."""
    when = [day for day in days(first, count) for _ in range(A_DAY)]
    patients = [some_patients()[number % A_DAY] | {"embedding": sees(seed + number)} for number in range(len(when))]
    answered(engine, list(zip(when, patients, strict=True)))


def looks(engine: Engine) -> list[DriftLook]:
    with begin_read(engine) as session:
        return list(session.scalars(select(DriftLook).where(DriftLook.figure == EMBEDDING).order_by(DriftLook.day)))


@pytest.fixture
def record(engine: Engine, tmp_path: Path) -> Callable[[int, Finding], int]:
    store = FileStore(tmp_path / "store", watermark_bytes=0)

    def recorded(job_id: int, said: Finding) -> int:
        number = record_finding(engine, store, job_id=job_id, finding=said, encoded=(), destinations=()).finding_id
        assert number is not None
        return number

    return recorded


def kept(engine: Engine) -> dict[int, Any]:
    with begin_read(engine) as session:
        return embeddings.read(session, list(session.scalars(select(FindingRow.id))))


def test_the_vector_is_written_with_its_finding_and_goes_with_an_answer_that_has_none(
    engine: Engine, record: Callable[[int, Finding], int]
) -> None:
    sources: list[pydicom.Dataset] = [make.header(make.dx(size=make.Size(64, 64)))]
    vector = np.linspace(0, 3, 512).astype(np.float16)
    said, job = replace(finding(sources), embedding=vector), new_job(engine, "one")
    number = record(job, said)
    np.testing.assert_array_equal(kept(engine)[number], vector)
    with begin_read(engine) as session:
        row = session.get_one(FindingEmbedding, number)
        assert (row.weights_sha256, row.dimension, len(row.vector)) == (said.model.weights_sha256, 512, 1024)
    record(job, replace(said, embedding=vector[:256] * 2))
    np.testing.assert_array_equal(kept(engine)[number], vector[:256] * 2)
    record(job, replace(said, outcome=Outcome.NOT_ELIGIBLE, reason="age", embedding=None, mask=None))
    assert kept(engine) == {}


def test_rows_that_are_cut_or_no_numbers_are_left_out(engine: Engine) -> None:
    flow(engine, FIRST, 1, seed=1)
    whole = kept(engine)
    with begin_write(engine) as session:
        session.execute(update(FindingEmbedding).where(FindingEmbedding.finding_id == 1).values(vector=b"cut"))
        spoilt = np.full(DIMENSION, np.nan, np.float16).tobytes()
        session.execute(update(FindingEmbedding).where(FindingEmbedding.finding_id == 2).values(vector=spoilt))
        session.execute(delete(FindingEmbedding).where(FindingEmbedding.finding_id == 3))
    assert set(whole) - set(kept(engine)) == {1, 2, 3}
    with begin_read(engine) as session:
        found = observed.observed(session, ZONE, Days(FIRST, FIRST), STREAM)
    assert [one.embedding is None for one in found[:4]] == [True, True, True, False]


def test_of_very_many_patients_some_are_read_from_all_the_days(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    flow(engine, FIRST, 3, seed=1)
    monkeypatch.setattr(observed, "MOST_EMBEDDED", 20)
    with begin_read(engine) as session:
        found = observed.observed(session, ZONE, Days(FIRST, FIRST + timedelta(days=2)), STREAM)
    assert [number for number, one in enumerate(found) if one.embedding is not None] == list(range(0, 3 * A_DAY, 3))


def test_only_what_the_network_sees_changes_and_its_figure_alone_alarms_once(engine: Engine) -> None:
    """Four weeks of reference, two as before, two in which every second image is another's: headers and answers stay."""
    flow(engine, FIRST, 42, seed=1)
    for day in (35, 41):
        assert look_at(engine, TERMS, FIRST + timedelta(days=day)) == 0
    flow(
        engine,
        FIRST + timedelta(days=42),
        14,
        seed=3000,
        sees=lambda seed: seen_of("bedside", seed) if seed % 2 else toulouse(seed),
    )
    assert look_at(engine, TERMS, FIRST + timedelta(days=48)) == 0, "one window alone is not enough"
    assert look_at(engine, TERMS, FIRST + timedelta(days=55)) == 1
    assert look_at(engine, TERMS, FIRST + timedelta(days=55)) == 0
    with begin_read(engine) as session:
        (alarm,) = watching.alarms(session)
    assert alarm.name == EMBEDDING
    before, *_, last = looks(engine)
    assert not before.crossed
    assert last.method in {"direction", "far"}
    assert (last.reference_count, last.window_count) == (28 * A_DAY // 2, 7 * A_DAY)
    assert last.effect is not None
    assert last.effect > last.detail["limit"]
    assert len(last.detail["points"]["window"]) <= 100


def test_findings_of_before_the_table_have_no_vector_and_the_reference_begins_with_the_first_that_has_one(engine: Engine) -> None:
    flow(engine, FIRST, 45, seed=1)
    begins = FIRST + timedelta(days=10)
    moment = datetime.combine(begins, time(), ZONE).astimezone(UTC)
    with begin_write(engine) as session:
        session.execute(delete(FindingEmbedding).where(FindingEmbedding.inferred_at < moment))
    with begin_read(engine) as session:
        assert first_day(session, ZONE, STREAM, embedded=True) == begins
    last = FIRST + timedelta(days=44)
    for terms, since in (
        (TERMS, begins),
        (replace(TERMS, reference=Days(FIRST, FIRST + timedelta(days=6))), begins),
        (replace(TERMS, reference=Days(FIRST, begins + timedelta(days=20))), FIRST),
    ):
        with begin_write(engine) as session:
            session.execute(delete(DriftLook))
        assert look_at(engine, terms, last) == 0
        (look,) = looks(engine)
        assert look.detail["reference_since"] == since.isoformat()
        assert look.reference_count > 0


def test_the_same_weights_with_other_features_are_too_few_until_the_reference_is_renewed(engine: Engine) -> None:
    flow(engine, FIRST, 28, seed=1)
    flow(engine, FIRST + timedelta(days=28), 7, seed=2000, sees=lambda seed: np.tile(toulouse(seed), 2))
    assert look_at(engine, TERMS, FIRST + timedelta(days=34)) == 0
    (look,) = looks(engine)
    assert (look.method, look.reference_count, look.window_count) == ("", 0, 7 * A_DAY)


def test_a_model_whose_answers_have_no_vectors_is_looked_at_as_before(engine: Engine) -> None:
    flow(engine, FIRST, 35, seed=1)
    with begin_write(engine) as session:
        session.execute(delete(FindingEmbedding))
    assert look_at(engine, TERMS, FIRST + timedelta(days=34)) == 0
    assert looks(engine) == []
    with begin_read(engine) as session:
        assert session.scalar(select(func.count()).select_from(DriftLook))


def test_old_vectors_are_forgotten_but_for_the_reference_in_use(engine: Engine) -> None:
    flow(engine, FIRST, 40, seed=1)
    look_at(engine, TERMS, FIRST + timedelta(days=39))
    flow(engine, FIRST + timedelta(days=30), 1, seed=2000)
    with begin_write(engine) as session:
        session.execute(update(FindingEmbedding).where(FindingEmbedding.finding_id > 40 * A_DAY).values(weights_sha256="cd" * 32))
        housekeeping.forget(session, now=datetime.combine(FIRST, time(), UTC) + KEEP)
    assert len(kept(engine)) == 41 * A_DAY, "nothing is that old"
    with begin_write(engine) as session:
        housekeeping.forget(session, now=now() + 2 * KEEP)
    with begin_read(engine) as session:
        left = session.execute(select(FindingEmbedding.weights_sha256, func.max(FindingEmbedding.inferred_at)).group_by("weights_sha256"))
        ((weights, newest),) = left.all()
    assert weights == STREAM.weights_sha256
    assert (FIRST + timedelta(days=27)) <= newest.astimezone(ZONE).date() <= FIRST + timedelta(days=29)
