"""Peers that break the rules, fall silent, go away or come all at once: a clear end, nothing half-stored, nothing else harmed."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
from pathlib import Path

import psutil
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from sqlalchemy import Engine, func, select

sys.path.insert(0, str(Path(__file__).parent))
from scp_parts import Scp, scp_in_thread, scp_processes

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Instance
from ptx_node.simulator.processes import wait_until
from tests import factories

ABORT, RELEASE_RP, ACCEPT = 0x07, 0x06, 0x02


def count(engine: Engine) -> int:
    with begin_read(engine) as session:
        return session.scalar(select(func.count(Instance.id))) or 0


def files(scp: Scp) -> list[Path]:
    return [path for path in scp.store.folder.rglob("*") if path.is_file()]


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def proposal() -> bytes:
    def item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(body)) + body

    context = b"\x01\0\0\0" + item(0x30, CTImageStorage.encode()) + item(0x40, ExplicitVRLittleEndian.encode())
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3")
    head = b"\0\1\0\0" + b"PTX".ljust(16) + b"RAW".ljust(16) + bytes(32)
    return pdu(0x01, head + item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user))


def store_command(sop_instance_uid: str = "1.2.3.4") -> bytes:
    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    numbers = ((0x0100, 1), (0x0110, 7), (0x0700, 0), (0x0800, 1))
    body = element(0x0002, CTImageStorage.encode()) + b"".join(element(n, struct.pack("<H", v)) for n, v in numbers)
    body += element(0x1000, sop_instance_uid.encode())
    return element(0, struct.pack("<I", len(body))) + body


def pdv(data: bytes, control: int, context_id: int = 1) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def connect(scp: Scp, *, associate: bool = True) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", scp.port), timeout=20)
    if associate:
        sock.sendall(proposal())
        assert ACCEPT == read_pdu(sock)[0]
    return sock


def read_pdu(sock: socket.socket) -> tuple[int, bytes]:
    with sock.makefile("rb", buffering=0) as file:
        head = file.read(6)
        body = b""
        while head and len(body) < struct.unpack(">I", head[2:])[0]:
            body += file.read(struct.unpack(">I", head[2:])[0] - len(body))
        return (head[0], body) if head else (0, b"")


def data_set() -> bytes:
    raw = factories.as_file(factories.ct_series(1)[0])
    return raw[raw.index(b"\x08\0\x05\0CS") :]


def test_a_silent_peer_is_aborted_after_the_idle_time(sqlite_engine: Engine, tmp_path: Path) -> None:
    with scp_in_thread(sqlite_engine, tmp_path / "s", idle_timeout_s=0.3) as scp:
        before_association, established, half = connect(scp, associate=False), connect(scp), connect(scp)
        half.sendall(pdu(4, pdv(store_command(), 3) + pdv(data_set()[:1000], 0)))
        assert [ABORT] * 3 == [read_pdu(sock)[0] for sock in (before_association, established, half)]
        wait_until(lambda: not files(scp), what="the half instance to be gone")
        assert 0 == count(sqlite_engine)


@pytest.mark.parametrize("how", ["abort", "close"])
def test_an_instance_that_breaks_off_leaves_nothing(sqlite_engine: Engine, tmp_path: Path, how: str) -> None:
    with scp_in_thread(sqlite_engine, tmp_path / "s") as scp:
        sock = connect(scp)
        sock.sendall(pdu(4, pdv(store_command(), 3)) + pdu(4, pdv(data_set()[:5000], 0)))
        wait_until(lambda: bool(files(scp)), what="the first bytes")
        if how == "abort":
            sock.sendall(pdu(7, bytes(4)))
        sock.close()
        wait_until(lambda: not files(scp), what="the half instance to be gone")
        assert 0 == count(sqlite_engine)


def test_a_truncated_instance_is_refused_and_the_association_goes_on(sqlite_engine: Engine, tmp_path: Path) -> None:
    ds = factories.ct_series(1)[0]
    with scp_in_thread(sqlite_engine, tmp_path / "s") as scp, connect(scp) as sock:
        for data, status in ((data_set()[:-7], 0xC000), (data_set(), 0x0000)):
            sock.sendall(pdu(4, pdv(store_command(ds.SOPInstanceUID), 3)) + pdu(4, pdv(data[:9000], 0)) + pdu(4, pdv(data[9000:], 2)))
            kind, body = read_pdu(sock)
            assert 4 == kind
            assert struct.pack("<HHIH", 0, 0x0900, 2, status) in body
            assert struct.pack("<HHIH", 0, 0x0120, 2, 7) in body
        sock.sendall(pdu(5, bytes(4)))
        assert RELEASE_RP == read_pdu(sock)[0]
        assert 1 == count(sqlite_engine) == len(files(scp))


BROKEN = {
    "not DICOM": (False, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "data before an association": (False, pdu(4, pdv(b"x", 3))),
    "a proposal of nothing": (False, pdu(1, b"")),
    "a proposal of zeros": (False, pdu(1, bytes(500))),
    "an oversized proposal": (False, struct.pack(">BxI", 1, 2**31)),
    "an oversized PDU": (True, struct.pack(">BxI", 4, 2**31)),
    "a PDV larger than its PDU": (True, pdu(4, struct.pack(">IBB", 900, 1, 3) + b"x")),
    "a PDV cut in its header": (True, pdu(4, b"\0\0")),
    "an unknown context": (True, pdu(4, pdv(store_command(), 3, context_id=77))),
    "a broken command": (True, pdu(4, pdv(b"\0\0\2\0\xff\xff\0\0", 3))),
    "a command without its field": (True, pdu(4, pdv(b"\0\0\2\0\2\0\0\0ab", 3))),
    "a data set without command": (True, pdu(4, pdv(b"x", 2))),
    "a command instead of a data set": (True, pdu(4, pdv(store_command(), 3) + pdv(store_command(), 3))),
    "a second proposal": (True, proposal()),
    "an unknown PDU": (True, pdu(0x42, b"")),
}


@pytest.mark.parametrize("what", BROKEN)
def test_bytes_that_break_the_protocol_end_in_an_abort(sqlite_engine: Engine, tmp_path: Path, what: str) -> None:
    associate, data = BROKEN[what]
    with scp_in_thread(sqlite_engine, tmp_path / "s") as scp:
        with connect(scp, associate=associate) as sock:
            sock.sendall(data)
            kind, body = read_pdu(sock)
            assert (ABORT, 2) == (kind, body[2])
        wait_until(lambda: not files(scp), what="what was begun to be gone")
        with connect(scp):
            assert 0 == count(sqlite_engine)


def test_random_bytes_harm_nobody(sqlite_engine: Engine, tmp_path: Path) -> None:
    with scp_in_thread(sqlite_engine, tmp_path / "s", idle_timeout_s=1) as scp:
        for number in range(20):
            with connect(scp, associate=number % 2 == 0) as sock:
                sock.sendall(bytes([4] if number % 3 else [1]) + os.urandom(200))
        ae = AE("MODALITY")
        ae.add_requested_context("1.2.840.10008.1.1")
        assoc = ae.associate("127.0.0.1", scp.port, ae_title="PTX")
        assert 0x0000 == assoc.send_c_echo().Status
        assoc.release()


def test_two_hundred_associations_at_once(sqlite_engine: Engine, tmp_path: Path) -> None:
    """All are open together, each stores an instance, each gets its answer."""
    data, total = data_set(), 200
    gate, statuses = threading.Barrier(total), []
    original = factories.ct_series(1)[0].SOPInstanceUID

    def one(scp: Scp, number: int) -> None:
        uid = f"{original[:-4]}{1000 + number}"
        mine = data.replace(original.encode(), uid.encode())
        with connect(scp) as sock:
            gate.wait(60)
            sock.sendall(pdu(4, pdv(store_command(uid), 3)) + pdu(4, pdv(mine, 2)))
            statuses.append(struct.pack("<HHIH", 0, 0x0900, 2, 0) in read_pdu(sock)[1])

    with scp_in_thread(sqlite_engine, tmp_path / "s", max_associations=200) as scp:
        threads = [threading.Thread(target=one, args=(scp, number)) for number in range(total)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [True] * total == statuses
        assert total == count(sqlite_engine) == len(files(scp))


def test_shutdown_finishes_the_instance_on_its_way_and_aborts_the_idle(sqlite_engine: Engine, tmp_path: Path) -> None:
    uid = factories.ct_series(1)[0].SOPInstanceUID
    with scp_in_thread(sqlite_engine, tmp_path / "s") as scp:
        idle, busy = connect(scp), connect(scp)
        data = data_set()
        busy.sendall(pdu(4, pdv(store_command(uid), 3)) + pdu(4, pdv(data[:5000], 0)))
        wait_until(lambda: bool(files(scp)), what="the first bytes")
        scp.scp.stop()
        assert ABORT == read_pdu(idle)[0]
        busy.sendall(pdu(4, pdv(data[5000:], 2)))
        kind, body = read_pdu(busy)
        assert 4 == kind
        assert struct.pack("<HHIH", 0, 0x0900, 2, 0) in body
        assert ABORT == read_pdu(busy)[0]
    assert 1 == count(sqlite_engine)


def test_what_was_acknowledged_before_a_kill_is_there(sqlite_engine: Engine, tmp_path: Path) -> None:
    """SIGKILL of every receiving process while instances flow: each success that was answered is a row and a file."""
    data, original = data_set(), factories.ct_series(1)[0].SOPInstanceUID
    acknowledged: list[str] = []
    with scp_processes(f"sqlite:///{tmp_path / 'ptx.db'}", tmp_path / "store") as (port, pid):
        enough = threading.Event()

        def send() -> None:
            sock = socket.create_connection(("127.0.0.1", port), timeout=20)
            try:
                sock.sendall(proposal())
                read_pdu(sock)
                for number in range(10_000):
                    uid = f"{original[:-4]}{1000 + number}"
                    sock.sendall(pdu(4, pdv(store_command(uid), 3)) + pdu(4, pdv(data.replace(original.encode(), uid.encode()), 2)))
                    if struct.pack("<HHIH", 0, 0x0900, 2, 0) not in read_pdu(sock)[1]:
                        return
                    acknowledged.append(uid)
                    if len(acknowledged) == 15:
                        enough.set()
            except OSError:
                return

        sender = threading.Thread(target=send)
        sender.start()
        assert enough.wait(60)
        for child in psutil.Process(pid).children():
            os.kill(child.pid, signal.SIGKILL)
        sender.join(30)
    with begin_read(sqlite_engine) as session:
        stored = {row.sop_instance_uid: row for row in session.scalars(select(Instance))}
    assert set(acknowledged) <= set(stored)
    for row in stored.values():
        assert row.size_bytes == (tmp_path / "store" / row.path).stat().st_size
