"""Find and Now over rows of a day: by every word that people have in hand, without harm, and without patients for auditors."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from ptx_node.db import activity, senders, study_search
from ptx_node.db.session import begin_read, begin_write, now, open_engine
from ptx_node.db.study_search import Effort, Wanted
from ptx_node.db.tables import Instance, PatientMerge
from ptx_node.domain.access import Role
from tests import year
from tests.dashboard import Dashboard, serving
from tests.dashboard_rows import EVIL, a_day, a_study


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    a_day(sqlite_engine)
    with serving(sqlite_engine, tmp_path, destinations=("pacs", "research")) as running:
        yield running


def test_a_study_is_found_by_every_word_that_people_have(engine: Engine) -> None:
    """On both databases; numbers as a whole, AE titles in any case."""
    uids = a_day(engine, 30)
    wanted = uids[7]
    with begin_read(engine) as session:
        for term in ("A000007", "SIM00007", wanted, f"{wanted}.1", f"{wanted}.1.1", f"{wanted}.9.1", " A000007 "):
            assert [wanted] == [one.study_instance_uid for one in study_search.search(session, Wanted(term), 10)], term
        for term in ("A00000", "SIM", "%", "'; DROP TABLE jobs; --", EVIL[:5], "9" * 200):
            assert [] == study_search.search(session, Wanted(term), 10), term
        of_ct = study_search.search(session, Wanted("ct_er"), 100)
        assert {uids[number] for number in range(0, 30, 3)} == {one.study_instance_uid for one in of_ct}
        assert of_ct == sorted(of_ct, key=lambda one: one.received_at, reverse=True)
        assert [] == study_search.search(session, Wanted("A000007", patients=False), 10)
        assert 10 == len(study_search.search(session, Wanted("CT_ER", patients=False), 100))


def test_filters_and_pages_leave_nothing_out_and_repeat_nothing(engine: Engine) -> None:
    uids = a_day(engine, 40)
    with begin_read(engine) as session:
        quarantined = study_search.search(session, Wanted(state="quarantined"), 100)
        assert {uids[number] for number in range(5, 40, 11)} == {one.study_instance_uid for one in quarantined}
        positive = study_search.search(session, Wanted(outcome="positive"), 100)
        assert all(one.outcomes == ["positive"] for one in positive)
        seen, before = [], None
        while page := study_search.search(session, Wanted(before=before), 7):
            seen += [one.study_instance_uid for one in page]
            before = page[-1].received_at
        assert sorted(uids) == sorted(seen)
        recent = study_search.search(session, Wanted(since=now() - timedelta(hours=5)), 100)
        assert 0 < len(recent) < 20


def test_a_search_whose_time_is_over_says_where_it_goes_on_and_loses_nothing(sqlite_engine: Engine) -> None:
    """One in twelve of 7,000 studies: more than are looked at in one go."""
    year.fill(sqlite_engine, 7_000)
    wanted, found = Wanted(outcome="positive"), []
    with begin_read(sqlite_engine) as session:
        everything = [one.study_instance_uid for one in study_search.search(session, wanted, 10_000)]
        for _ in range(10):
            effort = Effort(until_s=0.0)
            found += [one.study_instance_uid for one in study_search.search(session, wanted, 10_000, effort)]
            if not effort.over:
                break
            number = study_search.number_of(session, effort.last)
            assert number is not None
            wanted = Wanted(outcome="positive", before=study_search.last_received(session, number))
    assert wanted.before is not None, "it took more than one go"
    assert everything == found
    assert len(everything) > study_search.SIFTED


def test_a_patient_whose_numbers_were_joined_is_found_by_either(sqlite_engine: Engine) -> None:
    """The numbers' person is asked for, not the text of the image."""
    from ptx_node.db.tables import PatientIdentifier  # noqa: PLC0415

    a_day(sqlite_engine, 4)
    with begin_write(sqlite_engine) as session:
        rows = {row.value: row for row in session.query(PatientIdentifier)}
        rows["SIM00002"].person_id = rows["SIM00001"].person_id
        session.add(
            PatientMerge(prior_person_id=rows["SIM00002"].origin_person_id, surviving_person_id=rows["SIM00001"].person_id, merged_at=now())
        )
    with begin_read(sqlite_engine) as session:
        assert 2 == len(study_search.search(session, Wanted("SIM00002"), 10))


def test_an_auditor_sees_everything_and_no_patient(dashboard: Dashboard) -> None:
    """Neither numbers, UIDs, times nor what an image said; and cannot ask for a patient."""
    secrets = ("SIM0", "A0000", "1.2.826", "script", "2026-", "Modality is")
    with dashboard.person("audrey", Role.AUDITOR) as client:
        for path in ("/find", "/find/studies.csv", "/api/v1/studies", "/studies/6", "/api/v1/studies/6"):
            text = client.get(path).text.split("<main")[-1]
            for one in secrets:
                assert one not in text, (path, one)
        assert "2.25." in client.get("/api/v1/studies").text
        assert [] == client.get("/api/v1/studies?q=A000007").json()["studies"]
        assert client.get("/api/v1/studies/1.2.826.0.1.3680043.10.1.4").status_code == 404
    assert dashboard.trail("look") == []


def test_every_look_at_a_patient_stands_in_the_trail(dashboard: Dashboard) -> None:
    """Who, where, which studies; not what was typed."""
    with dashboard.person("vera", Role.VIEWER) as client:
        client.get("/find?q=SIM00007")
        client.get("/studies/8")
        client.get("/find?q=nothing-like-that")
        client.get("/")
    told = [json.loads(body) for body in dashboard.trail("look")]
    uid = "1.2.826.0.1.3680043.10.1.8"
    assert [("user vera", "find", [uid]), ("user vera", "study", [uid])] == [
        (one["actor"], one["detail"]["page"], one["detail"]["study_instance_uids"]) for one in told
    ]
    assert "SIM00007" not in "".join(dashboard.trail("look"))


def test_html_in_dicom_text_is_text(dashboard: Dashboard) -> None:
    with dashboard.person("vera", Role.VIEWER) as client:
        for path in ("/find?q=A000003", "/studies/4", "/studies/6", f"/find?q={EVIL}"):
            text = client.get(path).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;" in text, path
        answer = client.get('/find?state="><b>')
        assert answer.status_code == 422
        assert "<b>" not in answer.text


def test_a_table_for_a_spreadsheet_holds_no_formula(dashboard: Dashboard) -> None:
    with begin_write(dashboard.engine) as session:
        a_study(session, 900, now(), accession='=HYPERLINK("http://x")', patient="+1")
    with dashboard.person("vera", Role.VIEWER) as client:
        answer = client.get("/find/studies.csv?q=%3DHYPERLINK(%22http://x%22)")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert ('\'=HYPERLINK("http://x")', "'+1") == (row["accession_number"], row["patient_id"])
    assert answer.headers["content-disposition"] == 'attachment; filename="studies.csv"'


def test_wrong_addresses_are_answered_in_words(dashboard: Dashboard) -> None:
    """No 5xx, no trace, whatever is asked."""
    with dashboard.person("vera", Role.VIEWER) as client:
        for path, status in {
            "/find?since=yesterday": 422,
            "/find?before=2026-01-01": 422,
            "/find?before=99999999": 200,
            "/find?until=9999-12-31&since=0001-01-01": 422,
            "/find?q=%00": 200,
            "/find?q=%F0%9F%A9%BB": 200,
            "/api/v1/studies?limit=100000": 422,
            "/studies/99999999999999999999999999": 404,
            "/studies/..%2f..%2fetc%2fpasswd": 404,
            "/static/..%2f..%2fapp.py": 404,
            "/static/vendor/../../../app.py": 404,
            "/find?q=" + "a" * 300: 422,
        }.items():
            answer = client.get(path)
            assert status == answer.status_code, path
            assert "Traceback" not in answer.text
        assert client.post("/find").status_code == 405
        assert dashboard.visitor(headers={"host": "evil.example"}).get("/").status_code == 421
        assert client.post("/account/password", content=b"x" * 2_000_000).status_code == 413


def test_ten_thousand_results_are_a_page_at_a_time_and_one_table(dashboard: Dashboard) -> None:
    moment = now()
    with begin_read(dashboard.engine) as session:
        first = session.query(Instance).first()
        shared = {column.key: getattr(first, column.key) for column in Instance.__table__.columns if column.key != "id"}
    rows = [
        shared
        | {
            "sop_instance_uid": f"1.9.{number}.1",
            "series_instance_uid": f"1.9.{number}.0",
            "study_instance_uid": f"1.9.{number}",
            "accession_number": "MANY",
            "received_at": moment - timedelta(seconds=number),
        }
        for number in range(10_050)
    ]
    with begin_write(dashboard.engine) as session:
        session.execute(insert(Instance), rows)
    with dashboard.person("vera", Role.VIEWER) as client:
        page = client.get("/find?q=MANY")
        assert page.text.count("Timeline of study") == 50
        assert "Older ones" in page.text
        assert len(client.get("/find/studies.csv?q=MANY").text.splitlines()) == 10_001


def test_a_database_that_is_away_is_said_on_a_page(tmp_path: Path) -> None:
    """Also to somebody who was signed in; the sign-in's form is still shown."""
    engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with serving(engine, tmp_path) as dashboard, dashboard.visitor(cookies={"ptx-session": "x"}) as client:
        answer = client.get("/")
        assert answer.status_code == 503
        assert "The database does not answer" in answer.text
        assert "Traceback" not in answer.text
        assert client.get("/api/v1/now").json()["detail"].startswith("The node's database cannot be reached")
        assert client.get("/sign-in").status_code == 200
        assert dashboard.sign_in("anna", "whatever it is", client).status_code == 503


def test_the_first_page_counts_what_is_there(engine: Engine) -> None:
    """On both databases: hours, stages, what waits, failures, destinations, senders."""
    a_day(engine, 60)
    moment = now()
    with begin_read(engine) as session:
        open_ = activity.open_deliveries(session, ("pacs", "research"))
        waiting = {one.state: one.count for one in activity.waiting(session, open_)}
        stages = {one.stage: one for one in activity.turnaround(session, now=moment)}
        failures = {(one.place, one.cause): one.count for one in activity.failures(session, open_, now=moment)}
        hours = [activity.hour(session, moment - timedelta(hours=number)) for number in range(1, 26)]
        known = senders.senders(session, now=moment)
    assert {"pacs": set(), "research": {"waiting"}} == {name: set(states) for name, states in open_.items()}
    assert {"quarantined": 5, "to be delivered": 7, "queued": 0} == {
        name: waiting[name] for name in ("quarantined", "to be delivered", "queued")
    }
    assert {("quarantine", "decode_failed"): 5, ("refused, last 24 h", "uid_mismatch"): 1} == failures
    assert (60, 1.0, 1.0) == (
        stages["waiting for a worker"].jobs,
        stages["waiting for a worker"].p50_s,
        stages["waiting for a worker"].p99_s,
    )
    assert sum(one.received for one in hours) == 60
    assert sum(one.inferred for one in hours) == 55
    assert ["CT_ER", "CXR_BEDSIDE", "CXR_ROOM2"] == [one.ae_title for one in known]


def test_a_sender_is_silent_against_its_habit_only(sqlite_engine: Engine) -> None:
    """Who sent at this hour on each of five days and not today is silent; who is new, or sent just now, is not."""
    moment = now()
    with begin_write(sqlite_engine) as session:
        for day in range(1, 6):
            a_study(session, 3 * day, moment - timedelta(days=day, minutes=20))  # CT_ER
            a_study(session, 3 * day + 1, moment - timedelta(days=day, minutes=20))  # CXR_BEDSIDE
        a_study(session, 100, moment - timedelta(minutes=5))  # CXR_BEDSIDE, again
        a_study(session, 101, moment - timedelta(hours=3))  # CXR_ROOM2, new
    with begin_read(sqlite_engine) as session:
        found = {one.ae_title: one.silent for one in senders.senders(session, now=moment)}
    assert {"CT_ER": True, "CXR_BEDSIDE": False, "CXR_ROOM2": False} == found
