"""The whole way on a real node: radiographs in the morning, ORU messages at noon; what comes out is the simulator's truth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ptx_node.db.reconciled import primary_pairs, standing_counts
from ptx_node.db.session import begin_read
from ptx_node.db.tables import ExaminationRow, RadiologyReport, RadiologyReportVersion, ReportLabelRow, ReportMessage
from ptx_node.domain.reconciliation import TRUTHS, Agreement
from ptx_node.domain.truth import LabelValue
from ptx_node.simulator.modality import all_taken, send_files
from ptx_node.simulator.people import person_of
from ptx_node.simulator.processes import free_ports, wait_until
from ptx_node.simulator.reports.report import Language
from ptx_node.simulator.ris import APPLICATION, AUTHORITY, FACILITY, report_message, send_messages
from ptx_node.simulator.studies import simulate
from tests.hl7_sender import adt
from tests.node import Node, folder_destination
from tests.structured_reports import text_report, write

PATIENTS = 8
FIRST_SEED = 9_400_001
LANGUAGES: tuple[Language, ...] = ("en", "fr")


@pytest.fixture
def node(tmp_path: Path, tiny_bundles: Path) -> Iterator[tuple[Node, int]]:
    """A node whose models always say yes, with a door for reports."""
    (hl7_port,) = free_ports(1)
    sender = {"name": "ris", "application": APPLICATION, "facility": FACILITY}
    made = Node(
        tmp_path / "node",
        tiny_bundles,
        [folder_destination(tmp_path / "out")],
        settings={
            "dicom": {"peers": [{"ae_title": "MODALITY"}]},
            "node": {"home": "home", "site": "SIMULATED SITE", "time_zone": "Europe/Paris"},
            "hl7": {"enabled": True, "port": hl7_port, "senders": [sender]},
        },
    )
    with made.up():
        yield made, hl7_port


def test_the_days_figures_are_those_of_the_simulators_truth(
    node: tuple[Node, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preliminary, final, corrected, sent twice, of an unknown patient, merged: each report counts once, as it stands at last."""
    monkeypatch.setenv("PTX_EXPORT__SECRET", "a key of the tests that keeps pseudonyms apart")
    running, port = node
    seeds = range(FIRST_SEED, FIRST_SEED + PATIENTS)
    studies = [simulate(tmp_path / str(seed), seed, site="toulouse", size=(160, 128)) for seed in seeds]
    assert all_taken([row for study in studies for row in send_files(study.paths, running.peer)])
    running.wait_for_jobs([study.study_instance_uid for study in studies])
    reports = [study.report(LANGUAGES[number % 2]) for number, study in enumerate(studies)]
    messages = [
        report_message(study.patient, report, control_id=f"M{n}") for n, (study, report) in enumerate(zip(studies, reports, strict=True))
    ]
    finals = [_as(message, "F") for message in messages]
    stranger = simulate(tmp_path / "stranger", FIRST_SEED + 500, site="toulouse", size=(160, 128))
    codes = send_messages(
        [
            _as(finals[0], "P", "P0"),  # the preliminary one, and after the final one again
            *finals,
            finals[1],
            _as(finals[0], "P", "P1"),
            report_message(stranger.patient, stranger.report(), control_id="X1"),
        ],
        port,
    )
    assert {"AA"} == set(codes)
    wait_until(lambda: PATIENTS == _placed(running), what="every report with its patient")
    running.ptx("reconcile")
    expected = Counter(_agreement(report.label) for report in reports)
    assert expected == _standing(running)
    # What the rules read is what the simulator wrote.
    with begin_read(running.engine) as session:
        held = {one.study_instance_uid: one for one in primary_pairs(session)}
    assert {study.study_instance_uid: str(report.label) for study, report in zip(studies, reports, strict=True)} == {
        uid: one.label for uid, one in held.items()
    }
    assert all((one.interval_s or 0) > 0 for one in held.values())
    # A correction turns one around; a merge gives the unknown patient's report a home, and its undoing takes it away.
    turned = next(n for n, report in enumerate(reports) if TRUTHS[report.label] is True)
    correction = finals[turned].split(b"OBX|")[0] + b"OBX|1|TX|||No pneumothorax.||||||C\r"
    assert ["AA"] == send_messages([_as(correction, "C", "C1")], port)
    running.ptx("reconcile")
    assert expected - Counter([Agreement.TRUE_POSITIVE]) + Counter([Agreement.FALSE_POSITIVE]) == _standing(running)
    numbers = [f"{person_of(one.patient).patient_id}^^^{AUTHORITY}^MR" for one in (stranger, studies[0])]
    for event, placed in (("A40", PATIENTS + 1), ("A37", PATIENTS)):
        message = adt(event, numbers[1], numbers[0], control_id=event).replace(b"|RIS|HOSPITAL|", f"|{APPLICATION}|{FACILITY}|".encode())
        assert ["AA"] == send_messages([message], port)
        assert placed == _placed(running)
    with begin_read(running.engine) as session:
        assert PATIENTS == session.scalar(select(func.count()).select_from(ExaminationRow))
        assert PATIENTS + 1 == session.scalar(select(func.count()).select_from(RadiologyReport))
        # Two wordings of the first report, the correction, and one of each other.
        assert PATIENTS + 3 == session.scalar(select(func.count()).select_from(RadiologyReportVersion))
        first, last = session.execute(select(func.min(ExaminationRow.examined_on), func.max(ExaminationRow.examined_on))).one()
    # The package for auditors tells the same, and no byte of it is another.
    running.ptx("reconcile")
    at_last = expected - Counter([Agreement.TRUE_POSITIVE]) + Counter([Agreement.FALSE_POSITIVE])
    assert at_last == _standing(running)
    package = tmp_path / "package"
    _ptx(running, "export", "--since", str(first), "--until", str(last), "--out", str(package))
    (model,) = json.loads((package / "data" / "metrics.json").read_text())["models"].values()
    decided = {str(name): at_last[name] for name in Agreement if name is not Agreement.UNDECIDED}
    assert decided == {name: one["value"] for name, one in model["answers"]["table"].items()}
    assert at_last[Agreement.UNDECIDED] == model["counts"]["uncertain"]["value"]
    sensitivity = model["answers"]["sensitivity"]
    assert 1.0 == sensitivity[sensitivity["stated"]]["value"], "the model always says yes"
    _ptx(running, "export", "verify", str(package))
    _ptx(running, "export", "recompute", str(package), config=False)
    # A report may also come as DICOM SR, by the door of the images.
    write(text_report("Left pneumothorax.", PatientID="NOBODY-YET"), tmp_path / "sr.dcm")
    assert all_taken(send_files([tmp_path / "sr.dcm"], running.peer))
    wait_until(lambda: _labels(running, "dicom_sr") == ["positive"], what="the label of a structured report")


def _ptx(node: Node, *words: str, config: bool = True) -> None:
    command = [sys.executable, "-m", "ptx_node", *words, *(("-c", str(node.config)) if config else ())]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert 0 == done.returncode, done.stdout + done.stderr


def _as(message: bytes, status: str, control_id: str = "") -> bytes:
    """The message with another status, and as another message where a control id is given."""
    segments = message.split(b"\r")
    fields = [segment.split(b"|") for segment in segments]
    for one in fields:
        if one[0] == b"OBR":
            one[25] = status.encode()
        if one[0] == b"MSH" and control_id:
            one[9] = control_id.encode()
    return b"\r".join(b"|".join(one) for one in fields)


def _agreement(label: LabelValue) -> str:
    """With a model that always says yes."""
    truth = TRUTHS[label]
    return str(Agreement.UNDECIDED if truth is None else Agreement.TRUE_POSITIVE if truth else Agreement.FALSE_POSITIVE)


def _labels(node: Node, via: str) -> list[str]:
    """Of the reports that came this way."""
    version, label = RadiologyReportVersion, ReportLabelRow
    wanted = select(label.value).join(RadiologyReport, RadiologyReport.label_id == label.id)
    wanted = wanted.join(version, version.report_id == RadiologyReport.id).join(ReportMessage, ReportMessage.id == version.message_id)
    with begin_read(node.engine) as session:
        return list(session.scalars(wanted.where(ReportMessage.via == via)))


def _placed(node: Node) -> int:
    with begin_read(node.engine) as session:
        return session.scalar(select(func.count()).select_from(RadiologyReport).where(RadiologyReport.parked.is_(None))) or 0


def _standing(node: Node) -> Counter[str]:
    with begin_read(node.engine) as session:
        return Counter({name: count for name, count in standing_counts(session).items() if not name.startswith("unmatched")})
