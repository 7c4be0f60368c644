"""Threads in the background outlive whatever goes wrong in them: it is logged, told where people look, and the next look comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ptx_node.db import exports, heartbeats
from ptx_node.db.export_tables import ExportRow
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.inbound.hl7_mllp import MllpServer
from ptx_node.inbound.storage_scp import listen
from ptx_node.pipeline.leases import renewing
from ptx_node.settings import Settings, load
from ptx_node.simulator.processes import wait_until
from ptx_node.wiring.export_folder import exports_folder
from ptx_node.wiring.export_worker import working
from tests.hl7_sender import code, conversation

REQUEST = {
    "since": "2026-03-01",
    "until": "2026-03-31",
    "name": "auditors",
    "truth": "report",
    "identified": True,
    "with_images": False,
    "with_report_text": False,
}


def ask(engine: Engine) -> int:
    with begin_write(engine) as session:
        return exports.ask(session, REQUEST, by="test", now=now())


def ended(engine: Engine, number: int) -> ExportRow:
    """The row, once nothing more is done for it."""
    found: list[ExportRow] = []

    def over() -> bool:
        with begin_read(engine) as session:
            found[:] = [session.get_one(ExportRow, number)]
        return found[0].state in (exports.DONE, exports.FAILED)

    wait_until(over, what=f"export {number} to end", timeout_s=60)
    return found[0]


@pytest.fixture
def site(sqlite_engine: Engine, tmp_path: Path) -> Settings:
    config = tmp_path / "ptx.toml"
    config.write_text(f'[node]\nhome = "home"\n[database]\nurl = "sqlite:///{tmp_path / "ptx.db"}"\n[store]\nwatermark_bytes = 0\n')
    return load(config)


def test_an_export_that_meets_an_error_of_the_system_says_so(sqlite_engine: Engine, site: Settings) -> None:
    """In its own process: what stands in the way is named, not only that a process ended."""
    exports_folder(site).parent.mkdir(parents=True)
    exports_folder(site).write_text("a file where the folder belongs")
    with working(site, sqlite_engine):
        row = ended(sqlite_engine, ask(sqlite_engine))
    assert exports.FAILED == row.state
    assert str(exports_folder(site)) in str(row.error)


def test_exports_go_on_after_any_fault_of_their_thread(sqlite_engine: Engine, site: Settings) -> None:
    """A row that cannot be read holds the others up until it is put right, no longer; a process that cannot begin is told on its row."""
    broken = ask(sqlite_engine)
    with sqlite_engine.begin() as connection:
        connection.execute(text("UPDATE exports SET request = 'no JSON'"))
    # A setting that no other process can be given: the start of one fails as it does for want of memory or descriptors.
    hindered = site.model_copy(update={"config_file": threading.Lock()})
    with working(hindered, sqlite_engine):
        threading.Event().wait(0.2)  # time enough for the first look, which comes at once
        (thread,) = (one for one in threading.enumerate() if one.name == "exports")
        assert thread.is_alive()
        with sqlite_engine.begin() as connection:
            connection.execute(text("UPDATE exports SET request = '{}'"))
        for number in (broken, ask(sqlite_engine)):
            row = ended(sqlite_engine, number)
            assert exports.FAILED == row.state
            assert "an unexpected TypeError ended it. The dashboard's log has more" == row.error, "and not what was in the rows"
        assert thread.is_alive()


def test_a_lease_is_renewed_after_a_renewal_that_failed(sqlite_engine: Engine) -> None:
    asked: list[int] = []

    def renew(_session: Any) -> None:
        asked.append(1)
        if len(asked) == 1:
            raise ValueError("a fault of ours")

    with renewing(sqlite_engine, renew, lease_s=0.1):
        wait_until(lambda: len(asked) > 2, what="the next renewals", timeout_s=10)


def test_a_process_shows_life_after_a_beat_that_failed(sqlite_engine: Engine) -> None:
    asked = threading.Event()

    def detail() -> dict[str, Any]:
        asked.set()
        raise ValueError("the GPU fell off the bus")

    end = heartbeats.start(sqlite_engine, "worker-infer", detail)
    assert asked.wait(10)
    try:
        threading.Event().wait(0.2)
        assert any(one.name == "heartbeat" for one in threading.enumerate())
    finally:
        end()


def test_a_fault_in_an_hl7_answer_ends_its_connection_alone() -> None:
    """Pytest fails this test when the thread ends with an error that nobody caught."""
    heard: list[bytes] = []

    def answer(frame: Any, _address: str) -> Iterator[bytes]:
        heard.append(frame.content)
        if len(heard) == 1:
            raise ValueError("a fault of ours")
        yield b"MSH|^~\\&|NODE\rMSA|AA|1\r"

    listener = listen("127.0.0.1", 0)
    server = MllpServer(listener, answer, max_message_bytes=1000, max_connections=4, message_timeout_s=5)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        port = listener.getsockname()[1]
        with conversation(port) as first, pytest.raises((ConnectionError, EOFError)):
            first.ask(b"MSH|^~\\&|\r")
        with conversation(port) as second:
            assert "AA" == code(second.ask(b"MSH|^~\\&|\r"))
    finally:
        server.stop()
        thread.join()
        listener.close()
