"""A whole node and an Orthanc for a benchmark, on free ports, in a temporary folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from ptx_node.db.session import open_engine
from ptx_node.outbound.association import DimsePeer
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port, port_answers, running, wait_until

QUIET_S = 2.0
RULES = f"""
[[rules]]
name = "radiographs"
model = "ptx-cxr-demo"
trigger = "instance"
match = {{ keyword = "Modality", any_of = ["CR", "DX"] }}
destinations = [{{ name = "pacs", kinds = ["seg", "sr"] }}]

[[rules]]
name = "ct"
model = "ptx-ct-demo"
trigger = "series"
quiet_s = {QUIET_S}
match = {{ keyword = "Modality", any_of = ["CT"] }}
destinations = [{{ name = "pacs", kinds = ["seg", "sr"] }}]
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A running node."""

    peer: DimsePeer
    engine: Engine
    pacs: Pacs
    home: Path


@contextmanager
def running_node(folder: Path, *, rules: str = RULES) -> Iterator[Node]:
    """`ptx up` with SQLite and an embedded Redis, delivering to Orthanc; ready when its model is loaded."""
    with running_pacs(folder / "pacs") as pacs:
        port = free_port()
        config = folder / "ptx.toml"
        config.write_text(
            f"""
[node]
home = "home"
[store]
watermark_bytes = 100_000_000
[dicom]
port = {port}
[dashboard]
enabled = false
[[dicom.peers]]
ae_title = "MODALITY"
[[dicom.peers]]
ae_title = "PACS"
[[destinations]]
name = "pacs"
type = "dimse"
host = "127.0.0.1"
port = {pacs.dicom_port}
called_ae = "PACS"
commitment = "none"
kinds = ["seg", "sr"]
{rules}
""",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "ptx_node", "up", "--config", config]
        with running(command, log=folder / "node.log", ready=lambda: port_answers(port), timeout_s=90):
            infer_log = folder / "home" / "logs" / "worker-infer.log"
            wait_until(lambda: infer_log.is_file() and "models are loaded" in infer_log.read_text(), what="the model", timeout_s=120)
            engine = open_engine(f"sqlite:///{folder / 'home' / 'ptx.db'}")
            yield Node(DimsePeer("127.0.0.1", port, "PTX", "MODALITY"), engine, pacs, folder / "home")
            engine.dispose()
