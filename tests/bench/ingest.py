"""How fast instances come in, side by side with other receivers, and what memory the receiver holds afterwards.

    python -m tests.bench.ingest [--runs 5] [--memory 10000] [--json ingest.json]

CT slices of 0.5 MB, distinct, every receiver empty at the start of each run, dcmtk's dcmsend as sender, TCP_NODELAY for
all: one association of 400 instances, then four of 400 at once. Only the ratios mean something on another machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import psutil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import Engine, func, select

from ptx_node.db.session import begin_read, open_engine
from ptx_node.db.tables import Instance
from ptx_node.simulator.pacs import running_pacs
from ptx_node.simulator.processes import free_port, free_ports, port_answers, running, wait_until

BOUND_MB = 150
NODELAY = {"TCP_NODELAY": "1"}
BARE = """
import os, sys
from pathlib import Path
from pynetdicom import AE, evt, AllStoragePresentationContexts, build_context
folder = Path(sys.argv[2])
def store(event):
    with open(folder / event.request.AffectedSOPInstanceUID, "wb") as file:
        file.write(event.encoded_dataset()); file.flush(); os.fsync(file.fileno())
    return 0x0000
ae = AE("BARE"); ae.supported_contexts = [*AllStoragePresentationContexts, build_context('1.2.840.10008.1.1')]; ae.maximum_pdu_size = 131072
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""


def make_slices(folder: Path, count: int, *, seed: int) -> None:
    """Write one series of `count` CT slices, 512 x 512 x 16 bit, each with its own UID, position and noise."""
    folder.mkdir(parents=True)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.Modality, ds.PatientID, ds.PatientName = "CT", f"BENCH{seed}", "Bench^Ingest"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID, ds.SeriesNumber = "20260101", "120000", str(seed), "1", 1
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = generate_uid(), generate_uid(), generate_uid()
    ds.ImageOrientationPatient, ds.PixelSpacing, ds.SliceThickness = [1, 0, 0, 0, 1, 0], [0.7, 0.7], 1.0
    ds.Rows = ds.Columns = 512
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.RescaleIntercept, ds.RescaleSlope = 16, 16, 15, 0, 1
    noise = np.random.default_rng(seed)
    for number in range(count):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SeriesInstanceUID[:50]}.{seed}.{number}"
        ds.InstanceNumber, ds.ImagePositionPatient = number + 1, [0, 0, float(number)]
        ds.PixelData = noise.integers(-1000, 1000, 512 * 512, dtype=np.int16).tobytes()
        ds.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def send(port: int, folders: list[Path]) -> float:
    """Send each folder on an association of its own, all at once; returns seconds from start to the last end."""
    command = [
        "/usr/bin/dcmsend",
        "--no-uid-checks",
        "--scan-directories",
        "-aec",
        "PTX",
        "--max-send-pdu",
        "131072",
        "127.0.0.1",
        str(port),
    ]
    start = time.perf_counter()
    senders = [subprocess.Popen([*command, str(folder)], env=NODELAY, stdout=subprocess.DEVNULL) for folder in folders]
    codes = [sender.wait(600) for sender in senders]
    seconds = time.perf_counter() - start
    if any(codes):
        raise SystemExit(f"dcmsend ended with {codes}")
    return seconds


def wait_for_echo(port: int) -> None:
    """Return when the receiver answers C-ECHO on eight associations in a row: each of its processes has started."""
    command = ["/usr/bin/echoscu", "-aec", "PTX", "127.0.0.1", str(port)]
    for _ in range(8):
        wait_until(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, what="C-ECHO")


Receiver = Callable[[Path], AbstractContextManager[tuple[int, Callable[[], int]]]]
"""Given an empty folder: a running receiver's port, and a function that counts what it holds."""


@contextmanager
def storescp(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    port, target = free_port(), folder / "files"
    target.mkdir(parents=True)
    command = ["/usr/bin/storescp", "--fork", "--max-pdu", "131072", "-aet", "PTX", "-od", str(target), str(port)]
    with running(command, log=folder / "log", ready=lambda: port_answers(port), env=NODELAY):
        yield port, lambda: len(list(target.iterdir()))


@contextmanager
def orthanc(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    with running_pacs(folder, extra={"MaximumPduLength": 131072, "Plugins": []}) as pacs:
        yield pacs.dicom_port, lambda: len(pacs.instances())


@contextmanager
def bare_pynetdicom(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    port, target = free_port(), folder / "files"
    target.mkdir(parents=True)
    command = [sys.executable, "-c", BARE, str(port), str(target)]
    with running(command, log=folder / "log", ready=lambda: port_answers(port), env=NODELAY):
        yield port, lambda: len(list(target.iterdir()))


@contextmanager
def ptx_receive(folder: Path) -> Iterator[tuple[int, int, Engine]]:
    """`ptx receive` as a site runs it: settings from a file, SQLite index, doorbell in a real Redis. Port, process, database."""
    folder.mkdir(parents=True)
    port, redis_port = free_ports(2)
    settings = folder / "ptx.toml"
    settings.write_text(
        f"""[node]
home = "home"
log_level = "WARNING"
[store]
watermark_bytes = 100_000_000
[broker]
url = "redis://127.0.0.1:{redis_port}/0"
[dicom]
port = {port}
[[dicom.peers]]
ae_title = "*"
addresses = ["127.0.0.1"]
""",
        encoding="utf-8",
    )
    redis = ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    ptx = [sys.executable, "-m", "ptx_node"]
    with running(redis, log=folder / "redis.log", ready=lambda: port_answers(redis_port)):
        subprocess.run([*ptx, "db", "upgrade", "-c", settings], check=True, capture_output=True)
        engine = open_engine(f"sqlite:///{folder / 'home' / 'ptx.db'}")
        with running([*ptx, "receive", "-c", settings], log=folder / "log", ready=lambda: port_answers(port)) as process:
            yield port, process.pid, engine
        engine.dispose()


@contextmanager
def node(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    with ptx_receive(folder) as (port, _pid, engine):

        def count() -> int:
            with begin_read(engine) as session:
                return session.scalar(select(func.count(Instance.id))) or 0

        yield port, count


RECEIVERS: dict[str, Receiver] = {
    "dcmtk storescp --fork": storescp,
    "Orthanc": orthanc,
    "bare pynetdicom": bare_pynetdicom,
    "ptx-node": node,
}
CASES = {"1 x 400": 1, "4 x 400": 4}


def measure_speed(work: Path, *, runs: int, count: int, names: list[str]) -> dict[str, dict[str, list[float]]]:
    """Seconds of each run, by receiver and case. The order of the receivers turns from run to run."""
    folders = [work / "slices" / str(number) for number in range(4)]
    for number, folder in enumerate(folders):
        make_slices(folder, count, seed=number)
    seconds: dict[str, dict[str, list[float]]] = {name: {case: [] for case in CASES} for name in names}
    for run in range(runs):
        for name in names[run % len(names) :] + names[: run % len(names)]:
            for case, associations in CASES.items():
                empty = work / "receiver"
                with RECEIVERS[name](empty) as (port, held):
                    wait_for_echo(port)
                    seconds[name][case].append(send(port, folders[:associations]))
                    if held() != associations * count:
                        raise SystemExit(f"{name} holds {held()} instances after {associations * count} were sent")
                shutil.rmtree(empty)
    return seconds


def measure_memory(work: Path, *, total: int) -> dict[str, float]:
    """MB resident in the largest receiver process after a tenth and after all of `total` instances."""
    empty, sent, result = work / "receiver", 0, {}
    batch = max(1, min(250, total // 20))
    with ptx_receive(empty) as (port, pid, _engine):
        wait_for_echo(port)
        while sent < total:
            folders = [work / "memory" / str(number) for number in range(2)]
            for folder in folders:
                make_slices(folder, batch, seed=sent + int(folder.name))
            send(port, folders)
            shutil.rmtree(work / "memory")
            sent += 2 * batch
            largest_mb = max(child.memory_info().rss for child in psutil.Process(pid).children()) / 1e6
            result.setdefault("first", largest_mb)
            if sent <= total / 10:
                result["after a tenth"] = largest_mb
            result["after all"] = largest_mb
    shutil.rmtree(empty)
    return result


def print_table(seconds: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    medians = {name: {case: statistics.median(values) for case, values in cases.items()} for name, cases in seconds.items()}
    table = RichTable(title="Ingest, seconds (median); ratio > 1: ptx-node is faster")
    for column in ("receiver", *(f"{case} {what}" for case in CASES for what in ("s", "ratio"))):
        table.add_column(column)
    ours = medians.get("ptx-node")
    for name, cases in medians.items():
        cells = [text for case in CASES for text in (f"{cases[case]:.2f}", f"{cases[case] / ours[case]:.2f}" if ours else "")]
        table.add_row(name, *cells)
    Console().print(table)
    return medians


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--count", type=int, default=400)
    words.add_argument("--memory", type=int, default=10_000, help="instances after which memory is read; 0: not measured")
    words.add_argument("--only", action="append", choices=list(RECEIVERS))
    words.add_argument("--json", type=Path)
    given = words.parse_args()
    names = given.only or list(RECEIVERS)
    result: dict[str, object] = {}
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ptx-bench-") as folder:
        if given.runs:
            seconds = measure_speed(Path(folder), runs=given.runs, count=given.count, names=names)
            result["seconds"], result["medians"] = seconds, (medians := print_table(seconds))
            if {"Orthanc", "ptx-node"} <= medians.keys():
                missed += [f"{case}: slower than Orthanc" for case in CASES if medians["ptx-node"][case] > medians["Orthanc"][case]]
        if given.memory:
            result["memory_mb"] = memory = measure_memory(Path(folder), total=given.memory)
            print(f"receiver memory, MB in the largest process: { {when: round(mb, 1) for when, mb in memory.items()} }")
            missed += ["memory above 150 MB"] if memory["after all"] > BOUND_MB else []
    print(f"as fast as Orthanc on both, and at most {BOUND_MB} MB: {'; '.join(missed) or 'reached'}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
