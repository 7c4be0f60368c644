"""The watch over drift and the stop rules on a flow of rows: another site alarms, the same does not, and nothing alarms twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from ptx_node.db import deliveries, watching
from ptx_node.db.deliveries import Lease
from ptx_node.db.observed import Days, Stream, observed
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.stop_counts import StopFigure
from ptx_node.db.tables import AuditEvent, DestinationState, FindingRow, Job
from ptx_node.db.watch_tables import DriftLook, WatchAlarm
from ptx_node.db.watching import AlarmOutcome
from ptx_node.domain.access import Role
from ptx_node.errors import ConfigurationError, UsageError
from ptx_node.pipeline import deliver
from ptx_node.settings import FolderDestination, Settings, StopRuleSettings
from ptx_node.validation import stop_rules
from ptx_node.validation.drift_watch import FIGURES, Terms, look, look_at
from ptx_node.validation.stop_rules import StopRule
from ptx_node.wiring.watch import load_stop_rules
from tests.answered import ZONE, answered, days, patients_of
from tests.dashboard import Dashboard, serving
from tests.dashboard_rows import EVIL, a_day

TERMS = Terms(ZONE)
A_DAY = 18
STREAM = Stream("ptx-cxr", "1.0", "ab" * 32)
YESTERDAY = now().astimezone(ZONE).date() - timedelta(days=1)


def flow(engine: Engine, site: str, first: date, count: int, *, seed: int) -> None:
    """So many days of patients of a simulated site."""
    when = [day for day in days(first, count) for _ in range(A_DAY)]
    patients = patients_of(site, seed, len(when))
    answered(engine, list(zip(when, patients, strict=True)))


def alarms(engine: Engine) -> list[WatchAlarm]:
    with begin_read(engine) as session:
        return watching.alarms(session)


def test_the_same_site_is_quiet_and_the_simulators_other_site_alarms_once(engine: Engine) -> None:
    """Four weeks of reference, three of the same, two of the other; then a person says that it was meant."""
    first = YESTERDAY - timedelta(days=62)
    flow(engine, "toulouse", first, 49, seed=1)
    for day in range(41, 49):
        assert look_at(engine, TERMS, first + timedelta(days=day)) == 0
    assert alarms(engine) == []
    flow(engine, "bedside", first + timedelta(days=49), 14, seed=5000)
    assert look_at(engine, TERMS, first + timedelta(days=55)) == 0, "one window alone is not enough"
    raised = look_at(engine, TERMS, first + timedelta(days=62))
    names = {one.name for one in alarms(engine)}
    assert raised == len(names)
    assert {"view", "manufacturer", "bits_stored", "source"} <= names
    assert names.isdisjoint({"sex", "exposure_index", "age"})
    assert look_at(engine, TERMS, first + timedelta(days=62)) == 0, "looked at again"
    one = next(one for one in alarms(engine) if one.name == "view")
    with begin_write(engine) as session:
        watching.acknowledge(session, one.id, AlarmOutcome.NO_CAUSE, " who  knows\0", by="user anna", now=now())
    flow(engine, "bedside", first + timedelta(days=63), 1, seed=9000)
    assert look_at(engine, TERMS, first + timedelta(days=63)) == 0, "settled, and never quiet since"
    with begin_write(engine) as session:
        with pytest.raises(UsageError, match="settled"):
            watching.acknowledge(session, one.id, AlarmOutcome.CORRECTED, "again", by="user eve", now=now())
        with pytest.raises(UsageError, match="write in"):
            watching.acknowledge(session, one.id, AlarmOutcome.CORRECTED, "\n", by="user eve", now=now())
        makers = next(one for one in alarms(engine) if one.name == "manufacturer")
        watching.acknowledge(session, makers.id, AlarmOutcome.NEW_NORMAL, "the intensive care came", by="user anna", now=now())
    with begin_read(engine) as session:
        told = session.scalar(select(WatchAlarm.note).where(WatchAlarm.id == one.id))
        assert told == "who knows"
        bodies = [json.loads(body) for body in session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "decision"))]
    assert sum("drift alarm" in json.dumps(body) for body in bodies) == len(names)
    assert sum("acknowledge alarm" in json.dumps(body) for body in bodies) == 2
    flow(engine, "bedside", first + timedelta(days=64), 38, seed=12_000)
    later = first + timedelta(days=101)
    look_at(engine, TERMS, later)
    with begin_read(engine) as session:
        looks = {one.figure: one for one in session.scalars(select(DriftLook).where(DriftLook.day == later))}
    assert not looks["manufacturer"].crossed, "held against the days since the change that was meant"
    assert looks["manufacturer"].detail["reference_since"] == (first + timedelta(days=49)).isoformat()
    assert looks["view"].crossed


def test_missed_days_are_looked_at_afterwards_and_no_reference_is_no_look(engine: Engine) -> None:
    assert look(engine, TERMS) == 0
    flow(engine, "toulouse", YESTERDAY - timedelta(days=3), 5, seed=1)
    assert look(engine, TERMS) == 0
    with begin_read(engine) as session:
        assert watching.last_look(session) is None, "the first days are the reference"
    flow(engine, "toulouse", YESTERDAY - timedelta(days=40), 34, seed=1000)
    with begin_write(engine) as session:
        session.add(
            DriftLook(
                weights_sha256="old",
                model_name="",
                model_version="",
                figure="view",
                method="",
                detail={},
                day=YESTERDAY - timedelta(days=3),
                reference_count=0,
                window_count=0,
                crossed=False,
                looked_at=now(),
            )
        )
    look(engine, TERMS)
    with begin_read(engine) as session:
        seen = session.execute(select(DriftLook.day, DriftLook.figure).where(DriftLook.weights_sha256 != "old")).all()
    assert {day for day, _ in seen} == set(days(YESTERDAY - timedelta(days=2), 3))
    assert {figure for _, figure in seen} == set(FIGURES)


def test_patients_count_once_and_only_what_comes_by_day_counts(engine: Engine) -> None:
    day = YESTERDAY
    some = patients_of("toulouse", 1, 12)
    answered(engine, [(day, one) for one in some[:2]])
    answered(engine, [(day, one) for one in some[2:6]], patient_identifier_id=1)
    answered(engine, [(day, one) for one in some[6:8]], patient_id="SIM-COMM-1")
    answered(engine, [(day, one) for one in some[8:10]], via="retrieve")
    answered(engine, [(day, one) for one in some[10:12]], superseded_by_id=1)
    with begin_read(engine) as session:
        found = observed(session, ZONE, Days(day, day), STREAM)
        assert observed(session, ZONE, Days(day + timedelta(days=1), day + timedelta(days=2)), STREAM) == []
    assert len(found) == 2
    assert [one.probability for one in found] == [one["probability"] for one in some[:2]]


RULE = StopRule("too-many", StopFigure.POSITIVE_RATE, 0.15, None, 30, 7, "", ("pacs", "research"))


def suspended(engine: Engine) -> dict[str, str]:
    with begin_read(engine) as session:
        return {one.name: one.reason for one in session.scalars(select(DestinationState)) if one.suspended}


def claimable(engine: Engine, name: str) -> int:
    with begin_write(engine) as session:
        found = len(deliveries.claim_to_send(session, name, Lease("test", now(), timedelta(seconds=1)), findings=100))
        session.rollback()
    return found


def test_a_stop_rule_pauses_delivery_and_a_person_resumes(engine: Engine) -> None:
    """Every fifth answer of this day is positive; two destinations, one of which somebody has suspended already."""
    a_day(engine)
    with begin_write(engine) as session:
        session.execute(update(deliveries.Delivery).where(deliveries.Delivery.state == "waiting").values(destination="pacs"))
    assert claimable(engine, "pacs") > 0
    for harmless in (
        StopRule("few", StopFigure.POSITIVE_RATE, 0.15, None, 1000, 7, "", ("pacs",)),
        StopRule("high", StopFigure.POSITIVE_RATE, 0.5, None, 30, 7, "", ("pacs",)),
        StopRule("other", StopFigure.POSITIVE_RATE, 0.15, None, 30, 7, "another model", ("pacs",)),
        StopRule("no-truth", StopFigure.SENSITIVITY, None, 0.99, 1, 7, "", ("pacs",)),
        StopRule("drawn", StopFigure.MASK_MISSING, 0.0, None, 1, 7, "", ("pacs",)),
        StopRule("failed", StopFigure.FAILED_RATE, 0.0, None, 1, 7, "", ("pacs",)),
    ):
        assert stop_rules.look(engine, [harmless], ZONE) == 0, harmless.name
    assert suspended(engine) == {"research": "moves to a new server"}
    jobs = jobs_of(engine)
    assert stop_rules.look(engine, [RULE], ZONE) == 1
    assert suspended(engine)["pacs"].startswith("stop rule too-many: positive rate is 0.2")
    assert suspended(engine)["research"] == "moves to a new server", "a person's reason stays"
    assert claimable(engine, "pacs") == 0
    assert jobs_of(engine) == jobs, "inference goes on"
    assert stop_rules.look(engine, [RULE], ZONE) == 0
    deliver.resume(engine, "pacs", grace_s=60, by="user anna")
    assert claimable(engine, "pacs") > 0
    assert stop_rules.look(engine, [RULE], ZONE) == 0, "silent while its alarm is open"
    (alarm,) = alarms(engine)
    with begin_write(engine) as session:
        watching.acknowledge(session, alarm.id, AlarmOutcome.CORRECTED, "a threshold of another model", by="user anna", now=now())
    assert stop_rules.look(engine, [RULE], ZONE) == 0, "the same cases do not stop twice"
    with begin_write(engine) as session:
        session.execute(update(FindingRow).values(inferred_at=now() + timedelta(seconds=1)))
    assert stop_rules.look(engine, [RULE], ZONE) == 1, "new ones do"
    with begin_read(engine) as session:
        bodies = list(session.scalars(select(AuditEvent.body).where(AuditEvent.kind == "decision")))
    assert sum("suspend destination" in body and '"node"' in body for body in bodies) == 2


def jobs_of(engine: Engine) -> list[Any]:
    with begin_read(engine) as session:
        return list(session.execute(select(Job.id, Job.state).order_by(Job.id)))


def test_of_two_schedulers_one_raises_the_alarm(engine: Engine) -> None:
    told: dict[str, Any] = {"day": YESTERDAY, "words": "", "detail": {}, "now": now()}
    with begin_write(engine) as session:
        assert watching.raise_alarm(session, watching.STOP, "rule", STREAM, **told) is not None
        assert watching.raise_alarm(session, watching.STOP, "rule", STREAM, **told) is None
        assert watching.raise_alarm(session, watching.STOP, "another", STREAM, **told) is not None


def test_wrong_stop_rules_are_refused_in_words() -> None:
    base = {"name": "a", "figure": "failed_rate", "above": 0.1}
    with pytest.raises(ValueError, match="above or below"):
        StopRuleSettings(**base | {"below": 0.5})
    for rules, words in (
        ((StopRuleSettings(**base), StopRuleSettings(**base)), "two rules"),
        ((StopRuleSettings(**base, destinations=("nowhere",)),), "nowhere"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            load_stop_rules(Settings(stop_rules=rules))
    pacs = FolderDestination(name="pacs", type="folder", folder=Path("out"))
    (rule,) = load_stop_rules(Settings(stop_rules=(StopRuleSettings(**base),), destinations=(pacs,)))
    assert rule.destinations == ("pacs",)


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with serving(sqlite_engine, tmp_path) as running:
        yield running


def test_the_page_shows_the_looks_and_an_operator_settles_alarms(dashboard: Dashboard) -> None:
    engine = dashboard.engine
    viewer, operator = dashboard.person("victor", Role.VIEWER), dashboard.person("otto", Role.OPERATOR)
    assert "Nobody has looked yet" in viewer.get("/drift").text
    first = YESTERDAY - timedelta(days=41)
    flow(engine, "toulouse", first, 28, seed=1)
    flow(engine, "bedside", first + timedelta(days=28), 14, seed=5000)
    with begin_write(engine) as session:
        session.execute(update(FindingRow).values(model_name=EVIL))
    look_at(engine, TERMS, YESTERDAY - timedelta(days=1))
    look_at(engine, TERMS, YESTERDAY)
    (alarm, *_) = [one for one in alarms(engine) if one.name == "manufacturer"]
    page = viewer.get("/drift").text
    assert "for a person on the page Drift" in viewer.get("/").text
    assert "<script>alert" not in page
    assert "An operator settles them." in page
    assert "/drift/acknowledge" not in page
    assert page.count('class="card drift"') == len(FIGURES)
    told = viewer.get("/api/v1/drift").json()
    assert {one["figure"] for one in told["looks"]} == set(FIGURES)
    assert {one["day"] for one in told["looks"]} == {YESTERDAY.isoformat()}
    assert all(one["acknowledged_at"] is None for one in told["alarms"])
    form = {"alarm": alarm.id, "outcome": "new_normal", "note": EVIL}
    assert viewer.post("/drift/acknowledge", data=form).status_code == 403
    assert operator.post("/drift/acknowledge", data=form, headers={"x-csrf-token": "wrong"}).status_code == 403
    assert operator.post("/drift/acknowledge", data=form | {"note": " "}).status_code == 400
    done = operator.post("/drift/acknowledge", data=form)
    assert done.status_code == 200
    assert f"Alarm {alarm.id} is settled." in done.text
    assert "<script>alert" not in done.text
    assert operator.post("/drift/acknowledge", data=form).status_code == 400
    others = [one.id for one in alarms(engine) if one.acknowledged_at is None]
    assert operator.post("/drift/acknowledge", data=form | {"alarm": [*others, alarm.id]}).status_code == 400, "all or none"
    assert len([one for one in alarms(engine) if one.acknowledged_at is None]) == len(others) > 1
    assert (
        f"Alarms {', '.join(map(str, sorted(others)))} are settled."
        in operator.post("/drift/acknowledge", data=form | {"alarm": others}).text
    )
    path = "/api/v1/alarms/999/acknowledge"
    assert operator.post(path, json={"outcome": "corrected", "note": "x"}).status_code == 400
    assert operator.post(path, json={"outcome": "nonsense", "note": "x"}).status_code == 422
    assert any('"acknowledge alarm"' in body and "otto" in body for body in dashboard.trail("decision"))
