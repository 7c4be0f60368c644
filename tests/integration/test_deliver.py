"""Delivery as rows and leases, on SQLite and PostgreSQL, with a destination that answers as it is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ptx_node.db import destinations
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.domain.delivery import Answer, Arrival, CommitmentReport, Proof, Verdict
from ptx_node.pipeline.deliver import Policy, deliver_due, resume, retry, suspend
from ptx_node.pipeline.prove import prove_due, record_commitment_report
from tests.fakes import FakeDestination
from tests.queued import Outbox

POLICY = Policy(first_delay_s=3600.0, max_delay_s=7200.0, missing_after_s=60.0, max_resends=2)
BUSY = Answer(Verdict.UNAVAILABLE, "0xA700", "out of resources")


@pytest.fixture
def outbox(engine: Engine, tmp_path: Path) -> Outbox:
    return Outbox(engine, tmp_path)


def deliver(outbox: Outbox, destination: FakeDestination, policy: Policy = POLICY) -> int:
    return deliver_due(outbox.engine, outbox, destination, owner="test", policy=policy)


def prove(outbox: Outbox, destination: FakeDestination, policy: Policy = POLICY) -> int:
    return prove_due(outbox.engine, outbox, destination, owner="test", policy=policy)


def test_results_of_a_finding_go_together_and_the_segmentation_goes_first(outbox: Outbox) -> None:
    pacs = FakeDestination()
    first = outbox.add_job("pacs", kinds=("sr", "sc", "seg"))
    second = outbox.add_job("pacs", kinds=("sr", "seg"))
    assert deliver(outbox, pacs, Policy(findings=1)) == 3
    assert deliver(outbox, pacs, Policy(findings=1)) == 2
    assert pacs.batches == [[first["seg"], first["sc"], first["sr"]], [second["seg"], second["sr"]]]


def test_a_job_is_accepted_when_every_destination_has_accepted_and_committed_when_all_are_proven(outbox: Outbox) -> None:
    one, other = FakeDestination("one"), FakeDestination("other")
    outbox.add_job("one", "other")
    deliver(outbox, one)
    assert outbox.job().accepted_at is None
    deliver(outbox, other)
    assert outbox.job().accepted_at is not None
    prove(outbox, one)
    assert outbox.job().committed_at is None
    prove(outbox, other)
    assert outbox.job().committed_at is not None
    assert set(outbox.states()) == {"committed"}


def test_two_destinations_that_finish_at_the_same_moment_leave_the_job_accepted(outbox: Outbox) -> None:
    barrier = threading.Barrier(2)
    pair = [FakeDestination("one"), FakeDestination("other")]
    for destination in pair:
        destination.while_sending = meeting(barrier)
    outbox.add_job("one", "other")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda destination: deliver(outbox, destination), pair))
    assert outbox.job().accepted_at is not None


def test_a_warning_is_told_from_success(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.answers[uids["sr"]] = Answer(Verdict.WARNING, "0xB000", "coercion of data elements")
    deliver(outbox, pacs)
    seg, sr = outbox.deliveries()
    assert (seg.state, seg.warning, seg.status) == ("accepted", False, "0x0000")
    assert (sr.state, sr.warning, sr.status, sr.error) == ("accepted", True, "0xB000", "coercion of data elements")


def test_a_refusal_for_good_fails_one_result_and_says_why(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.answers[uids["seg"]] = Answer(Verdict.REFUSED, "0xA900", "data set does not match SOP class")
    assert deliver(outbox, pacs) == 2
    seg, sr = outbox.deliveries()
    assert seg.state == "failed"
    assert "0xA900" in str(seg.error)
    assert sr.state == "accepted"
    assert outbox.job().accepted_at is None


def test_a_refusal_for_now_waits_for_its_turn_and_then_arrives(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.answers[uids["seg"]] = BUSY
    deliver(outbox, pacs)
    assert outbox.states() == ["waiting", "accepted"]
    pacs.answers.clear()
    assert deliver(outbox, pacs) == 0, "its delay is not over"
    outbox.make_due()
    assert deliver(outbox, pacs) == 1
    assert outbox.job().accepted_at is not None
    assert Counter(pacs.sent) == {uids["seg"]: 2, uids["sr"]: 1}


def test_a_dead_destination_costs_one_attempt_and_delays_nobody_else(outbox: Outbox) -> None:
    dead, alive = FakeDestination("dead"), FakeDestination("alive")
    dead.down = True
    for _ in range(3):
        outbox.add_job("dead", "alive")
    assert deliver(outbox, dead, Policy(findings=1, first_delay_s=3600.0)) == 0
    assert [d.attempts for d in outbox.deliveries() if d.destination == "dead"] == [1, 1, 0, 0, 0, 0]
    with begin_read(outbox.engine) as session:
        assert destinations.due_destinations(session, now()) == {"alive"}
    dead.down = False
    assert deliver(outbox, dead) == 0, "it is held back until its delay is over"
    assert deliver(outbox, alive) == 6


def test_a_destination_that_returns_gets_everything_once(outbox: Outbox) -> None:
    pacs = FakeDestination()
    pacs.down = True
    uids = [uid for _ in range(3) for uid in outbox.add_job("pacs").values()]
    deliver(outbox, pacs)
    pacs.down = False
    assert retry(outbox.engine, destination="pacs", deadline_s=3600.0, by="user test") == 6
    assert deliver(outbox, pacs) == 6
    assert pacs.sent == uids


def test_past_its_deadline_a_delivery_fails_with_its_cause(outbox: Outbox) -> None:
    pacs = FakeDestination()
    pacs.down = True
    outbox.add_job("pacs", deadline_s=-1.0)
    outbox.add_job("pacs", deadline_s=-1.0)
    deliver(outbox, pacs, Policy(findings=1))
    assert outbox.states() == ["failed"] * 4
    assert all("the fake is down" in str(d.error) and "deadline" in str(d.error) for d in outbox.deliveries())


def test_a_failed_delivery_can_be_sent_again_by_hand(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.answers = dict.fromkeys(uids.values(), Answer(Verdict.REFUSED, "0xC000", "cannot understand"))
    deliver(outbox, pacs)
    pacs.answers.clear()
    chosen = outbox.deliveries()[0].id
    assert retry(outbox.engine, delivery_ids=[chosen], deadline_s=3600.0, by="user test") == 1
    assert deliver(outbox, pacs) == 1
    assert outbox.states() == ["accepted", "failed"]


def test_suspended_deliveries_wait_past_their_deadline_and_arrive_after_resuming(outbox: Outbox) -> None:
    pacs = FakeDestination()
    outbox.add_job("pacs", deadline_s=-1.0)
    suspend(outbox.engine, "pacs", "moving to the new archive", by="user test")
    assert deliver(outbox, pacs) == 0
    assert (outbox.states(), pacs.sent) == (["waiting", "waiting"], [])
    resume(outbox.engine, "pacs", grace_s=600.0, by="user test")
    pacs.down = True
    deliver(outbox, pacs)
    assert outbox.states() == ["waiting", "waiting"], "one failure right after a long suspension ends nothing"
    pacs.down = False
    resume(outbox.engine, "pacs", grace_s=600.0, by="user test")
    outbox.make_due()
    assert deliver(outbox, pacs) == 2


def test_a_destination_that_left_the_settings_keeps_its_deliveries_and_is_reported(outbox: Outbox) -> None:
    outbox.add_job("pacs", "gone")
    suspend(outbox.engine, "pacs", "service night", by="user test")
    with begin_read(outbox.engine) as session:
        gone, pacs, spare = destinations.backlog(session, ["pacs", "spare"])
    assert (gone.destination, gone.configured, gone.counts["waiting"]) == ("gone", False, 2)
    assert (pacs.suspended, pacs.reason, pacs.counts["waiting"]) == (True, "service night", 2)
    assert pacs.oldest_waiting_at is not None
    assert (spare.configured, sum(spare.counts.values())) == (True, 0)


@pytest.mark.parametrize("damage", ["missing", "shorter", "not DICOM"])
def test_a_result_file_that_was_lost_fails_alone(outbox: Outbox, damage: str) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    path = outbox.path(f"{uids['seg']}.dcm")
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10] if damage == "shorter" else bytes(path.stat().st_size))
    assert deliver(outbox, pacs) == 2
    assert outbox.states() == ["failed", "accepted"]


def test_workers_that_claim_at_the_same_time_send_everything_once(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = [uid for _ in range(12) for uid in outbox.add_job("pacs").values()]

    def work(number: int) -> None:
        while deliver_due(outbox.engine, outbox, pacs, owner=f"worker {number}", policy=Policy(findings=1)):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert Counter(pacs.sent) == Counter(uids)
    assert all(len(batch) == 2 for batch in pacs.batches), "a finding was torn apart"


def test_a_slow_peer_does_not_lose_the_lease(outbox: Outbox) -> None:
    """While one worker sends for longer than the lease, another one finds nothing to send."""
    pacs = FakeDestination()
    outbox.add_job("pacs")
    short = Policy(lease_s=2.0)
    entered, leave = threading.Event(), threading.Event()
    pacs.while_sending = blocking(entered, leave)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(deliver, outbox, pacs, short)
        assert entered.wait(10)
        first_expiry = outbox.deliveries()[0].lease_expires_at
        assert first_expiry is not None
        while now() < first_expiry + timedelta(seconds=0.2):
            assert deliver(outbox, pacs, short) == 0
        leave.set()
        assert sending.result(10) == 2
    assert len(pacs.sent) == 2


def test_a_sender_killed_between_answer_and_commit_is_followed_by_another(database_url: str, outbox: Outbox, tmp_path: Path) -> None:
    """The instance is sent twice with the same UID and content; its row ends accepted once."""
    uids = outbox.add_job("pacs")
    process = multiprocessing.get_context("spawn").Process(target=_die_after_sending, args=(database_url, tmp_path))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert outbox.states() == ["sending", "sending"]
    pacs = FakeDestination()
    assert deliver(outbox, pacs) == 0, "the lease still runs"
    outbox.make_due(lease=True)
    assert deliver(outbox, pacs) == 2
    assert outbox.states() == ["accepted", "accepted"]
    assert sorted(pacs.sent) == sorted(uids.values())


def _die_after_sending(database_url: str, folder: Path) -> None:
    pacs = FakeDestination()
    pacs.while_sending = dying()
    engine = open_engine(database_url)
    deliver_due(engine, Outbox(engine, folder), pacs, owner="doomed", policy=POLICY)


def test_a_lost_sender_past_the_deadline_is_not_retried_for_ever(outbox: Outbox) -> None:
    pacs = FakeDestination()
    outbox.add_job("pacs", deadline_s=-1.0)
    with begin_write(outbox.engine) as session:
        for delivery in outbox.deliveries():
            delivery.state, delivery.lease_owner = "sending", "lost"
            delivery.lease_expires_at = now() - timedelta(seconds=1)
            session.merge(delivery)
    assert deliver(outbox, pacs) == 0
    assert outbox.states() == ["failed", "failed"]


def test_a_result_not_found_by_query_is_believed_missing_only_after_a_while(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    deliver(outbox, pacs)
    pacs.proofs[uids["sr"]] = Proof(Arrival.MISSING, "c_find", "not found by query")
    assert prove(outbox, pacs) == 1
    assert outbox.states() == ["committed", "accepted"]
    outbox.make_due(aged_s=120)
    assert prove(outbox, pacs) == 1
    assert outbox.states() == ["committed", "waiting"]
    outbox.make_due()
    assert deliver(outbox, pacs) == 1
    pacs.proofs.clear()
    assert prove(outbox, pacs) == 1
    assert outbox.job().committed_at is not None
    assert Counter(pacs.sent)[uids["sr"]] == 2


def test_a_result_that_keeps_going_missing_fails_in_the_end(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs", kinds=("sr",))
    pacs.proofs[uids["sr"]] = Proof(Arrival.MISSING, "storage_commitment", "failure reason 0x0112")
    for _ in range(4):
        deliver(outbox, pacs)
        prove(outbox, pacs)
        outbox.make_due()
    assert outbox.states() == ["failed"]
    assert len(pacs.sent) == 1 + POLICY.max_resends


def test_a_commitment_report_on_another_association_settles_what_it_names(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    deliver(outbox, pacs)
    pacs.proofs = dict.fromkeys(uids.values(), Proof(Arrival.PENDING, "storage_commitment"))
    assert prove(outbox, pacs) == 0
    transaction_uid = outbox.deliveries()[0].commitment_transaction_uid
    assert {asked for _, asked in pacs.asked} == {transaction_uid}
    report = CommitmentReport(str(transaction_uid), (uids["seg"],), {uids["sr"]: 0x0112})
    assert record_commitment_report(outbox.engine, report, policy=POLICY) == 2
    seg, sr = outbox.deliveries()
    assert (seg.state, seg.proof) == ("committed", "storage_commitment")
    assert sr.state == "waiting"
    assert "0x0112" in str(sr.error)
    assert record_commitment_report(outbox.engine, report, policy=POLICY) == 0, "the same report again changes nothing"


def test_a_report_that_overtakes_the_answer_to_its_request_counts(outbox: Outbox) -> None:
    """The peer may report on a new association before it has answered the N-ACTION."""

    class Overtaking(FakeDestination):
        def prove(self, batch: object, *, transaction_uid: str | None) -> list[Proof]:
            assert transaction_uid is not None
            report = CommitmentReport(transaction_uid, tuple(outbox.uids), {})
            assert record_commitment_report(outbox.engine, report, policy=POLICY) == 2
            return [Proof(Arrival.PENDING, "storage_commitment")] * 2

    pacs = Overtaking()
    outbox.add_job("pacs")
    deliver(outbox, pacs)
    prove(outbox, pacs)
    assert outbox.states() == ["committed", "committed"]
    assert outbox.job().committed_at is not None


def test_without_a_report_in_time_the_result_is_looked_for_by_query(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs", kinds=("sr",))
    deliver(outbox, pacs)
    pacs.proofs[uids["sr"]] = Proof(Arrival.PENDING, "storage_commitment")
    prove(outbox, pacs)
    assert prove(outbox, pacs) == 0, "the report has its time"
    assert len(pacs.asked) == 1
    outbox.make_due()
    pacs.proofs[uids["sr"]] = Proof(Arrival.PROVEN, "c_find")
    assert prove(outbox, pacs) == 1
    assert pacs.asked[-1] == (uids["sr"], None)
    assert outbox.deliveries()[0].proof == "c_find"


def test_a_peer_that_cannot_be_asked_leaves_results_accepted_and_is_not_asked_again(outbox: Outbox) -> None:
    pacs = FakeDestination()
    uids = outbox.add_job("pacs")
    pacs.proofs = dict.fromkeys(uids.values(), Proof(Arrival.UNSUPPORTED, "none"))
    deliver(outbox, pacs)
    assert prove(outbox, pacs) == 2
    outbox.make_due()
    assert prove(outbox, pacs) == 0
    assert set(outbox.states()) == {"accepted"}
    assert outbox.job().committed_at is None


def test_proof_waits_while_the_peer_is_away_and_does_not_hold_back_sending(outbox: Outbox) -> None:
    pacs = FakeDestination()
    outbox.add_job("pacs")
    deliver(outbox, pacs)
    pacs.down = True
    assert prove(outbox, pacs) == 0
    pacs.down = False
    outbox.add_job("pacs")
    assert deliver(outbox, pacs) == 2
    outbox.make_due()
    assert prove(outbox, pacs) == 4


@contextmanager
def meeting(barrier: threading.Barrier) -> Iterator[None]:
    barrier.wait(10)
    yield


@contextmanager
def blocking(entered: threading.Event, leave: threading.Event) -> Iterator[None]:
    entered.set()
    leave.wait(20)
    yield


@contextmanager
def dying() -> Iterator[None]:
    yield
    os.kill(os.getpid(), signal.SIGKILL)
