"""A receiver on a free port for the tests: in a thread of the test, or as a site runs it, in processes of its own."""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptx_node import log
from ptx_node.db.session import open_engine
from ptx_node.inbound.commitment_scp import DurableCommitmentScp
from ptx_node.inbound.storage_scp import StorageScp, listen, terms_of
from ptx_node.inbound.supervisor import serve
from ptx_node.inbound.tls import tls_context
from ptx_node.pipeline.receive import Receiver
from ptx_node.pipeline.store import FileStore
from ptx_node.settings import DicomSettings, Peer
from ptx_node.simulator.processes import free_port, port_answers, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

ANYBODY = (Peer(ae_title="*"),)


@dataclass(frozen=True)
class Scp:
    port: int
    store: FileStore
    receiver: Receiver
    scp: StorageScp


def make_receiver(engine: Engine, folder: Path, *, ring: Callable[[], None] = lambda: None, **changes: Any) -> Receiver:
    store = FileStore(folder, watermark_bytes=changes.pop("watermark_bytes", 0))
    return Receiver(engine, store, **{"invalid_uid": "accept", "max_instance_bytes": 10**9, "ring": ring, **changes})


@contextmanager
def scp_in_thread(engine: Engine, folder: Path, *, receiver: Receiver | None = None, **dicom: Any) -> Iterator[Scp]:
    """One receiving process' worth of SCP, in a thread of this one."""
    settings = DicomSettings(**{"peers": ANYBODY, **dicom})
    receiver = receiver or make_receiver(engine, folder)
    listener = listen("127.0.0.1", 0)
    scp = StorageScp(listener, terms_of(settings), receiver, DurableCommitmentScp(engine), tls=tls_context(settings.tls))
    thread = threading.Thread(target=scp.serve, kwargs={"drain_s": 5})
    thread.start()
    try:
        yield Scp(listener.getsockname()[1], receiver.store, receiver, scp)
    finally:
        scp.stop()
        thread.join()
        listener.close()


@contextmanager
def scp_processes(url: str, folder: Path, *, processes: int = 2, drain_s: float = 5) -> Iterator[tuple[int, int]]:
    """The receiver as a site runs it; gives (port, pid of the parent)."""
    port = free_port()
    command = [sys.executable, __file__, "--url", url, "--folder", folder, "--port", port, "--processes", processes, "--drain", drain_s]
    with running(
        [str(word) for word in command],
        log=folder.parent / "receiver.log",
        ready=lambda: port_answers(port),
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as process:
        yield port, process.pid


def main() -> int:
    words = argparse.ArgumentParser()
    words.add_argument("--url")
    words.add_argument("--folder", type=Path)
    words.add_argument("--port", type=int)
    words.add_argument("--processes", type=int)
    words.add_argument("--drain", type=float)
    given = words.parse_args()
    log.configure(level="INFO")

    def build() -> tuple[Receiver, DurableCommitmentScp]:
        engine = open_engine(given.url)
        return make_receiver(engine, given.folder), DurableCommitmentScp(engine)

    settings = DicomSettings(peers=ANYBODY, port=given.port, processes=given.processes)
    return serve(settings, build, drain_s=given.drain)


if __name__ == "__main__":
    sys.exit(main())
