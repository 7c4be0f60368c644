"""Stored reports under another version of the rules, on both databases: what a person said stays, what changed is reconciled."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from ptx_node.cli.app import main
from ptx_node.db import report_review
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import AuditEvent, PairRow, RadiologyReport, ReportLabelRow
from ptx_node.domain.radiology_report import Examination, PatientIdentity, ReportStatus
from ptx_node.domain.reconciliation import Agreement
from ptx_node.domain.truth import LabelValue, ReportLabel
from ptx_node.pipeline import relabel as stage
from ptx_node.pipeline.reconcile import Reconciled, reconcile
from ptx_node.pipeline.relabel import relabel
from ptx_node.pipeline.report_intake import ReportIntake
from ptx_node.reports import labeller
from ptx_node.settings import load
from tests.radiology import MR1, MR2, arrival, label_by_words, make_intake, rows, version
from tests.read_images import finding

TWO = "test 2"
CT_HEAD = Examination("A1", "1.2.840.1", "CT", "", "CT head")


@pytest.fixture
def intake(engine: Engine, tmp_path: Path) -> ReportIntake:
    return make_intake(engine, tmp_path)


def label_otherwise(text: str, examination: Examination) -> ReportLabel:
    """The rules of tomorrow: a trace is nothing."""
    found = replace(label_by_words(text, examination), labeller=TWO)
    return replace(found, value=LabelValue.NEGATIVE) if "trace" in text else found


def run(engine: Engine) -> tuple[int, list[tuple[str, str | None, str, bool]]]:
    portions = list(relabel(engine, label_otherwise, TWO))
    changed = [(one.external_id, one.before, one.after, one.counts) for portion in portions for one in portion.changed]
    return sum(one.labelled for one in portions), changed


def counting(engine: Engine) -> dict[str, tuple[str, str]]:
    """External id -> (label, labeller or reviewer) that counts."""
    with begin_read(engine) as session:
        found = session.execute(
            select(RadiologyReport.external_id, ReportLabelRow).join(ReportLabelRow, ReportLabelRow.id == RadiologyReport.label_id)
        )
        return {name: (label.value, label.reviewer or label.labeller) for name, label in found}


def agreements(engine: Engine) -> dict[int, str]:
    with begin_read(engine) as session:
        return {one.finding_id: one.agreement for one in session.scalars(select(PairRow).where(PairRow.superseded_at.is_(None)))}


def test_what_changed_is_listed_and_reconciled_and_nothing_else_is_touched(engine: Engine, intake: ReportIntake) -> None:
    first, second = finding(engine, "1"), finding(engine, "2")
    intake.take(arrival("1"), [version("A trace of pneumothorax.", external_id="R1")])
    intake.take(arrival("2"), [version("Large pneumothorax.", external_id="R2", patients=(MR2,))])
    intake.take(arrival("3"), [version("", external_id="R3")])
    intake.take(arrival("4"), [version("trace pneumothorax", external_id="R4"), version("", ReportStatus.WITHDRAWN, external_id="R4")])
    reconcile(engine)
    assert {first: Agreement.TRUE_POSITIVE, second: Agreement.TRUE_POSITIVE} == agreements(engine)
    assert (2, [("R1", "positive", "negative", True)]) == run(engine)
    assert {"R1": ("negative", TWO), "R2": ("positive", "test 1")} == {key: counting(engine)[key] for key in ("R1", "R2")}
    assert Reconciled(0, 1, 1, 1) == reconcile(engine)
    assert {first: Agreement.FALSE_POSITIVE, second: Agreement.TRUE_POSITIVE} == agreements(engine)
    assert (0, []) == run(engine)
    again = reconcile(engine, everything=True)
    assert (0, 0) == (again.written, again.superseded)
    with begin_read(engine) as session:
        said = [json.loads(one)["detail"]["labeller"] for one in session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "label"))]
    assert 2 == said.count(TWO)


def test_what_a_person_said_counts_on(engine: Engine, intake: ReportIntake) -> None:
    number = finding(engine)
    intake.take(arrival("1"), [version("A trace of pneumothorax.")])
    with begin_write(engine) as session:
        (report,) = session.scalars(select(RadiologyReport.id))
        report_review.decide(session, report, LabelValue.POSITIVE, laterality=None, reviewer="user ada", note="", now=now())
    reconcile(engine)
    assert (1, [("R1", "positive", "negative", False)]) == run(engine)
    assert {"R1": ("positive", "user ada")} == counting(engine)
    assert Reconciled() == reconcile(engine)
    assert {number: Agreement.TRUE_POSITIVE} == agreements(engine)
    assert 3 == len(rows(engine, ReportLabelRow))


def test_a_report_whose_examination_is_corrected_is_labelled_again(engine: Engine, tmp_path: Path) -> None:
    seen: list[str] = []

    def labeller(text: str, examination: Examination) -> ReportLabel:
        seen.append(examination.procedure_text)
        return label_by_words(text, examination)

    intake = make_intake(engine, tmp_path)
    intake._labeller = labeller
    intake.take(arrival("1"), [version()])
    intake.take(arrival("2"), [version(status=ReportStatus.CORRECTED)])
    intake.take(arrival("3"), [version(status=ReportStatus.CORRECTED, examination=CT_HEAD)])
    assert ["CT chest", "CT head"] == seen


KILLED = """
import sys
from ptx_node.db.session import open_engine
from ptx_node.pipeline import relabel as stage
from tests.integration.test_relabel import TWO, label_otherwise

stage.PORTION = 2
for portion in stage.relabel(open_engine(sys.argv[1]), label_otherwise, TWO):
    print("a portion", flush=True)
"""


def test_killed_in_the_middle_the_next_run_does_the_rest(engine: Engine, intake: ReportIntake) -> None:
    patients = [PatientIdentity("hospital", "MR", str(number)) for number in range(30)]
    reports: list[Any] = [version("trace pneumothorax", external_id=f"R{n}", patients=(one,)) for n, one in enumerate(patients)]
    intake.take(arrival("1"), reports)
    url = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, url], cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "a portion\n" == process.stdout.readline()
        process.kill()
    with begin_read(engine) as session:
        done = session.scalar(select(func.count()).where(ReportLabelRow.labeller == TWO)) or 0
    assert 0 < done
    labelled, changed = run(engine)
    assert (30 - done, 30 - done) == (labelled, len(changed))
    assert 60 == len(rows(engine, ReportLabelRow))
    assert {("negative", TWO)} == set(counting(engine).values())


def test_a_run_can_be_stopped_between_portions(sqlite_engine: Engine, tmp_path: Path) -> None:
    make_intake(sqlite_engine, tmp_path).take(arrival("1"), [version()])
    assert [] == list(stage.relabel(sqlite_engine, label_otherwise, TWO, until=lambda: True))


def test_by_command_with_the_rules_of_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "ptx.toml"
    config.write_text('[node]\ntime_zone = "Europe/Paris"\n[patients]\ndefault_authority = "hospital"\n', encoding="utf-8")
    assert 0 == main(["db", "upgrade", "-c", str(config)])
    engine = open_engine(load(config).database_url)
    finding(engine)
    texts = ("Normal brain. No pneumothorax.", "No pneumothorax.")
    for name, text in zip(("R1", "R2"), texts, strict=True):
        about = {"examination": CT_HEAD} if name == "R1" else {}
        make_intake(engine, tmp_path).take(arrival(name), [version(text, external_id=name, patients=(MR1,), **about)])
    capsys.readouterr()
    assert 0 == main(["reports", "relabel", "-c", str(config)])
    told = capsys.readouterr().out
    assert "negative -> not_covered (examination-elsewhere)" in told
    assert f"2 reports labelled by {labeller()}:" in told
    assert 0 == main(["reports", "relabel", "--json", "-c", str(config)])
    assert 0 == json.loads(capsys.readouterr().out)["labelled"]
    engine.dispose()
