"""The auditors' package of a node's database: what is in it, that it repeats to the byte, and that nothing half or telling stays."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import bagit
import pydicom
import pytest
from rocrate.rocrate import ROCrate
from sqlalchemy import select

from ptx_node.cli.app import main
from ptx_node.db import audit, schema
from ptx_node.db.session import begin_read, open_engine
from ptx_node.db.tables import AuditEvent
from ptx_node.domain.radiology_report import PatientIdentity
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.pipeline.store import FileStore
from ptx_node.simulator.people import person_of
from ptx_node.simulator.processes import wait_until
from ptx_node.simulator.studies import Study, simulate, simulate_hand
from ptx_node.validation import checklists
from tests.case_database import DAY, Hospital
from tests.conftest import PostgresServer

PERIOD = ("--since", "2026-03-01", "--until", "2026-03-31")
SECRET = "a secret of at least 32 bytes, for tests"
PATIENTS = 40
TELLING = (",1.8.", ",1.9.", '"1.8.', '"1.9.', "MRN", "ACC", "ROOM1", "alice")
"""What the fixture's originals are called by."""


@dataclass
class Site:
    """A node's home and database, and who fills it."""

    folder: Path
    hospital: Hospital

    @property
    def config(self) -> Path:
        return self.folder / "ptx.toml"

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own."""
        command = [sys.executable, "-m", "ptx_node", *map(str, words), "-c", str(self.config)]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)

    def events(self) -> list[dict[str, Any]]:
        with begin_read(self.hospital.engine) as session:
            bodies = session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "export").order_by(AuditEvent.sequence))
            return [json.loads(body) for body in bodies]


def make_site(folder: Path, url: str, settings: str = "") -> Site:
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder, Hospital(open_engine(url), folder))
    schema.upgrade(site.hospital.engine)
    text = f'[node]\nhome = "home"\nsite = "Hospital of the tests"\ntime_zone = "Europe/Paris"\n[database]\nurl = "{url}"\n'
    site.config.write_text(text + '[store]\nwatermark_bytes = 0\n[dicom]\npeers = [{ ae_title = "ROOM1" }]\n' + settings)
    return site


def truth_of(number: int) -> bool:
    return number % 3 == 0


def called_of(number: int) -> bool:
    return truth_of(number) != (number % 10 == 0)


def fill(site: Site) -> None:
    """So many patients, whose truth and answer are known by their number; one radiograph without a report, one not eligible."""
    for number in range(1, PATIENTS + 1):
        day = DAY + timedelta(days=number % 20)
        outcome = "positive" if called_of(number) else "negative"
        site.hospital.read(f"MRN{number:05}", day=day, outcome=outcome, image={"accession_number": f"ACC{number:05}"})
        text = "Left pneumothorax." if truth_of(number) else "No pneumothorax."
        site.hospital.told(text, f"MRN{number:05}", day=day)
    site.hospital.read("MRN90001")
    site.hospital.read("MRN90002", outcome="not_eligible", reason="lateral_view", probability=None, threshold=None)
    reconcile(site.hospital.engine)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTX_EXPORT__SECRET", SECRET)


@pytest.fixture
def ptx(secret: None, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process: exit code, and what was said."""

    def run(*words: str | Path) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        return code, "".join(capfd.readouterr())

    return run


Ptx = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    """A filled node on SQLite, and its package."""
    folder = tmp_path_factory.mktemp("site")
    site = make_site(folder, f"sqlite:///{folder / 'ptx.db'}")
    fill(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTX_EXPORT__SECRET", SECRET)
        assert 0 == main(["export", *PERIOD, "--out", str(folder / "package"), "-c", str(site.config)])
    yield site, folder / "package"
    site.hospital.engine.dispose()


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_figures_are_those_of_the_known_truth(exported: tuple[Site, Path], ptx: Ptx) -> None:
    site, package = exported
    metrics = json.loads((package / "data" / "metrics.json").read_text())
    (model,) = metrics["models"].values()
    numbers = range(1, PATIENTS + 1)
    expected = {
        "true_positive": sum(truth_of(n) and called_of(n) for n in numbers),
        "false_positive": sum(not truth_of(n) and called_of(n) for n in numbers),
        "false_negative": sum(truth_of(n) and not called_of(n) for n in numbers),
        "true_negative": sum(not truth_of(n) and not called_of(n) for n in numbers),
    }
    assert expected == {name: cell["value"] for name, cell in model["answers"]["table"].items() if name in expected}
    scores = [((0.9 if called_of(n) else 0.1) + 0.0001234567 * n, truth_of(n)) for n in numbers]
    pairs = [(a > b) + (a == b) / 2 for a, positive in scores if positive for b, other in scores if not other]
    assert sum(pairs) / len(pairs) == pytest.approx(model["discrimination"]["auc"]["value"], abs=1e-12)
    flow = json.loads((package / "data" / "flow.json").read_text())
    assert expected == {end["name"]: end["count"] for end in flow["ends"]}
    assert {"no_report_that_day": "1", "not_eligible": "1"} == {
        row["reason"]: row["count"] for row in rows_of(package / "data" / "exclusions.csv")
    }
    (event,) = site.events()
    assert event["actor"].startswith("user ")
    assert ("2026-03-01", "2026-03-31", PATIENTS + 2, PATIENTS) == tuple(
        event["detail"][name] for name in ("since", "until", "cases", "counted")
    )
    code, said = ptx("export", "verify", package, "--json")
    assert (0, event["detail"]["package_sha256"]) == (code, json.loads(said)["package_sha256"])
    assert 0 == ptx("export", "recompute", package)[0]


def test_the_package_is_whole_and_of_nobody(exported: tuple[Site, Path]) -> None:
    site, package = exported
    assert bagit.Bag(str(package)).is_valid()
    crate = ROCrate(package / "data")
    described = {one.id for one in crate.data_entities}
    files = {name.removeprefix("data/") for name in all_bytes(package) if name.startswith("data/")}
    assert files - {"ro-crate-metadata.json"} == described
    for name in checklists.NAMES:
        for item in checklists.load(name).items:
            assert all((package / "data" / where).exists() for where in item.where), item
    made_elsewhere = (".png", ".svg", ".pdf", ".html", "software.cdx.json")  # coordinates and versions look like the fixture's UIDs
    texts = b"\n".join(data for name, data in all_bytes(package).items() if not name.endswith(made_elsewhere))
    for word in (*TELLING, "Hospital of the tests", SECRET, str(site.folder)):
        assert word.encode() not in texts.replace(b"2.25.", b""), word
    days = {row["examined_on"] for row in rows_of(package / "data" / "cases.csv")}
    assert all(date.fromisoformat(day) < date(2026, 3, 22) for day in days if day)


def test_the_same_snapshot_gives_the_same_bytes(exported: tuple[Site, Path]) -> None:
    """Whatever clock, zone, language and hash seed, and although the first export is itself a row of the trail."""
    site, package = exported
    before = all_bytes(package)
    odd = {
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "7",
        "PTX_EXPORT__SECRET": SECRET,
        "COLUMNS": "40",
    }
    command = [sys.executable, "-m", "ptx_node", "export", *PERIOD, "--out", str(site.folder / "again"), "-c", str(site.config)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280, env={**os.environ, **odd}, cwd="/")
    assert 0 == done.returncode, done.stderr
    again = all_bytes(site.folder / "again")
    assert list(before) == list(again)
    assert [] == [name for name in before if before[name] != again[name]]
    assert 2 == len(site.events())


def test_a_flipped_byte_is_found_in_every_file(exported: tuple[Site, Path], ptx: Ptx) -> None:
    _, package = exported
    for name, data in all_bytes(package).items():
        place = len(data) // 2
        (package / name).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        code, said = ptx("export", "verify", package)
        assert 1 == code, name
        assert name in said or "manifest" in name
        (package / name).write_bytes(data)
    assert 0 == ptx("export", "verify", package)[0]


def test_changed_cases_are_found_by_computing_again(exported: tuple[Site, Path], ptx: Ptx) -> None:
    """Even when somebody has written the manifests anew."""
    _, package = exported
    path = package / "data" / "cases.csv"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"true_positive", b"false_positive", 1).replace(b",positive,", b",negative,", 1))
    code, said = ptx("export", "recompute", package)
    path.write_bytes(whole)
    assert 1 == code, said


def test_audit_rows_are_held_against_the_nodes_trail(exported: tuple[Site, Path], ptx: Ptx, tmp_path: Path) -> None:
    site, package = exported
    code, said = ptx("export", "verify", package, "-c", site.config)
    assert (0, True) == (code, "in the trail of this node" in said)
    other = make_site(tmp_path / "other", f"sqlite:///{tmp_path / 'other.db'}")
    other.hospital.read()
    code, said = ptx("export", "verify", package, "-c", other.config)
    assert (1, True) == (code, "row 1 is not in the trail of this node" in said)


def test_postgresql_and_identified(ptx: Ptx, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """An identified package has the site's own names, the texts, and the rows as they are hashed."""
    server = request.getfixturevalue("postgres")
    site = make_site(tmp_path / "site", server.new_database("export"))
    fill(site)
    package = tmp_path / "package"
    code, said = ptx("export", *PERIOD, "--out", package, "--identified", "--with-report-text", "-c", site.config)
    assert 0 == code, said
    assert "it stays at the site" in said
    rows = rows_of(package / "data" / "cases.csv")
    assert {"MRN00001^^^hospital", "MRN90002^^^hospital"} <= {row["patient"] for row in rows}
    assert {"Left pneumothorax.", "No pneumothorax."} == {row["text"] for row in rows_of(package / "data" / "reports.csv")}
    with begin_read(site.hospital.engine) as session:
        bodies = [one.body for one in audit.entries(session)]
    assert bodies[:-1] == (package / "data" / "audit" / "rows.jsonl").read_text().splitlines()
    assert 0 == ptx("export", "verify", package, "-c", site.config)[0]
    site.hospital.engine.dispose()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--with-report-text"], "--with-report-text needs --identified"),
        (["--identified", "--with-images"], "de-identified only"),
        (["--name", "../x"], "cannot name an export"),
        (["--since", "2026-04-01"], "before it begins"),
        (["--until", "soon"], "is no day"),
    ],
)
def test_what_contradicts_itself_is_refused(exported: tuple[Site, Path], ptx: Ptx, tmp_path: Path, words: list[str], said: str) -> None:
    site, _ = exported
    code, told = ptx("export", *PERIOD, "--out", tmp_path / "out", *words, "-c", site.config)
    assert (2, True) == (code, said in told), told
    assert [] == list(tmp_path.iterdir())


def test_no_secret_no_pseudonyms(exported: tuple[Site, Path], ptx: Ptx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, package = exported
    monkeypatch.delenv("PTX_EXPORT__SECRET")
    code, said = ptx("export", *PERIOD, "--out", tmp_path / "out", "-c", site.config)
    assert (2, True) == (code, "export.secret is not set" in said)
    monkeypatch.setenv("PTX_EXPORT__SECRET", SECRET)
    code, said = ptx("export", *PERIOD, "--out", package, "-c", site.config)
    assert (2, True) == (code, "not empty" in said)


def test_a_killed_export_leaves_a_partial_folder_that_the_next_removes(exported: tuple[Site, Path], secret: None) -> None:
    site, package = exported
    kill_and_export_again(site)
    assert all_bytes(package) == all_bytes(site.folder / "killed")


def test_a_killed_export_goes_on_where_postgresql_is(ptx: Ptx, tmp_path: Path, postgres: PostgresServer) -> None:
    site = make_site(tmp_path / "site", postgres.new_database("killed_export"))
    for number, text in enumerate(("Left pneumothorax.", "No pneumothorax.")):
        site.hospital.read(f"MRN{number}")
        site.hospital.told(text, f"MRN{number}")
    reconcile(site.hospital.engine)
    kill_and_export_again(site)
    assert 0 == ptx("export", "verify", site.folder / "killed", "-c", site.config)[0]
    site.hospital.engine.dispose()


def kill_and_export_again(site: Site) -> None:
    """SIGKILL of an export that has most of its files; then the same command."""
    out, partial = site.folder / "killed", site.folder / "killed.partial"
    events = len(site.events())
    command = [sys.executable, "-m", "ptx_node", "export", *PERIOD, "--out", str(out), "-c", str(site.config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((partial / "data" / "metrics.json").exists, what="half an export", timeout_s=250, interval_s=0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (True, False, events) == (partial.is_dir(), out.exists(), len(site.events()))
    again = site.run("export", *PERIOD, "--out", out)
    assert 0 == again.returncode, again.stderr
    assert (False, events + 1) == (partial.exists(), len(site.events()))


def test_a_full_disk_leaves_nothing(exported: tuple[Site, Path], ptx: Ptx, tmp_path: Path) -> None:
    site, _ = exported
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", disk], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        code, said = ptx("export", *PERIOD, "--out", disk / "package", "-c", site.config)
        assert (1, True) == (code, "no space is left" in said), said
        assert [] == list(disk.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_leak_is_caught_and_nothing_leaves(ptx: Ptx, tmp_path: Path) -> None:
    """Somebody typed the patient's number into the name of the apparatus, and the site asks for no small cells."""
    site = make_site(tmp_path / "site", f"sqlite:///{tmp_path / 'ptx.db'}", "[export]\nsmallest_cell = 1\n")
    site.hospital.read("MRN4711", examination={"manufacturer_model_name": "of mrn4711"})
    site.hospital.told("Left pneumothorax.", "MRN4711")
    reconcile(site.hospital.engine)
    code, said = ptx("export", *PERIOD, "--out", tmp_path / "package", "-c", site.config)
    assert (1, True) == (code, "patient number" in said), said
    assert "4711" not in said
    assert not list(tmp_path.glob("package*"))
    assert [] == site.events()
    site.hospital.engine.dispose()


def add_image(site: Site, study: Study) -> None:
    """A simulated study in the store, answered."""
    store = FileStore(site.folder / "home" / "store", watermark_bytes=0)
    (path,) = study.paths
    ds = pydicom.dcmread(path)
    stored = store.put(f"instances/{path.name}", path.read_bytes())
    uids = {"sop_instance_uid": ds.SOPInstanceUID, "series_instance_uid": ds.SeriesInstanceUID, "study_instance_uid": ds.StudyInstanceUID}
    number = person_of(study.patient).patient_id
    site.hospital.read(number, image={**uids, "path": stored.path, "issuer_of_patient_id": "SIMULATED"})
    site.hospital.told("Left pneumothorax.", number, patients=(PatientIdentity("simulated", "MR", number),))


def test_images_go_with_it_de_identified_and_what_may_not_is_named(ptx: Ptx, tmp_path: Path) -> None:
    site = make_site(tmp_path / "site", f"sqlite:///{tmp_path / 'ptx.db'}")
    first = simulate(tmp_path / "1", 9_700_001, site="toulouse", size=(64, 64))
    telling = simulate_hand(tmp_path / "2", 9_700_002)
    ds = pydicom.dcmread(telling.paths[0])
    ds.BurnedInAnnotation = "YES"
    ds.save_as(telling.paths[0])
    for study in (first, telling):
        add_image(site, study)
    reconcile(site.hospital.engine)
    code, said = ptx("export", *PERIOD, "--out", tmp_path / "package", "--with-images", "-c", site.config)
    assert 0 == code, said
    assert "1 images, 1 left out" in said
    rows = rows_of(tmp_path / "package" / "data" / "images.csv")
    assert {"", "text_in_pixels"} == {row["left_out_because"] for row in rows}
    (file,) = [row["file"] for row in rows if row["file"]]
    image = pydicom.dcmread(tmp_path / "package" / "data" / file)
    cases = {row["case_id"]: row for row in rows_of(tmp_path / "package" / "data" / "cases.csv")}
    case = cases[image.SOPInstanceUID]
    assert (case["patient"], case["study"], "YES") == (image.PatientID, image.StudyInstanceUID, image.PatientIdentityRemoved)
    original = pydicom.dcmread(first.paths[0])
    assert original.PixelData == image.PixelData
    assert 0 == ptx("export", "verify", tmp_path / "package")[0]
    about = (tmp_path / "package" / "bag-info.txt").read_text()
    assert "Contains-Simulated-Data: yes, only" in about
    assert "SIMULATED" in (tmp_path / "package" / "data" / "report.html").read_text()
    site.hospital.engine.dispose()
