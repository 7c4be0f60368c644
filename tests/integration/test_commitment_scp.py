"""Storage Commitment that a peer asks of the node: durable before it is answered, reported on a new association, retried."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel
from sqlalchemy import Engine, select, update

sys.path.insert(0, str(Path(__file__).parent))
from scp_parts import Scp, scp_in_thread

from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import CommitmentRequest, Instance
from ptx_node.domain.study import Origin, Via
from ptx_node.outbound.commitment_report import CommitmentReporter
from ptx_node.pipeline.commitment import report_commitments
from ptx_node.settings import Peer
from ptx_node.simulator.processes import free_port
from tests import factories

INSTANCE = "1.2.840.10008.1.20.1.1"


@contextmanager
def modality(port: int, status: int = 0x0000) -> Iterator[list[tuple[int, Dataset]]]:
    """A peer that takes reports; gives those that came, as (event type, data set)."""
    came: list[tuple[int, Dataset]] = []

    def take(event: Any) -> tuple[int, None]:
        came.append((event.event_type, event.event_information))
        return status, None

    ae = AE("MODALITY")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    try:
        yield came
    finally:
        server.shutdown()


def ask(scp: Scp, references: list[tuple[str, str]], transaction_uid: str, *, calling: str = "MODALITY", action: int = 1) -> int:
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        ds.ReferencedSOPSequence.append(item)
    ae = AE(calling)
    ae.add_requested_context(StorageCommitmentPushModel)
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="PTX")
    assert assoc.is_established
    status, _ = assoc.send_n_action(ds, action, StorageCommitmentPushModel, INSTANCE)
    assoc.release()
    return int(status.Status)


def store(scp: Scp, count: int) -> list[str]:
    origin = Origin(Via.DIMSE, "s", "MODALITY", "PTX", "127.0.0.1")
    return [scp.receiver.receive_part10(origin, factories.as_file(ds)).sop_instance_uid for ds in factories.ct_series(count)]


def failed(ds: Dataset) -> dict[str, int]:
    return {str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in ds.get("FailedSOPSequence", [])}


def test_what_is_safe_is_committed_on_a_new_association(engine: Engine, tmp_path: Path) -> None:
    port = free_port()
    reporter = CommitmentReporter((Peer(ae_title="MODALITY", host="127.0.0.1", port=port),), timeout_s=5)
    transaction_uid = generate_uid()
    with scp_in_thread(engine, tmp_path) as scp, modality(port) as came:
        uids = store(scp, 2)
        assert 0x0000 == ask(scp, [(CTImageStorage, uid) for uid in uids], transaction_uid)
        assert 1 == report_commitments(engine, scp.store, reporter)
        assert 0 == report_commitments(engine, scp.store, reporter)
    [(event_type, ds)] = came
    assert (1, transaction_uid) == (event_type, ds.TransactionUID)
    assert uids == [item.ReferencedSOPInstanceUID for item in ds.ReferencedSOPSequence]


def test_what_is_missing_altered_or_of_another_class_is_reported_failed(sqlite_engine: Engine, tmp_path: Path) -> None:
    port = free_port()
    reporter = CommitmentReporter((Peer(ae_title="MODALITY", host="127.0.0.1", port=port),), timeout_s=5)
    with scp_in_thread(sqlite_engine, tmp_path) as scp, modality(port) as came:
        good, altered, gone, other_class = store(scp, 4)
        with begin_read(sqlite_engine) as session:
            path = {row.sop_instance_uid: scp.store.path(row.path) for row in session.scalars(select(Instance))}
        path[altered].write_bytes(path[altered].read_bytes()[:-1] + b"!")
        path[gone].unlink()
        references = [(CTImageStorage, uid) for uid in (good, altered, gone, "1.2.3.999")] + [(MRImageStorage, other_class)]
        assert 0x0000 == ask(scp, references, generate_uid())
        assert 1 == report_commitments(sqlite_engine, scp.store, reporter)
    [(event_type, ds)] = came
    assert 2 == event_type
    assert [good] == [item.ReferencedSOPInstanceUID for item in ds.ReferencedSOPSequence]
    assert {altered: 0x0110, gone: 0x0110, "1.2.3.999": 0x0112, other_class: 0x0119} == failed(ds)


def test_a_peer_that_is_away_gets_its_report_later(sqlite_engine: Engine, tmp_path: Path) -> None:
    """Nothing but the row carries the request, so this is also what a restart does."""
    port = free_port()
    reporter = CommitmentReporter((Peer(ae_title="MODALITY", host="127.0.0.1", port=port),), timeout_s=2)
    with scp_in_thread(sqlite_engine, tmp_path) as scp:
        [uid] = store(scp, 1)
        ask(scp, [(CTImageStorage, uid)], generate_uid())
        scp_store = scp.store
    assert 0 == report_commitments(sqlite_engine, scp_store, reporter)
    with begin_read(sqlite_engine) as session:
        row = session.scalars(select(CommitmentRequest)).one()
    assert row.next_attempt_at > now()
    assert (1, None) == (row.attempts, row.reported_at)
    assert "does not accept" in str(row.error)
    with modality(port) as came:
        assert 0 == report_commitments(sqlite_engine, scp_store, reporter)
        with begin_write(sqlite_engine) as session:
            session.execute(update(CommitmentRequest).values(next_attempt_at=now()))
        assert 1 == report_commitments(sqlite_engine, scp_store, reporter)
    assert 1 == len(came)


def test_a_report_that_the_peer_refuses_is_not_taken_for_delivered(sqlite_engine: Engine, tmp_path: Path) -> None:
    port = free_port()
    reporter = CommitmentReporter((Peer(ae_title="MODALITY", host="127.0.0.1", port=port),), timeout_s=5)
    with scp_in_thread(sqlite_engine, tmp_path) as scp, modality(port, status=0x0110):
        ask(scp, [(CTImageStorage, "1.2.3")], generate_uid())
        assert 0 == report_commitments(sqlite_engine, scp.store, reporter)
    with begin_read(sqlite_engine) as session:
        assert session.scalars(select(CommitmentRequest)).one().reported_at is None


@pytest.mark.parametrize(
    ("references", "transaction_uid", "action", "status"),
    [
        ([], "1.2.3", 1, 0x0115),
        ([(CTImageStorage, "1.2.3")], "", 1, 0x0115),
        ([(CTImageStorage, "1.2.3")], "1.2.3", 2, 0x0123),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    sqlite_engine: Engine, tmp_path: Path, references: list[tuple[str, str]], transaction_uid: str, action: int, status: int
) -> None:
    with scp_in_thread(sqlite_engine, tmp_path) as scp:
        assert status == ask(scp, references, transaction_uid, action=action)
    with begin_read(sqlite_engine) as session:
        assert [] == list(session.scalars(select(CommitmentRequest)))


def test_a_transaction_belongs_to_who_began_it(sqlite_engine: Engine, tmp_path: Path) -> None:
    with scp_in_thread(sqlite_engine, tmp_path) as scp:
        assert 0x0000 == ask(scp, [(CTImageStorage, "1.2.3")], "1.2.3.4")
        assert 0x0000 == ask(scp, [(CTImageStorage, "1.2.3")], "1.2.3.4")
        assert 0x0115 == ask(scp, [(CTImageStorage, "1.2.3")], "1.2.3.4", calling="OTHER")
