"""What a person says of a report: it counts before the rules, stays through corrections, and is in the audit trail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ptx_node.cli.app import main
from ptx_node.db.report_review import decide, doubtful, text_of
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.tables import AuditEvent, ReportLabelRow
from ptx_node.domain.finding import Laterality
from ptx_node.domain.radiology_report import Examination, ReportStatus
from ptx_node.domain.truth import LabelValue, ReportLabel, ReviewReason
from ptx_node.errors import UsageError
from ptx_node.pipeline.report_intake import ReportIntake
from ptx_node.pipeline.store import FileStore
from tests.radiology import SITE, arrival, image, label_by_words, label_of, rows, the_report, version

DOUBT = "Right pneumothorax. Impression: lungs clear."


def doubting(text: str, examination: Examination) -> ReportLabel:
    """As `label_by_words`, in doubt wherever an impression is told."""
    label = label_by_words(text, examination)
    doubts = (ReviewReason.IMPRESSION_AGAINST_FINDINGS,) if "Impression" in text else ()
    return replace(label, review=doubts, sentence=(0, text.find(".") + 1))


@pytest.fixture
def intake(engine: Engine, tmp_path: Path) -> ReportIntake:
    image(engine, "1")
    return ReportIntake(engine, FileStore(tmp_path / "store", watermark_bytes=0), labeller=doubting, authorities=SITE)


def test_doubtful_labels_are_listed_until_a_person_has_decided(engine: Engine, intake: ReportIntake) -> None:
    intake.take(arrival("1"), [version(DOUBT)])
    intake.take(arrival("2"), [version("No pneumothorax.", external_id="R2")])
    with begin_read(engine) as session:
        (found,) = doubtful(session, 10)
    assert ("positive", ("impression_against_findings",), "Right pneumothorax.") == (found.label, found.review, found.sentence)
    with begin_write(engine) as session:
        decide(session, found.report_id, LabelValue.RESOLVED, laterality=None, reviewer="user ines", note="", now=now())
        assert [] == doubtful(session, 10)


def test_a_persons_label_stays_when_the_report_is_corrected_and_is_asked_for_again(engine: Engine, intake: ReportIntake) -> None:
    intake.take(arrival("1"), [version(DOUBT)])
    report = the_report(engine)
    with begin_write(engine) as session:
        decide(session, report.id, LabelValue.POSITIVE, laterality=Laterality.RIGHT, reviewer="user ines", note="seen", now=now())
    intake.take(arrival("2"), [version("No pneumothorax.", ReportStatus.CORRECTED)])
    assert "positive" == label_of(engine, the_report(engine))
    assert [None, "user ines", None] == [row.reviewer for row in rows(engine, ReportLabelRow)]
    with begin_read(engine) as session:
        (again,) = doubtful(session, 10)
        assert ("text_changed",) == again.review
    with begin_write(engine) as session:
        decide(session, report.id, LabelValue.NEGATIVE, laterality=None, reviewer="user ines", note="", now=now())
        assert [] == doubtful(session, 10)
    report = the_report(engine)
    assert ("negative", True) == (label_of(engine, report), report.reconcile_needed)


def test_a_report_that_is_not_there_cannot_be_decided(engine: Engine) -> None:
    with begin_write(engine) as session, pytest.raises(UsageError, match="ptx reports review"):
        decide(session, 99, LabelValue.NEGATIVE, laterality=None, reviewer="user ines", note="", now=now())


def test_the_command_lists_shows_and_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert 0 == main(["init"])
    assert 0 == main(["db", "upgrade"])
    engine = open_engine(f"sqlite:///{tmp_path / 'ptx-home' / 'ptx.db'}")
    image(engine, "1")
    ReportIntake(engine, FileStore(tmp_path / "store", watermark_bytes=0), labeller=doubting, authorities=SITE).take(
        arrival("1"), [version(DOUBT)]
    )
    with begin_read(engine) as session:
        assert DOUBT == text_of(session, the_report(engine))
    capfd.readouterr()
    assert 0 == main(["reports", "review", "--json"])
    (listed,) = json.loads(capfd.readouterr().out)
    assert 0 == main(["reports", "review", str(listed["report_id"]), "--text"])
    assert DOUBT in capfd.readouterr().out
    assert 2 == main(["reports", "review", "99"])
    assert 2 == main(["reports", "review", str(listed["report_id"]), "--label", "negative", "--side", "left"])
    assert 0 == main(["reports", "review", str(listed["report_id"]), "--label", "negative", "--note", "skin fold"])
    with begin_read(engine) as session:
        events = [json.loads(body) for body in session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "decision"))]
    assert "report label" == events[-1]["detail"]["what"]
    capfd.readouterr()
    assert 0 == main(["reconcile", "--json"])
    assert 1 == json.loads(capfd.readouterr().out)["run"]["reports"]
    engine.dispose()
