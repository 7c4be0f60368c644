"""The one way in, on SQLite and on PostgreSQL: what is answered, what is kept, and what is left behind."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite, write_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from sqlalchemy import Engine, select

from ptx_node.db.session import begin_read, open_engine
from ptx_node.db.tables import Conflict, Instance, Refusal, Table
from ptx_node.domain.study import Origin, Via
from ptx_node.pipeline.receive import Receipt, Receiver
from ptx_node.pipeline.store import FileStore
from ptx_node.pipeline.sweep import sweep_store
from tests.conftest import PostgresServer

ORIGIN = Origin(Via.STOW, "stow", "SENDER", "PTX", "10.0.0.1")


def ct(**changes: Any) -> bytes:
    """A small CT slice as a Part 10 file; None as a value takes the attribute away."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    ds.Modality, ds.PatientID, ds.Rows, ds.Columns, ds.BitsAllocated = "CT", "P1", 16, 16, 16
    ds.add_new(0x7FE00010, "OW", os.urandom(512))
    for keyword, value in changes.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    out = io.BytesIO()
    dcmwrite(out, ds, implicit_vr=False, little_endian=True, force_encoding=True)
    meta = Dataset()
    meta.FileMetaInformationVersion, meta.MediaStorageSOPClassUID = b"\0\1", CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head = io.BytesIO()
    write_file_meta_info(head, FileMetaDataset(meta), enforce_standard=False)
    return b"\0" * 128 + b"DICM" + head.getvalue() + out.getvalue()


def receiver_on(engine: Engine, folder: Path, **changes: Any) -> Receiver:
    rings = changes.pop("ring", lambda: None)
    watermark_bytes = changes.pop("watermark_bytes", 0)
    given = {"invalid_uid": "accept", "max_instance_bytes": 10**8, **changes}
    return Receiver(engine, FileStore(folder / "store", watermark_bytes=watermark_bytes), ring=rings, **given)


def files(receiver: Receiver) -> list[str]:
    folder = receiver.store.folder
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def answer(receipt: Receipt) -> tuple[int, str]:
    return receipt.status, receipt.reason


def rows(engine: Engine, table: Any) -> list[Any]:
    with begin_read(engine) as session:
        return list(session.scalars(select(table)))


def test_an_instance_is_a_file_and_a_row_before_success_is_said(engine: Engine, tmp_path: Path) -> None:
    rung = []
    receiver = receiver_on(engine, tmp_path, ring=lambda: rung.append(len(rows(engine, Instance))))
    data = ct()
    receipt = receiver.receive_part10(ORIGIN, data)
    [row] = rows(engine, Instance)
    assert (0x0000, "", row.sop_instance_uid) == (receipt.status, receipt.reason, receipt.sop_instance_uid)
    assert files(receiver) == [row.path]
    assert receiver.store.path(row.path).stat().st_size == row.size_bytes
    sent, kept = dcmread(io.BytesIO(data)), dcmread(receiver.store.path(row.path))
    assert sent == kept
    assert ("CT", "P1", "1.2.3", "1.2.3.4", "stow", "SENDER", None, None) == (
        row.modality,
        row.patient_id,
        row.study_instance_uid,
        row.series_instance_uid,
        row.source,
        row.calling_ae,
        row.uid_problem,
        row.routed_at,
    )
    assert rung == [1]


def test_the_same_bytes_again_are_success_and_change_nothing(engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(engine, tmp_path)
    data = ct()
    assert [0, 0, 0] == [receiver.receive_part10(ORIGIN, data).status for _ in range(3)]
    assert len(rows(engine, Instance)) == len(files(receiver)) == 1


def test_other_bytes_under_a_known_uid_are_kept_aside_and_never_overwrite(engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(engine, tmp_path)
    first, other = ct(SOPInstanceUID="1.9"), ct(SOPInstanceUID="1.9")
    receiver.receive_part10(ORIGIN, first)
    answers = [receiver.receive_part10(ORIGIN, other) for _ in range(2)]
    assert [(0x0111, "conflict")] * 2 == [(answer.status, answer.reason) for answer in answers]
    [row], [conflict] = rows(engine, Instance), rows(engine, Conflict)
    assert dcmread(receiver.store.path(row.path)) == dcmread(io.BytesIO(first))
    assert dcmread(receiver.store.path(conflict.path)) == dcmread(io.BytesIO(other))
    assert sorted([row.path, conflict.path]) == files(receiver)
    assert conflict.path.startswith("conflicts/")
    assert conflict.stored_sha256 == row.sha256


@pytest.mark.parametrize("same", [True, False])
def test_a_new_uid_that_comes_twice_at_once_wins_once(engine: Engine, database_url: str, tmp_path: Path, same: bool) -> None:
    """Two receivers with engines of their own, as two processes have."""
    second_engine = open_engine(database_url)
    receivers = [receiver_on(engine, tmp_path), receiver_on(second_engine, tmp_path)]
    for number in range(10):
        data = [ct(SOPInstanceUID=f"1.9.{number + 1}") for _ in receivers]
        if same:
            data[1] = data[0]
        gate, statuses = threading.Barrier(2), [-1, -1]

        def take(index: int, data: list[bytes] = data, gate: threading.Barrier = gate, statuses: list[int] = statuses) -> None:
            gate.wait()
            statuses[index] = receivers[index].receive_part10(ORIGIN, data[index]).status

        threads = [threading.Thread(target=take, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == ([0, 0] if same else [0, 0x0111])
    second_engine.dispose()
    stored, conflicts = rows(engine, Instance), rows(engine, Conflict)
    assert (10, 0 if same else 10) == (len(stored), len(conflicts))
    assert sorted(row.path for row in [*stored, *conflicts]) == files(receivers[0])


def test_many_threads_share_commits_and_each_gets_its_own_answer(engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(engine, tmp_path)
    data = [ct() for _ in range(40)]
    receipts: dict[int, Any] = {}

    def take(start: int) -> None:
        for index in range(start, len(data), 8):
            receipts[index] = receiver.receive_part10(ORIGIN, data[index])

    threads = [threading.Thread(target=take, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {0} == {receipt.status for receipt in receipts.values()}
    expected = {str(dcmread(io.BytesIO(one)).SOPInstanceUID) for one in data}
    assert expected == {row.sop_instance_uid for row in rows(engine, Instance)}


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"SOPClassUID": None}, 0xA900, "uid_missing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"}, 0xA900, "uid_mismatch"),
    ],
)
def test_wrong_or_missing_uids_are_refused_and_seen(
    sqlite_engine: Engine, tmp_path: Path, changes: dict[str, Any], status: int, reason: str
) -> None:
    receiver = receiver_on(sqlite_engine, tmp_path)
    receipt = receiver.receive_part10(ORIGIN, ct(**changes))
    assert (status, reason) == (receipt.status, receipt.reason)
    assert [] == files(receiver) == rows(sqlite_engine, Instance)
    [refusal] = rows(sqlite_engine, Refusal)
    assert (f"0x{status:04X}", reason, "10.0.0.1") == (refusal.status, refusal.reason, refusal.peer_address)


@pytest.mark.parametrize("bad", ["../../evil", "ID_0011", "1" * 65, ""])
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_invalid_uids_are_stored_under_a_safe_name_and_flagged_or_refused(
    sqlite_engine: Engine, tmp_path: Path, keyword: str, bad: str
) -> None:
    data = ct(**{keyword: bad})
    refusing = receiver_on(sqlite_engine, tmp_path, invalid_uid="refuse")
    assert (0xA900, "uid_invalid") == answer(refusing.receive_part10(ORIGIN, data))
    accepting = receiver_on(sqlite_engine, tmp_path)
    assert [0, 0] == [accepting.receive_part10(ORIGIN, data).status for _ in range(2)]
    [row] = rows(sqlite_engine, Instance)
    assert row.uid_problem
    assert [row.path] == files(accepting)
    assert bad not in row.path or not bad
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["store"]


def test_no_room_and_no_database_are_never_success(sqlite_engine: Engine, tmp_path: Path) -> None:
    full = receiver_on(sqlite_engine, tmp_path, watermark_bytes=2**62)
    assert (0xA700, "storage_full") == answer(full.receive_part10(ORIGIN, ct()))
    gone = open_engine(f"sqlite:///{tmp_path / 'no folder' / 'x.db'}")
    receiver = receiver_on(gone, tmp_path)
    assert (0x0110, "database_unavailable") == answer(receiver.receive_part10(ORIGIN, ct()))


def test_after_a_database_restart_the_next_instance_is_taken(own_postgres: PostgresServer, tmp_path: Path) -> None:
    engine = open_engine(own_postgres.new_database("restart"))
    Table.metadata.create_all(engine)
    receiver = receiver_on(engine, tmp_path)
    assert receiver.receive_part10(ORIGIN, ct()).status == 0
    own_postgres.stop("immediate")
    data = ct()
    assert receiver.receive_part10(ORIGIN, data).status == 0x0110
    own_postgres.start()
    assert [0, 0] == [receiver.receive_part10(ORIGIN, one).status for one in (data, ct())]
    assert len(rows(engine, Instance)) == 3
    engine.dispose()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ct()[:-10], "truncated"),
        (ct()[:300], "truncated"),
        (ct()[:150], "cannot_understand"),
        (b"", "truncated"),
        (b"GIF89a not DICOM at all, but some text instead of it", "uid_missing"),
    ],
)
def test_broken_bytes_are_refused_and_leave_nothing(sqlite_engine: Engine, tmp_path: Path, data: bytes, reason: str) -> None:
    receiver = receiver_on(sqlite_engine, tmp_path)
    receipt = receiver.receive_part10(ORIGIN, data)
    assert reason == receipt.reason or (receipt.status >= 0xA900 and reason == "uid_missing")
    assert receipt.status in (0xC000, 0xA900)
    assert [] == files(receiver) == rows(sqlite_engine, Instance)


def test_a_file_without_preamble_is_the_same_instance(sqlite_engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(sqlite_engine, tmp_path)
    data = ct()
    start = data.index(b"\x08\x00\x16\x00UI")
    assert [0, 0, 0] == [receiver.receive_part10(ORIGIN, one).status for one in (data, data[start:], data[132:])]
    assert len(rows(sqlite_engine, Instance)) == len(files(receiver)) == 1


def test_too_large_is_refused_before_it_fills_the_disk(sqlite_engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(sqlite_engine, tmp_path, max_instance_bytes=300)
    assert (0xC000, "too_large") == answer(receiver.receive_part10(ORIGIN, ct()))
    assert [] == files(receiver)


def test_a_flood_of_refusals_does_not_fill_the_database(sqlite_engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(sqlite_engine, tmp_path)
    start = time.monotonic()
    for _ in range(300):
        receiver.receive_part10(ORIGIN, b"")
    assert len(rows(sqlite_engine, Refusal)) <= 101 + (time.monotonic() - start)


def test_the_sweep_removes_what_was_never_acknowledged_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(engine, tmp_path)
    kept, killed = ct(), ct()
    receiver.receive_part10(ORIGIN, kept)
    receiver.receive_part10(ORIGIN, killed)
    with engine.begin() as connection:  # as after SIGKILL between rename and commit: the file is there, its row is not
        connection.execute(Instance.__table__.delete().where(Instance.sop_instance_uid == str(dcmread(io.BytesIO(killed)).SOPInstanceUID)))
    (receiver.store.folder / "incoming" / "x.part").write_bytes(b"half")
    assert sweep_store(engine, receiver.store, old_s=3600) == 0
    assert len(files(receiver)) == 3
    assert sweep_store(engine, receiver.store, old_s=-1) == 2
    [row] = rows(engine, Instance)
    assert files(receiver) == [row.path]
    assert receiver.receive_part10(ORIGIN, killed).status == 0
    assert len(files(receiver)) == 2


def test_an_orphan_of_a_killed_receiver_does_not_disturb_its_sender_sending_again(sqlite_engine: Engine, tmp_path: Path) -> None:
    receiver = receiver_on(sqlite_engine, tmp_path)
    data = ct()
    receiver.receive_part10(ORIGIN, data)
    with sqlite_engine.begin() as connection:
        connection.execute(Instance.__table__.delete())
    assert receiver.receive_part10(ORIGIN, data).status == 0
    assert len(rows(sqlite_engine, Instance)) == len(files(receiver)) == 1
