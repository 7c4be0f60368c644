"""`ptx cohort` as a person uses it: a simulated hospital's reports in a table, its radiographs in an Orthanc; the figures are its truth."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, func, select, update

from ptx_node.cli.app import main
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import (
    AuditEvent,
    Cohort,
    CohortMember,
    Delivery,
    FindingRow,
    Instance,
    Job,
    PairRow,
    RadiologyReport,
    Result,
    Retrieval,
)
from ptx_node.settings import load
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_ports
from ptx_node.wiring.prediction import predict
from tests.cohort_hospital import Hospital, fill, simulate_hospital
from tests.node import CXR

PERIOD = ("--since", "2026-01-01", "--until", "2026-12-31")
CONFIG = """
[node]
home = "home"
time_zone = "Europe/Paris"

DATABASE
[store]
watermark_bytes = WATERMARK

[worker]
torch_threads = 1
device = "cpu"

MODELS
[[archives]]
name = "pacs"
type = "dimse"
host = "127.0.0.1"
port = DICOM
called_ae = "PACS"
studies_per_minute = 6000

[[archives]]
name = "web"
type = "dicomweb"
url = "WEB"
studies_per_minute = 6000
window = "WINDOW"

[[archives]]
name = "away"
type = "dimse"
host = "127.0.0.1"
port = NOBODY
called_ae = "AWAY"
timeout_s = 2

[[destinations]]
name = "out"
type = "folder"
folder = "out"

[[rules]]
name = "everything"
model = "MODEL"
trigger = "instance"
match = { keyword = "Modality", any_of = ["CR", "DX"] }
destinations = [{ name = "out" }]
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return simulate_hospital(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def archive_pacs(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with running_pacs(tmp_path_factory.mktemp("pacs") / "pacs") as pacs:
        fill(pacs, hospital)
        yield pacs


@dataclass
class Site:
    """A node's home with the hospital's reports in it."""

    folder: Path
    text: str
    say: Callable[[], tuple[str, str]]

    @property
    def config(self) -> Path:
        return self.folder / "ptx.toml"

    @property
    def engine(self) -> Engine:
        return open_engine(load(self.config).database_url)

    def configure(self, *, window: str = "", per_minute: int = 6000, watermark_bytes: int = 1_000_000) -> None:
        text = self.text.replace("WINDOW", window).replace("= 6000", f"= {per_minute}")
        self.config.write_text(text.replace("WATERMARK", str(watermark_bytes)))

    def ptx(self, *words: str) -> tuple[int, Any]:
        """Run a command with --json; exit code, and what it printed as JSON, else what it said."""
        self.say()
        code = main([*words, "-c", str(self.config), "--json"])
        out, err = self.say()
        return code, json.loads(out) if out.startswith(("{", "[")) else out + err

    def build(self, *words: str, name: str = "c1", archive: str = "pacs") -> tuple[int, Any]:
        return self.ptx("cohort", "build", name, *PERIOD, "--archive", archive, *words)

    def rows(self) -> list[tuple[Any, ...]]:
        """What the cohorts and what they caused come to, by names that do not depend on when anything came."""
        member, engine = CohortMember, self.engine
        wanted = (
            select(
                *(Cohort.name, Cohort.state, RadiologyReport.external_id, member.state, member.exclusion, member.code, member.turn),
                *(member.positive, member.interval_s, Instance.sop_instance_uid, FindingRow.outcome, FindingRow.probability, Job.state),
                *(Retrieval.state, PairRow.agreement, PairRow.secondary_reason),
            )
            .select_from(member)
            .join(Cohort, Cohort.id == member.cohort_id)
            .join(RadiologyReport, RadiologyReport.id == member.report_id)
            .outerjoin(Instance, Instance.id == member.instance_id)
            .outerjoin(FindingRow, FindingRow.id == member.finding_id)
            .outerjoin(Job, Job.id == member.job_id)
            .outerjoin(Retrieval, (Retrieval.study_instance_uid == Instance.study_instance_uid) & (Retrieval.why == Cohort.name))
            .outerjoin(
                PairRow, (PairRow.finding_id == FindingRow.id) & (PairRow.report_id == member.report_id) & PairRow.superseded_at.is_(None)
            )
        )
        with begin_read(engine) as session:
            found = [tuple(row) for row in session.execute(wanted)]
        engine.dispose()
        return sorted(found, key=str)

    def count(self, table: Any) -> int:
        engine = self.engine
        with begin_read(engine) as session:
            found = session.scalar(select(func.count()).select_from(table))
        engine.dispose()
        return found or 0


@pytest.fixture
def make_site(
    hospital: Hospital, archive_pacs: Pacs, tiny_bundles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Site]:
    """A site whose model is a tiny one that always says yes, unless the shipped one is asked for."""

    def make(name: str = "site", *, shipped: bool = False, backwards: bool = False, url: str = "") -> Site:
        folder = tmp_path / name
        folder.mkdir()
        values = {
            "DATABASE": f'[database]\nurl = "{url}"\n' if url else "",
            "MODELS": "" if shipped else f'[models]\n{CXR} = "{tiny_bundles / CXR}"\n',
            "DICOM": str(archive_pacs.dicom_port),
            "WEB": archive_pacs.dicomweb_url,
            "NOBODY": str(free_ports(1)[0]),
            '"MODEL"': f'"{"ptx-cxr-demo" if shipped else CXR}"',
        }
        text = CONFIG
        for word, value in values.items():
            text = text.replace(word, value)
        site = Site(folder, text, lambda: tuple(capsys.readouterr()))  # type: ignore[arg-type,return-value]
        site.configure()
        assert 0 == main(["db", "upgrade", "-c", str(site.config)])
        table, mapping = hospital.table(folder, backwards=backwards)
        assert 0 == main(["reports", "import", str(table), "--map", str(mapping), "-c", str(site.config)])
        return site

    return make


def reasons(flow: dict[str, Any]) -> dict[str, int]:
    """Why members left, and how many are counted."""
    left = {one["reason"]: one["count"] for step in flow["steps"] for one in step["left"]}
    return left | {"counted": flow["steps"][-1]["count"]}


def test_the_flow_and_the_figures_are_the_simulators_truth(make_site: Callable[..., Site], hospital: Hospital, tmp_path: Path) -> None:
    """With the model that ships: what is counted is what `ptx predict` says of the same files, and nothing goes out."""
    site = make_site(shipped=True)
    code, answer = site.build()
    assert (0, None, None, "complete") == (code, answer["blocked"], answer["window_opens_at"], answer["cohort"]["state"])
    assert hospital.expected == reasons(answer["flow"])
    assert sum(hospital.expected.values()) == answer["flow"]["steps"][0]["count"]
    said = {row["sop_instance_uid"]: row for row in predict(load(site.config), list(hospital.files()), model=None, out=None)}
    counted = [row for row in site.rows() if row[3] == "counted"]
    assert hospital.groups == {row[2]: row[7] for row in counted}
    for row in counted:
        assert said[row[9]]["label"] == row[10]
        assert said[row[9]]["probability"] == pytest.approx(row[11], abs=1e-6)
        assert row[15] is None, "the pair with its report is primary"
    right = sum((row[10] == "positive") == row[7] for row in counted)
    assert right == round(answer["figures"]["accuracy"]["accuracy"]["wilson"]["value"] * len(counted))
    assert {row[2] for row in counted if row[7]} == {name for name, positive in hospital.groups.items() if positive}
    assert (0, 0) == (site.count(Result), site.count(Delivery))
    assert [] == list(site.folder.rglob("out/*.dcm"))
    assert 0 == main(["audit", "verify", "-c", str(site.config)])
    engine = site.engine
    with begin_read(engine) as session:
        kinds = list(session.scalars(select(AuditEvent.kind)))
        decided = [body for body in session.scalars(select(AuditEvent.body)) if '"what":"build cohort"' in body]
    engine.dispose()
    assert (1, len(counted)) == (len(decided), kinds.count("inference"))

    # Again, and with other words.
    before = site.rows()
    assert 0 == site.build()[0]
    assert before == site.rows()
    code, said_so = site.build("--seed", "2")
    assert 2 == code
    assert "seed is 1, not 2" in said_so
    # Another cohort of the same model finds what was read already, and calls by the threshold that holds now.
    jobs = site.count(Job)
    assert 0 == main(["thresholds", "set", "ptx-cxr-demo", "1.0", "--note", "a test", "-c", str(site.config)])
    code, balanced = site.build("--balanced", "2", name="c2")
    assert (0, jobs) == (code, site.count(Job))
    assert (2, 2) == tuple(sum(row[7] is group for row in site.rows() if row[0] == "c2" and row[3] == "counted") for group in (True, False))
    assert balanced["flow"]["steps"][-1]["count"] == 4
    assert (1.0, answer["cohort"]["threshold"]) == (balanced["cohort"]["threshold"], site.build()[1]["cohort"]["threshold"])
    assert 0 == balanced["figures"]["table"]["true_positive"] < answer["figures"]["table"]["true_positive"]
    assert [("c2", 4), ("c1", len(counted))] == [(one["name"], one["counted"]) for one in site.ptx("cohort", "list")[1]]

    # A person says otherwise: told, and changed nowhere.
    number = str(report_number(site, counted[0][2]))
    assert 0 == main(["reports", "review", number, "--label", "uncertain", "-c", str(site.config)])
    code, shown = site.ptx("cohort", "show", "c1", "--flow", str(tmp_path / "flow.json"))
    assert (0, 1) == (code, shown["labels_changed"])
    assert answer["flow"] == shown["flow"] == json.loads((tmp_path / "flow.json").read_text())
    assert answer["figures"] == shown["figures"]


def report_number(site: Site, name: str) -> int:
    engine = site.engine
    with begin_read(engine) as session:
        number = session.scalar(select(RadiologyReport.id).where(RadiologyReport.external_id == name))
    engine.dispose()
    assert number is not None
    return number


@pytest.mark.parametrize("archive", ["pacs", "web"])
def test_a_balanced_draw_depends_on_the_seed_alone(make_site: Callable[..., Site], hospital: Hospital, archive: str) -> None:
    """Reports that came in another order, another archive protocol: the same patients, one radiograph each, none in both groups."""
    drawn = []
    for name, backwards in (("one", False), ("other", True)):
        site = make_site(f"{name}-{archive}", backwards=backwards)
        code, answer = site.build("--balanced", "2", "--seed", "7", archive=archive)
        assert (0, 4) == (code, answer["flow"]["steps"][-1]["count"])
        counted = [row for row in site.rows() if row[3] == "counted"]
        assert (2, 2) == tuple(sum(row[7] is group for row in counted) for group in (True, False))
        assert 4 == len({row[2].split("-")[0] for row in counted})
        assert {row[2]: row[7] for row in counted}.items() <= hospital.groups.items()
        drawn.append(site.rows())
    assert drawn[0] == drawn[1]
    others = reasons(answer["flow"])["not_drawn"]
    assert others >= len(hospital.groups) - 4


def test_what_was_killed_goes_on_to_the_same_end(make_site: Callable[..., Site], database_url: str) -> None:
    """SIGKILL when the first study is here, and when the first radiograph was read; at last the rows are those of an undisturbed run."""
    undisturbed = make_site("undisturbed")
    assert 0 == undisturbed.build()[0]
    site = make_site("killed", url=database_url)
    # Slow enough that there is a middle to be killed in.
    site.configure(per_minute=40)
    kill_when(site, lambda engine: exists(engine, Instance.id))
    assert site.count(Instance) < undisturbed.count(Instance)
    site.configure()
    let_leases_pass(site)
    kill_when(site, lambda engine: exists(engine, Job.id, Job.started_at.is_not(None)))
    assert "building" == site.ptx("cohort", "show", "c1")[1]["cohort"]["state"]
    let_leases_pass(site)
    assert 0 == site.build()[0]
    assert undisturbed.rows() == site.rows()
    for table in (Instance, Retrieval, Job, FindingRow, CohortMember, Cohort):
        assert undisturbed.count(table) == site.count(table), table
    assert 0 == main(["audit", "verify", "-c", str(site.config)])


def kill_when(site: Site, seen: Callable[[Engine], bool]) -> None:
    """Start the command as a process of its own, and kill it as soon as a row is there."""
    command = [sys.executable, "-m", "ptx_node", "cohort", "build", "c1", *PERIOD, "--archive", "pacs", "-c", str(site.config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    engine = site.engine
    try:
        end = time.monotonic() + 120
        while not seen(engine) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before there was anything to see"
    finally:
        process.kill()
        process.wait()
        engine.dispose()


def exists(engine: Engine, column: Any, *where: Any) -> bool:
    with begin_read(engine) as session:
        return session.scalar(select(column).where(*where).limit(1)) is not None


def let_leases_pass(site: Site) -> None:
    """As if a minute had gone by."""
    engine = site.engine
    with begin_write(engine) as session:
        for table in (Retrieval, Job):
            session.execute(update(table).where(table.lease_expires_at.is_not(None)).values(lease_expires_at=now() - timedelta(seconds=1)))
    engine.dispose()


def test_an_archive_away_or_closed_and_a_full_disk_cost_nobody_his_place(make_site: Callable[..., Site], hospital: Hospital) -> None:
    site = make_site()
    code, answer = site.build(archive="away", name="c0")
    assert (1, True) == (code, "AWAY" in answer["blocked"])
    assert {"waiting": sum(step["count"] for step in answer["flow"]["steps"][2:3])} == {
        reason: count for step in answer["flow"]["steps"][2:] for one in step["left"] for reason, count in [(one["reason"], one["count"])]
    }
    later = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(hours=12)
    site.configure(window=f"{later:%H:%M}-{later + timedelta(minutes=1):%H:%M}")
    code, answer = site.build(archive="web")
    assert (0, None, "building") == (code, answer["blocked"], answer["cohort"]["state"])
    assert answer["window_opens_at"] is not None
    assert 0 == site.count(Instance)
    site.configure(watermark_bytes=10**15)
    code, answer = site.build(archive="web")
    assert (1, True, 0) == (code, "room" in answer["blocked"], site.count(Instance))
    site.configure(window=f"{later:%H:%M}-{later + timedelta(minutes=1):%H:%M}")
    code, answer = site.build("--now", archive="web")
    assert (0, "complete") == (code, answer["cohort"]["state"])
    assert hospital.expected == reasons(answer["flow"])
    # A radiograph that a modality has just sent, on a node that does not run, is nobody's yet.
    engine = site.engine
    with begin_write(engine) as session:
        first = session.scalar(select(func.min(CohortMember.instance_id)))
        unrouted = {"via": "dimse", "routed_at": None, "registered_at": None}
        session.execute(update(Instance).where(Instance.id == first).values(**unrouted))
    code, answer = site.build(name="c2")
    assert (1, True) == (code, "ptx up" in answer["blocked"])
    with begin_write(engine) as session:
        session.execute(update(Instance).where(Instance.id == first).values(routed_at=now()))
    engine.dispose()
    assert hospital.expected == reasons(site.build(name="c2")[1]["flow"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--balanced", "0"), "N patients in each group"),
        (("--balanced", "2", "--consecutive"), "exclude each other"),
        (("--interval", "2 days"), "write 6h or 90m"),
        (("--model", "none"), "ptx models"),
        (("--archive", "none"), "pacs, web, away"),
        (("--since", "2027-01-01"), "ends (2026-12-31) before it begins"),
    ],
)
def test_what_is_asked_wrongly_says_how(make_site: Callable[..., Site], words: tuple[str, ...], told: str) -> None:
    site = make_site()
    code, said = site.ptx("cohort", "build", "c1", *PERIOD, "--archive", "pacs", *words)
    assert (2, True) == (code, told in said), said
    assert [] == site.ptx("cohort", "list")[1]
