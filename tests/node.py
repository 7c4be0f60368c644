"""A real node for the tests: `ptx up` (or single roles) as processes, with a configuration of its own on free ports."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import torch
from sqlalchemy import Engine, select

from ptx_node.db import overview
from ptx_node.db.session import begin_read, now, open_engine
from ptx_node.db.tables import Instance, Refusal
from ptx_node.model.bundle import save_bundle
from ptx_node.model.metadata import Decision
from ptx_node.model.network import PneumothoraxNet
from ptx_node.outbound.association import DimsePeer
from ptx_node.settings import Settings, load
from ptx_node.simulator.pacs import Pacs
from ptx_node.simulator.processes import free_ports, port_answers, running, wait_until

CXR, CT = "tiny-cxr", "tiny-ct"
TOKEN = "token-of-the-tests"
FINAL = frozenset({"done", "not_eligible", "quarantined", "superseded"})
RULES = f"""
[[rules]]
name = "chest radiographs"
model = "{CXR}"
trigger = "instance"
match = {{ keyword = "Modality", any_of = ["CR", "DX"] }}
destinations = [{{ name = "pacs" }}]

[[rules]]
name = "chest CT"
model = "{CT}"
trigger = "series"
quiet_s = 1
match = {{ keyword = "Modality", any_of = ["CT"] }}
destinations = [{{ name = "pacs" }}]
"""


def write_bundles(folder: Path) -> Path:
    """Two small bundles of random weights that always answer positive, with every pixel in the mask."""
    for name, reads in ((CXR, "radiograph"), (CT, "ct")):
        torch.manual_seed(0)
        channels = (64, 32, 16, 8, 4)
        decision = Decision(class_threshold=0.0, pixel_threshold=0.0, min_pixels=1, smooth_mm=0.0)
        metadata = {
            "name": name,
            "version": "0.0.1",
            "ptx": {
                "manufacturer": "ptx-node tests",
                "reads": reads,
                "input_size": 64,
                "decision": {key: getattr(decision, key) for key in ("class_threshold", "pixel_threshold", "min_pixels", "smooth_mm")},
                "requirements": {},
            },
        }
        network = PneumothoraxNet("resnet10", channels)
        arguments = {"backbone": "resnet10", "decoder_channels": list(channels)}
        save_bundle(folder / name, network=network, metadata=metadata, arguments=arguments, card="Random weights, for tests.")
    return folder


def dimse_destination(pacs: Pacs, *, commitment: str = "auto", kinds: Sequence[str] = ("seg", "sr"), name: str = "pacs") -> dict[str, Any]:
    """A `[[destinations]]` table: this PACS by C-STORE, retried quickly."""
    return {
        "name": name,
        "type": "dimse",
        "host": "127.0.0.1",
        "port": pacs.dicom_port,
        "called_ae": pacs.ae_title,
        "kinds": list(kinds),
        "commitment": commitment,
        "commitment_timeout_s": 5.0,
        "timeout_s": 10.0,
        "retry": {"first_delay_s": 0.3, "max_delay_s": 2.0},
    }


def dicomweb_destination(pacs: Pacs, *, kinds: Sequence[str] = ("seg", "sr"), name: str = "pacs") -> dict[str, Any]:
    """A `[[destinations]]` table: this PACS by STOW-RS, proven by QIDO-RS."""
    retry = {"first_delay_s": 0.3, "max_delay_s": 2.0}
    return {"name": name, "type": "dicomweb", "url": pacs.dicomweb_url, "kinds": list(kinds), "timeout_s": 10.0, "retry": retry}


def folder_destination(folder: Path, *, kinds: Sequence[str] = ("seg", "sr"), name: str = "pacs") -> dict[str, Any]:
    """A `[[destinations]]` table: a folder."""
    return {"name": name, "type": "folder", "folder": str(folder), "kinds": list(kinds)}


@dataclass
class Node:
    """One node's home, configuration and processes. Its rows are read directly; `ptx(…)` asks as a person would.

    Args:
        settings: groups of `ptx.toml` that differ from those of `_defaults`, merged into them.
        rules: `[[rules]]` as text.
    """

    folder: Path
    bundles: Path
    destinations: Sequence[dict[str, Any]]
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: str = RULES
    port: int = 0
    stow_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _engine: Engine | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.port:
            self.port, self.stow_port = free_ports(2)
        self.config.write_text(self._toml(), encoding="utf-8")

    @property
    def config(self) -> Path:
        return self.folder / "ptx.toml"

    @property
    def loaded(self) -> Settings:
        return load(self.config)

    @property
    def store(self) -> Path:
        return self.loaded.store_folder

    @property
    def peer(self) -> DimsePeer:
        """Where a modality sends to."""
        return DimsePeer("127.0.0.1", self.port, "PTX", "MODALITY", 20.0)

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self.loaded.database_url)
        return self._engine

    @contextmanager
    def up(self) -> Iterator[Node]:
        """`ptx up` while the block runs; its log stands in the error when it does not start."""
        command = [sys.executable, "-m", "ptx_node", "up", "-c", self.config]
        with running(
            command,
            log=self.folder / "up.log",
            ready=lambda: port_answers(self.port) and port_answers(self.stow_port),
            timeout_s=60,
            env={"TCP_NODELAY": "1"},
        ) as process:
            self.process = process
            try:
                yield self
            finally:
                self.process = None
        if self._engine is not None:
            self._engine.dispose()

    def ptx(self, *words: str) -> Any:
        """A `ptx … --json` command on this node, decoded."""
        command = [sys.executable, "-m", "ptx_node", *words, "-c", str(self.config), "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)

    def retry_jobs(self) -> None:
        """`ptx jobs retry --all`."""
        command = [sys.executable, "-m", "ptx_node", "jobs", "retry", "--all", "-c", str(self.config)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def status(self) -> dict[str, Any]:
        with begin_read(self.engine) as session:
            return overview.status(session, now=now())

    def jobs(self, *, study: str | None = None) -> list[dict[str, Any]]:
        with begin_read(self.engine) as session:
            return overview.jobs(session, overview.JobFilter(study_instance_uid=study, limit=100_000))

    def deliveries(self) -> list[dict[str, Any]]:
        with begin_read(self.engine) as session:
            return overview.deliveries(session, destination=None, state=None, limit=100_000)

    def instances(self) -> dict[str, Instance]:
        with begin_read(self.engine) as session:
            return {one.sop_instance_uid: one for one in session.scalars(select(Instance))}

    def refusals(self) -> list[Refusal]:
        with begin_read(self.engine) as session:
            return list(session.scalars(select(Refusal).order_by(Refusal.id)))

    def wait_for_jobs(self, studies: Sequence[str], *, timeout_s: float = 60.0) -> dict[str, dict[str, Any]]:
        """The newest job of each study, once all of them have come to an end."""

        def ended() -> bool:
            found = {job["study_instance_uid"]: job["state"] for job in reversed(self.jobs())}
            return all(found.get(study) in FINAL for study in studies)

        wait_until(ended, what=f"{len(studies)} studies to be answered", timeout_s=timeout_s, interval_s=0.1)
        return {job["study_instance_uid"]: job for job in reversed(self.jobs()) if job["study_instance_uid"] in studies}

    def wait_for_delivery(self, count: int, *, states: Sequence[str] = ("committed",), timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """All deliveries, once there are `count` and each is in one of `states`."""

        def arrived() -> bool:
            found = self.deliveries()
            return len(found) >= count and all(one["state"] in states for one in found)

        wait_until(arrived, what=f"{count} deliveries to be {' or '.join(states)}", timeout_s=timeout_s, interval_s=0.1)
        return self.deliveries()

    def processes(self, *words: str) -> list[psutil.Process]:
        """The live processes of a role, forks included: those below `ptx up` whose command holds all these words."""
        assert self.process is not None
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if one.status() != psutil.STATUS_ZOMBIE and all(word in one.cmdline() for word in words):
                    found.append(one)
            except psutil.NoSuchProcess:
                continue
        return found

    def _toml(self) -> str:
        groups = self._defaults()
        for name, values in self.settings.items():
            groups.setdefault(name, {}).update(values)
        peers = groups["dicom"].pop("peers")
        lines = [f"[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in values.items()) for name, values in groups.items()]
        lines += ["[[dicom.peers]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in peer.items()) for peer in peers]
        lines += ["[[destinations]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in one.items()) for one in self.destinations]
        return "\n".join([*lines, self.rules])

    def _defaults(self) -> dict[str, dict[str, Any]]:
        return {
            "node": {"home": "home"},
            "store": {"watermark_bytes": 1_000_000},
            "dicom": {"port": self.port, "processes": 2, "peers": [{"ae_title": name} for name in ("MODALITY", "PACS", "DCMSEND")]},
            "dashboard": {"enabled": False},  # its port is not among those chosen above; tests/integration/test_dashboard*.py open it
            "stow": {"enabled": True, "port": self.stow_port, "bearer_tokens": [TOKEN]},
            "worker": {
                "lease_s": 5.0,
                "retry_delay_s": 0.2,
                "sweep_interval_s": 0.3,
                "torch_threads": 1,
                "device": "cpu",
                "delivery_threads": 4,
            },
            "models": {CXR: str(self.bundles / CXR), CT: str(self.bundles / CT)},
        }


def _value(value: Any) -> str:
    """A TOML value: JSON's are the same, but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def dcmsend(port: int, *paths: Path, calling: str = "MODALITY", called: str = "PTX") -> subprocess.CompletedProcess[bytes]:
    """Send with dcmtk, files as they are."""
    command = ["/usr/bin/dcmsend", "--decompress-never", "--aetitle", calling, "--call", called, "127.0.0.1", str(port), *map(str, paths)]
    return subprocess.run(command, check=False, capture_output=True, timeout=120, env={**os.environ, "TCP_NODELAY": "1"})


def data_set_bytes(path: Path) -> bytes:
    """A Part 10 file without its preamble and File Meta Information (PS3.10 section 7.1): what travels in a C-STORE."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 140)
    return data[144 + length :]


def stow(node: Node, *files: bytes, token: str = TOKEN) -> httpx.Response:
    """Files by STOW-RS in one request (PS3.18 10.5), with a bearer token."""
    boundary = "boundary-of-the-tests"
    body = b"".join(b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), data) for data in files)
    return httpx.post(
        f"http://127.0.0.1:{node.stow_port}/dicomweb/studies",
        content=body + f"--{boundary}--\r\n".encode(),
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            "Authorization": f"Bearer {token}",
        },
        timeout=60,
    )
