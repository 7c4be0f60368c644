"""Rules: what they matched today, and a changed file over what is here: the same decision as routing makes, within its bounds."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ptx_node.dashboard import rules_page
from ptx_node.dashboard.desk import Desk
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Instance, Job
from ptx_node.domain.access import Role
from ptx_node.domain.decision import Policy
from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.job import JobState
from ptx_node.domain.routing import parse_rules
from ptx_node.pipeline.replay import replay
from tests.dashboard import Dashboard, serving
from tests.dashboard_desk import CHEST, rule_book, stored_day
from tests.dashboard_rows import EVIL

WIDER = CHEST.replace('"seg", "sr"] }', '"seg", "sr"] }, "research"').replace('"chest"', '"thorax"')
NOBODY = CHEST.replace('"DX"', '"CR"')


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    stored_day(sqlite_engine, tmp_path)
    with serving(sqlite_engine, tmp_path, desk=Desk(rule_book=rule_book(tmp_path))) as running:
        yield running


def test_the_rules_and_what_each_did_today(dashboard: Dashboard) -> None:
    with dashboard.person("olaf", Role.OPERATOR) as client:
        with begin_write(dashboard.engine) as session:
            session.query(Job).update({Job.queued_at: now()})  # today, a minute after midnight too
        told = client.get("/api/v1/rules").json()
        (chest,) = told["rules"]
        assert (["Modality is 'DX'"], ["pacs (seg, sr)"]) == (chest["conditions"], chest["destinations"])
        assert 12 == sum(chest["jobs"].values())
        page = client.get("/rules").text
        assert "Modality is &#39;DX&#39;" in page
        assert "name = &#34;chest&#34;" in page, "the box holds the rules that are in force"


def test_a_replay_says_what_would_be_different(dashboard: Dashboard) -> None:
    """The rules in force change nothing; a wider one sends to one more place; a narrower one reads nobody. Only the look is written."""
    with dashboard.person("olaf", Role.OPERATOR) as client:
        before = _rows(dashboard)
        same = client.post("/api/v1/rules/replay", json={"text": CHEST, "studies": 5}).json()
        assert (True, 5, 0, "") == (same["checked"]["usable"], len(same["studies"]), same["changed"], same["ended"])
        wider = client.post("/api/v1/rules/replay", json={"text": WIDER, "studies": 500}).json()
        assert (12, 12) == (len(wider["studies"]), wider["changed"])
        assert [
            "results of ptx-cxr-demo would go to pacs (seg, sr), research (sc, seg, sr)",
            "rule thorax instead of chest",
        ] == wider["studies"][0]["changes"]
        none = client.post("/api/v1/rules/replay", json={"text": NOBODY}).json()
        assert {"ptx-cxr-demo would no longer read it"} == {word for one in none["studies"] for word in one["changes"]}
        page = client.post("/rules/replay", data={"text": NOBODY, "studies": "7"})
        assert "7 of 7 studies would go another way" in page.text
        assert _rows(dashboard) == before
    (last,) = [json.loads(body) for body in dashboard.trail("look")][-1:]
    assert ("user olaf", "rules replay", 7) == (last["actor"], last["detail"]["page"], len(last["detail"]["study_instance_uids"]))


def test_a_rule_file_that_is_wrong_is_said_to_be_so(dashboard: Dashboard) -> None:
    """By the checker of `ptx rules check`; nothing is replayed, and nothing of it is taken for HTML."""
    with dashboard.person("olaf", Role.OPERATOR) as client:
        for text, said in (
            ("[[rules]\n", "this is not TOML"),
            ("rules = [1]", "each begins with [[rules]]"),
            ("x = " + "[" * 5000, "nested deeper"),
            ("a = 1\n" * 2, "this is not TOML"),
        ):
            answer = client.post("/rules/replay", data={"text": text, "studies": "5"})
            assert (400, True) == (answer.status_code, said in answer.text), text[:20]
            assert client.post("/api/v1/rules/check", json={"text": text}).status_code == 400
        evil = client.post("/rules/replay", data={"text": CHEST.replace('"chest"', f"'{EVIL}'").replace("Modality", "Modalitee")})
        assert (200, False) == (evil.status_code, "<script>alert" in evil.text)
        assert "Did you mean Modality" in evil.text
        assert "Nothing was replayed" in evil.text
        unknown = client.post("/api/v1/rules/check", json={"text": CHEST.replace("ptx-cxr-demo", "ptx-cxr-demi")}).json()
        assert (False, ["error"]) == (unknown["usable"], [one["severity"] for one in unknown["problems"]])
        nothing = client.post("/api/v1/rules/replay", json={"text": ""}).json()
        assert (True, 12) == (nothing["checked"]["usable"], nothing["changed"])
        long = "#" * (rules_page.LONGEST_TEXT + 1)
        assert client.post("/rules/replay", data={"text": long}).status_code == 422
        assert client.post("/rules/replay", data={"text": "#" * 5_000_000}).status_code == 413
        assert client.post("/rules/replay", data={"text": CHEST, "studies": "100000"}).status_code == 422


def test_a_replay_ends_within_its_bounds(engine: Engine, tmp_path: Path) -> None:
    """So many headers, so much time; files that are gone or broken are counted, and what an archive gave is left out. On both databases."""
    uids = stored_day(engine, tmp_path, 6)
    book = rule_book(tmp_path)
    policy = Policy(book.rules, book.requirements)
    (tmp_path / "0.dcm").unlink()
    (tmp_path / "1.dcm").write_bytes(b"not DICOM")
    whole = replay(engine, tmp_path.joinpath, policy, uids)
    assert ["", 6] == [whole.ended, len(whole.studies)]
    assert [1, 1, 0, 0, 0, 0] == [one.unreadable for one in whole.studies]
    few = replay(engine, tmp_path.joinpath, policy, uids, most_headers=3)
    assert ("3 headers were read", 3) == (few.ended, len(few.studies))
    late = replay(engine, tmp_path.joinpath, policy, uids, longest_s=0)
    assert ("0 s were over", ()) == (late.ended, late.studies)


def test_a_replay_knows_who_is_told_that_an_image_is_not_eligible(sqlite_engine: Engine, tmp_path: Path) -> None:
    """The report alone goes out of what the model does not read, and only where the rule wants it."""
    uids = stored_day(sqlite_engine, tmp_path, 2)
    with begin_write(sqlite_engine) as session:
        session.query(Job).update({Job.state: JobState.NOT_ELIGIBLE, Job.report_not_eligible: True})
    needs = {"ptx-cxr-demo": Requirements("radiograph", min_rows=1000)}

    def changed(text: str) -> set[tuple[str, ...]]:
        policy = Policy(parse_rules(tomllib.loads(text)["rules"]), needs)
        return {one.changes for one in replay(sqlite_engine, tmp_path.joinpath, policy, uids).studies}

    told = CHEST + "report_not_eligible = true\n"
    assert {()} == changed(told)
    assert {("why ptx-cxr-demo does not read it would go to pacs (sr), research (sr)", "rule thorax instead of chest")} == changed(
        told.replace('"seg", "sr"] }', '"seg", "sr"] }, "research"').replace('"chest"', '"thorax"')
    )
    assert {("why ptx-cxr-demo does not read it would go to nobody",)} == changed(CHEST) == changed(told.replace('"DX"', '"CR"'))


def test_one_replay_at_a_time(dashboard: Dashboard) -> None:
    with dashboard.person("olaf", Role.OPERATOR) as client, rules_page._alone():
        answer = client.post("/api/v1/rules/replay", json={"text": CHEST})
        assert (429, "30") == (answer.status_code, answer.headers["retry-after"])


def _rows(dashboard: Dashboard) -> tuple[int, list[str | None]]:
    with begin_read(dashboard.engine) as session:
        return session.query(Job).count(), [one.route_outcome for one in session.query(Instance).order_by(Instance.id)]
