"""What people had done again stays on a study's timeline: who, why, and how far its deliveries had come before. On both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ptx_node.db import history
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Delivery
from ptx_node.db.timeline import Step, timeline
from ptx_node.domain.job import DeliveryState
from ptx_node.pipeline import deliver
from ptx_node.pipeline.send_again import send_again
from tests.factories import as_file, dx
from tests.findings import finding, picture
from tests.read_study import ReadStudy, store_study

ACCEPTED, COMMITTED, GIVEN_UP = (now() - timedelta(minutes=past) for past in (30, 20, 10))


@pytest.fixture
def study(engine: Engine, tmp_path: Path) -> ReadStudy:
    """One whose SEG is committed, whose SR was given up; the rest waits."""
    ds = dx()
    made = store_study(engine, tmp_path, [as_file(ds)], lambda _paths: (finding([ds]), picture([ds])))
    with begin_write(engine) as session:
        first, second, *_ = session.scalars(select(Delivery).order_by(Delivery.id))
        first.state, first.accepted_at, first.committed_at = DeliveryState.COMMITTED, ACCEPTED, COMMITTED
        first.status, first.attempts, first.proof = "0x0000", 2, "storage_commitment"
        second.state, second.next_attempt_at, second.attempts, second.error = DeliveryState.FAILED, GIVEN_UP, 7, "no answer"
    return made


def deliveries(engine: Engine) -> list[int]:
    with begin_read(engine) as session:
        return list(session.scalars(select(Delivery.id).order_by(Delivery.id)))


def steps(engine: Engine, study: ReadStudy) -> list[Step]:
    with begin_read(engine) as session:
        return timeline(session, study.study_instance_uid)


def test_what_was_sent_before_stays_beside_what_is_sent_again(engine: Engine, study: ReadStudy) -> None:
    before = steps(engine, study)
    told = [one for one in before if " accepted" in one.what or " committed" in one.what or " given up" in one.what]
    assert [ACCEPTED, COMMITTED, GIVEN_UP] == [one.at for one in told]
    ids = deliveries(engine)
    assert ids == send_again(engine, ids, deadlines_s={}, by="user olga", reason="the archive was restored")
    after = steps(engine, study)
    assert told == [one for one in after if one in told]
    by_whom = [one for one in after if one.what.startswith("user olga")]
    assert ["user olga: send again, SEG to pacs", "user olga: send again, SR to pacs"] == [one.what for one in by_whom][:2]
    assert {"the archive was restored"} == {one.detail for one in by_whom}
    assert len(ids) == len(by_whom) == len([one for one in after if one.what.endswith("waits, not tried yet")])


def test_what_never_arrived_leaves_nothing_when_it_is_due_again(engine: Engine, study: ReadStudy) -> None:
    """A retry keeps what was given up; one more, with nothing tried in between, adds the person and no sending."""
    ids = deliveries(engine)
    for again in range(2):
        assert deliver.retry(engine, deadline_s=60, by="root", delivery_ids=ids) == len(ids) - 1
        after = steps(engine, study)
        assert 1 == len([one for one in after if "given up after 7 attempts" in one.what and one.detail == "no answer"])
        assert (again + 1) * (len(ids) - 1) == len([one for one in after if one.what.startswith("root: retry deliveries")])


def test_as_many_as_a_destination_has(engine: Engine, study: ReadStudy) -> None:
    """More numbers than a statement may have parameters."""
    with begin_write(engine) as session:
        numbers = [*deliveries(engine), *range(10**6, 10**6 + 70_000)]
        history.deliveries_again(session, numbers, by="root", what="retry deliveries", at=now())
        history.jobs_again(session, {study.job, *numbers}, by="root", what="retry jobs", at=now(), reason="a new GPU")
    assert [f"root: retry jobs, job {study.job}"] == [one.what for one in steps(engine, study) if one.detail == "a new GPU"]
