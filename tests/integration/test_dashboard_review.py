"""Review: a doubtful label and a contradicted finding are decided with one form, once, by whoever was shown them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError

from ptx_node.db import api_tokens, assessments, report_review
from ptx_node.db.assessment_tables import AssessmentRow
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import RadiologyReport, ReportLabelRow
from ptx_node.domain.access import Permission, Role
from ptx_node.domain.assessment import Assessment
from ptx_node.domain.finding import Laterality
from ptx_node.errors import UsageError
from tests.dashboard import Dashboard, serving
from tests.dashboard_review_rows import TEXT, a_report, disagreements
from tests.dashboard_rows import a_day


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    a_day(sqlite_engine, 12)
    with serving(sqlite_engine, tmp_path) as running:
        yield running


def doubtful(dashboard: Dashboard, count: int) -> list[int]:
    with begin_write(dashboard.engine) as session:
        return [a_report(session, number, study="1.2.826.0.1.3680043.10.1.4" if number == 0 else "") for number in range(count)]


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the page's form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', page.split('class="decide"')[1]))


def test_a_doubtful_label_is_decided_and_the_next_one_comes(dashboard: Dashboard) -> None:
    """The text is whole and escaped, what decided is marked, the decision counts, names who decided, and stands in the trail."""
    first, second = doubtful(dashboard, 2)
    with dashboard.person("rita", Role.REVIEWER) as client:
        shown = client.get("/review")
        assert f"Report {second} of ris" in shown.text
        assert '<mark class="evidence">left pneumothorax</mark>' in shown.text
        assert '<mark class="sentence">There is a small </mark>' in shown.text
        assert "&lt;script&gt;" in shown.text
        assert "<script>alert" not in shown.text
        answer = client.post(f"/review/labels/{second}", data=form_of(shown.text) | {"say": "positive right", "note": "seen twice"})
        assert (303, f"/review?done={second}&report={first}") == (answer.status_code, answer.headers["location"])
        after = client.get(answer.headers["location"])
        assert f"Report {first} of ris" in after.text
        assert "/studies/4" in after.text
        assert client.post(f"/review/labels/{first}", data=form_of(after.text) | {"say": "negative"}).status_code == 303
        assert "No label is in doubt" in client.get("/review").text
    with begin_read(dashboard.engine) as session:
        report = session.get_one(RadiologyReport, second)
        label = session.get_one(ReportLabelRow, report.label_id)
        assert ("positive", "right", "user rita", "seen twice") == (label.value, label.laterality, label.reviewer, label.note)
        assert report.reconcile_needed
        assert report_review.doubtful(session, 10) == []
    decisions = [json.loads(body) for body in dashboard.trail("decision")]
    assert [("user rita", second, "positive"), ("user rita", first, "negative")] == [
        (one["actor"], one["detail"]["report"], one["detail"]["value"]) for one in decisions if one["detail"]["what"] == "report label"
    ]
    looks = [json.loads(body)["detail"] for body in dashboard.trail("look")]
    assert [first] in [one["reports"] for one in looks]
    assert ["1.2.826.0.1.3680043.10.1.4"] in [one["study_instance_uids"] for one in looks]


def test_two_people_do_not_decide_on_the_same_screen(dashboard: Dashboard) -> None:
    """The second is told, and nothing of theirs is kept; a wrong word, a missing report and a side of nothing neither."""
    (report,) = doubtful(dashboard, 1)
    with dashboard.person("rita", Role.REVIEWER) as client:
        form = form_of(client.get("/review").text)
        assert client.post(f"/review/labels/{report}", data=form | {"say": "negative"}).status_code == 303
        late = client.post(f"/review/labels/{report}", data=form | {"say": "positive"})
        assert (409, True) == (late.status_code, "Somebody was faster" in late.text)
        assert client.post(f"/review/labels/{report}", data=form | {"say": "<b>"}).status_code == 422
        assert client.get("/review?report=4711").status_code == 404
        assert client.get("/review/findings?finding=1").status_code == 404
        assert client.get(f"/review?report={2**63}").status_code == 422
        said = client.post(f"/api/v1/review/labels/{report}", json={"label": "negative", "laterality": "left"})
        assert (400, True) == (said.status_code, "a side goes with" in said.text)
        assert client.post("/api/v1/review/labels/4711", json={"label": "negative"}).status_code == 400
        assert client.post(f"/api/v1/review/labels/{report}", json={"label": "maybe"}).status_code == 422
        assert client.post(f"/api/v1/review/labels/{report}", json={"label": "uncertain", "laterality": "left"}).status_code == 201
    with begin_read(dashboard.engine) as session:
        assert ["positive", "negative", "uncertain"] == list(session.scalars(select(ReportLabelRow.value).order_by(ReportLabelRow.id)))


def test_nothing_is_marked_in_a_text_that_has_changed(dashboard: Dashboard) -> None:
    (report,) = doubtful(dashboard, 1)
    with begin_write(dashboard.engine) as session:
        session.get_one(RadiologyReport, report).text_sha256 = "1" * 64
    with dashboard.person("rita", Role.REVIEWER) as client:
        shown = client.get(f"/api/v1/review/labels/{report}").json()
        assert (True, [""]) == (shown["text_changed"], [one["mark"] for one in shown["text"]])
        assert "".join(one["text"] for one in shown["text"]) == TEXT
        assert "something else since" in client.get("/review").text


def test_a_contradicted_finding_gets_one_of_three_words(dashboard: Dashboard) -> None:
    """What the model said stays; the word is added, leaves the list, can be said again, and nobody answers an old screen."""
    one, two, three = disagreements(dashboard.engine)
    with dashboard.person("rita", Role.REVIEWER) as client:
        shown = client.get("/review/findings")
        form = form_of(shown.text)
        assert "Is this finding right?" in shown.text
        assert "research use" in shown.text
        answer = client.post(f"/review/findings/{three}", data=form | {"say": "modify left"})
        assert f"/review/findings?done={three}&finding={two}" == answer.headers["location"]
        assert client.post(f"/review/findings/{three}", data=form | {"say": "accept"}).status_code == 409
        assert client.post(f"/api/v1/findings/{two}/assessments", json={"word": "reject", "note": "skin fold"}).status_code == 201
        left = client.get("/api/v1/review/findings").json()
        assert [(one, "false_positive")] == [(row["finding_id"], row["agreement"]) for row in left]
        again = client.get(f"/review/findings?finding={three}")
        assert "modify left" in again.text
        assert client.post(f"/review/findings/{three}", data=form_of(again.text) | {"say": "accept"}).status_code == 303
        said = client.get(f"/api/v1/findings/{three}/assessments").json()
        assert [("accept", None), ("modify", "left")] == [(row["word"], row["laterality"]) for row in said]
        for wrong in ({"word": "modify"}, {"word": "accept", "laterality": "left"}):
            assert client.post(f"/api/v1/findings/{one}/assessments", json=wrong).status_code == 400, wrong
        assert client.post(f"/api/v1/findings/{one}/assessments", json={"word": "agree"}).status_code == 422
        assert client.post("/api/v1/findings/4711/assessments", json={"word": "accept"}).status_code == 400
    words = [json.loads(body)["detail"] for body in dashboard.trail("decision")]
    assert ["modify", "reject", "accept"] == [row["value"] for row in words if row["what"] == "finding assessment"]


def test_words_on_findings_are_added_and_never_changed(engine: Engine) -> None:
    """On both databases, whoever asks."""
    a_day(engine, 3)
    (finding,) = disagreements(engine, 1)
    with begin_write(engine) as session:
        for word in (Assessment.ACCEPT, Assessment.REJECT):
            assessments.assess(session, finding, word, by="user rita", now=now())
        (pair,) = assessments.disagreements(session, 5)
        assessments.assess(session, finding, Assessment.MODIFY, laterality=Laterality.LEFT, pair_id=pair.pair_id, by="user rita", now=now())
    with begin_write(engine) as session:
        assert ["modify", "reject", "accept"] == [row.word for row in assessments.said_of(session, finding)]
        assert assessments.disagreements(session, 5) == []
        with pytest.raises(UsageError, match="is not of finding"):
            assessments.assess(session, finding, Assessment.ACCEPT, pair_id=999, by="user rita", now=now())
    for statement in ("UPDATE finding_assessments SET word = 'accept'", "DELETE FROM finding_assessments"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    with begin_read(engine) as session:
        assert len(session.scalars(select(AssessmentRow)).all()) == 3


def test_reports_are_for_those_who_may_read_them(dashboard: Dashboard) -> None:
    """A token that may decide and not see patients is not shown a word."""
    (report,) = doubtful(dashboard, 1)
    with begin_write(dashboard.engine) as session:
        token = api_tokens.add(session, "blind", [Permission.REVIEW], life=timedelta(days=1), by="test", now=now())
    with dashboard.visitor(headers={"authorization": f"Bearer {token}"}) as client:
        for path in ("/review", "/api/v1/review/labels", f"/api/v1/review/labels/{report}", "/api/v1/review/findings"):
            answer = client.get(path)
            assert (403, False) == (answer.status_code, "pneumothorax" in answer.text), path
