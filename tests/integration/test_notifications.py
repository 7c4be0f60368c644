"""Notices: who is told what, once and at least once, when it begins, while it lasts and when it is over; of no patient."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, delete, select, update

from ptx_node.cli.app import main
from ptx_node.db import audit_checks, housekeeping, notices, views
from ptx_node.db.audit_tables import AuditCheck
from ptx_node.db.notice_tables import NoticeCondition, NoticeRow
from ptx_node.db.notices import Pace, Wanted
from ptx_node.db.session import begin_read, begin_write, open_engine
from ptx_node.db.tables import Delivery, DestinationState, Instance, Job, Table
from ptx_node.db.watch_tables import WatchAlarm
from ptx_node.domain.notice import NoticeKind
from ptx_node.outbound.mail import Mail, MailServer
from ptx_node.outbound.notice_text import NoticeText
from ptx_node.outbound.webhook import Webhook, WebhookAddress
from ptx_node.pipeline.deliver import Policy
from ptx_node.pipeline.notice_look import Bounds, find, look
from ptx_node.pipeline.notify import Receiver, tell_due
from ptx_node.settings import Settings
from ptx_node.wiring.notices import in_the_background
from tests import week
from tests.notice_receivers import Hook, Post, running_hook, running_post

SUNDAY = datetime(2026, 11, 8, 12, tzinfo=UTC)
SECRET = "a-key-that-nobody-logs"
PEOPLE = ("it@example.org", "physics@example.org")
REAL = frozenset(NoticeKind) - {NoticeKind.TEST}
BOUNDS = Bounds(("pacs", "research", "folder"), timedelta(hours=1), timedelta(minutes=15), timedelta(0))
PACE = Pace(repeat=timedelta(hours=24), calm=timedelta(minutes=10))
POLICY = Policy(first_delay_s=5, max_delay_s=600)
ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """The present moment, which a test moves."""

    def __init__(self, moment: datetime = SUNDAY) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def go_on(self, **span: float) -> None:
        self.moment += timedelta(**span)


@pytest.fixture
def either(database_url: str) -> Iterator[Engine]:
    """The tables and views on each database."""
    engine = with_views(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The tables and views on SQLite."""
    engine = with_views(f"sqlite:///{tmp_path / 'ptx.db'}")
    yield engine
    engine.dispose()


def with_views(url: str) -> Engine:
    engine = open_engine(url)
    Table.metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in views.create(engine.dialect.name):
            connection.exec_driver_sql(statement)
    return engine


@pytest.fixture
def hook() -> Iterator[Hook]:
    with running_hook() as hook:
        yield hook


@pytest.fixture
def post() -> Iterator[Post]:
    with running_post() as post:
        yield post


@dataclass
class Site:
    """A scheduler's part, with a clock of the test's."""

    engine: Engine
    clock: Clock
    wanted: tuple[Wanted, ...] = (Wanted("chat", "", REAL, timedelta(days=7)),)
    bounds: Bounds = BOUNDS

    def look(self, **later: float) -> int:
        self.clock.go_on(**later)
        return look(self.engine, self.bounds, self.wanted, PACE, clock=self.clock)

    def tell(self, *receivers: Receiver) -> int:
        return sum(tell_due(self.engine, one, owner="test", policy=POLICY, clock=self.clock).taken for one in receivers)

    def rows(self) -> list[NoticeRow]:
        with begin_read(self.engine) as session:
            return list(session.scalars(select(NoticeRow).order_by(NoticeRow.id)))


def text(**options: Any) -> NoticeText:
    return NoticeText("SIMULATED HOSPITAL", ZoneInfo("Europe/Paris"), link="https://ptx.example.org", **options)


def webhook(hook: Hook, name: str = "chat", timeout_s: float = 5.0) -> Webhook:
    return Webhook(name, WebhookAddress(hook.url, SECRET, timeout_s), text())


def mail(post: Post, *recipients: str) -> Mail:
    return Mail("mail", MailServer("127.0.0.1", post.port, "none"), "ptx@example.org", recipients or PEOPLE, text())


def set_aside(engine: Engine, *, cause: str = "decode_failed", number: int = 1) -> None:
    with begin_write(engine) as session:
        moment = SUNDAY - timedelta(hours=1)
        times = dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at"), moment)
        names = {"rule": "r", "model": "m", "level": "instance", "level_uid": f"1.2.{number}", "study_instance_uid": f"1.2.{number}"}
        policy = {"destinations": [], "report_failed": False, "report_not_eligible": False, "priority": 50}
        session.add(Job(idempotency_key=str(number), state="quarantined", attempts=3, cause=cause, **names, **policy, **times))


def nothing_set_aside(engine: Engine) -> None:
    with begin_write(engine) as session:
        session.execute(update(Job).where(Job.state == "quarantined").values(state="superseded"))


def only(*kinds: NoticeKind, receiver: str = "chat", recipient: str = "") -> Wanted:
    return Wanted(receiver, recipient, frozenset(kinds), timedelta(days=7))


def told(hook: Hook) -> list[tuple[str, str, str]]:
    bodies = [json.loads(one) for one in hook.bodies()]
    return [(one["kind"], one["subject"], one["step"]) for one in bodies]


def everything_wrong(engine: Engine) -> None:
    """The small week, with an alarm, a broken trail, a sender that falls silent, and names of patients wherever free text is."""
    week.fill(engine)
    with begin_write(engine) as session:
        session.execute(update(Delivery).values(error=week.PATIENT_NAME))
        session.execute(update(Job).values(detail=week.PATIENT_NAME))
        session.execute(update(DestinationState).values(suspended=False))
        alarm = {"weights_sha256": "", "model_name": "radiograph", "model_version": "1.0.0", "day": SUNDAY.date(), "detail": {}}
        for kind, name in (("drift", "mask_size"), ("stop", "too-many-positives")):
            session.add(WatchAlarm(kind=kind, name=name, words=week.PATIENT_NAME, raised_at=SUNDAY, **alarm))
        begun = {"head_sequence": 9, "head_sha256": "0" * 64, "pass_sequence": 0, "pass_sha256": "0" * 64, "pass_began_at": SUNDAY}
        session.add(AuditCheck(id=1, checked_at=SUNDAY, broken_sequence=7, broken_at=SUNDAY, **begun))
    sends_daily(engine, "ROOM1", days=10)


def sends_daily(engine: Engine, ae_title: str, *, days: int) -> None:
    """An image within the hour before noon of each day, and none today."""
    with begin_write(engine) as session:
        for day in range(1, days + 1):
            instance = week._instance(900 + day, ct=False)
            instance.sop_instance_uid, instance.calling_ae, instance.source = f"1.2.9.{ae_title}.{day}", ae_title, "room"
            instance.received_at = SUNDAY - timedelta(days=day, minutes=30)
            session.add(instance)


def everything_well(engine: Engine) -> None:
    """Nothing of what `everything_wrong` made is wrong any more."""
    nothing_set_aside(engine)
    with begin_write(engine) as session:
        session.execute(update(Delivery).values(state="committed"))
        session.execute(update(DestinationState).values(failures=0))
        session.execute(update(Job).where(Job.state.in_(("queued", "running"))).values(state="done"))
        session.execute(update(Instance).values(routed_at=SUNDAY))
        session.execute(update(WatchAlarm).values(acknowledged_at=SUNDAY, acknowledged_by="user dr.who", note=week.PATIENT_NAME))
        session.execute(update(AuditCheck).values(broken_sequence=None, broken_at=None))
        session.execute(update(Instance).where(Instance.calling_ae == "ROOM1").values(received_at=SUNDAY + timedelta(hours=30)))


def as_read(post: Post) -> list[str]:
    """Each message as its reader sees it, headers and both forms."""
    found = []
    for one in post.taken:
        parts = [str(part.get_content()) for part in one.walk() if not part.is_multipart()]
        found.append("\n".join([*(f"{name}: {value}" for name, value in one.items()), *parts]))
    return found


@pytest.mark.parametrize("identifiers", [False, True])
def test_no_notice_of_any_kind_and_step_tells_of_a_patient(either: Engine, hook: Hook, post: Post, identifiers: bool) -> None:
    """Everything goes wrong, lasts, and ends; what arrives by webhook and mail is searched. Identifiers come where they are asked for."""
    everything_wrong(either)
    seven = timedelta(days=7)
    wanted = (Wanted("chat", "", REAL, seven, identifiers), Wanted("mail", PEOPLE[0], REAL, seven, identifiers))
    site = Site(either, Clock(), wanted, Bounds(BOUNDS.destinations, BOUNDS.backlog, BOUNDS.waiting, timedelta(hours=2), identifiers))
    receivers = (webhook(hook), mail(post, PEOPLE[0]))
    assert site.look() == site.tell(*receivers) > 0
    assert site.look(hours=25) == site.tell(*receivers) > 0
    everything_well(either)
    assert site.look(hours=6) == site.tell(*receivers) > 0
    steps = {(kind, step) for kind, _, step in told(hook)}
    once = {("first_failure", "lasts")}
    assert {(kind.value, step) for kind in REAL for step in ("began", "lasts", "over")} - once == steps
    assert len(hook.taken) == len(post.taken)
    texts = [*(one.decode() for one in hook.bodies()), *as_read(post)]
    for one in texts:
        assert week.PATIENT_NAME not in one
        assert week.PATIENT_ID not in one
        assert "dr.who" not in one
        if not identifiers:
            assert week.ACCESSION not in one
            assert "1.2." not in one
    assert identifiers == any(week.ACCESSION in one and '"1.2.' in one for one in texts[: len(hook.taken)])
    assert identifiers == any(week.ACCESSION in one and "1.2." in one for one in texts[len(hook.taken) :])


def test_what_is_found_is_what_the_week_says(engine: Engine) -> None:
    everything_wrong(engine)
    with begin_read(engine) as session:
        found = {one.key: dict(one.facts) for one in find(session, BOUNDS, now=SUNDAY).conditions}
    assert {"cause": "decode_failed", "count": 2} == found["quarantine", "decode_failed"]
    assert {"cause": "out_of_memory", "count": 1} == found["quarantine", "out_of_memory"]
    assert 1 == found["first_failure", "delivery to pacs"]["failed"]
    assert 2 == found["first_failure", "delivery to research"]["failures_in_a_row"]
    assert 3 == found["backlog", "deliveries to research"]["count"]
    assert 7 == found["audit_broken", "audit trail"]["row"]
    assert 10 == found["silent_source", "ROOM1 (room)"]["days_at_this_hour"]
    assert {"drift", "stop"} == {found["drift_alarm", f"alarm {number}"]["what"] for number in (1, 2)}
    assert ("backlog", "jobs") in found
    assert ("backlog", "instances") in found


def test_a_well_node_tells_nothing(engine: Engine, hook: Hook) -> None:
    site = Site(engine, Clock())
    assert (0, 0, []) == (site.look(), site.tell(webhook(hook)), hook.taken)


def test_a_condition_is_told_once_then_no_more_often_than_the_interval_and_when_it_is_over(either: Engine, hook: Hook, post: Post) -> None:
    set_aside(either)
    chosen = (only(NoticeKind.QUARANTINE), *(only(NoticeKind.QUARANTINE, receiver="mail", recipient=one) for one in PEOPLE))
    site, receivers = Site(either, Clock(), chosen), (webhook(hook), mail(post))
    for _ in range(3):  # the same again at each look, and nothing new to send
        site.look(minutes=1)
        site.tell(*receivers)
    assert [("quarantine", "decode_failed", "began")] == told(hook)
    assert [1, 1] == [len(post.to(one)) for one in PEOPLE]
    site.look(hours=23)
    site.look(hours=1)
    site.look(hours=1)
    site.tell(*receivers)
    nothing_set_aside(either)
    assert 0 == site.look(minutes=9)
    assert 3 == site.look(minutes=2)
    site.tell(*receivers)
    assert 0 == site.look(hours=30)
    assert ["began", "lasts", "over"] == [step for _, _, step in told(hook)]
    assert [3, 3] == [len(post.to(one)) for one in PEOPLE]
    set_aside(either, number=2)
    site.look()
    site.tell(*receivers)
    bodies = [json.loads(one) for one in hook.bodies()]
    assert [1, 1, 1, 2] == [[*dict.fromkeys(one["condition_id"] for one in bodies)].index(one["condition_id"]) + 1 for one in bodies]
    assert 4 == len({one["notice_id"] for one in bodies})


def test_what_comes_and_goes_is_one_condition(engine: Engine, hook: Hook) -> None:
    site = Site(engine, Clock(), (only(NoticeKind.QUARANTINE),))
    for number in range(5):
        set_aside(engine, number=number)
        site.look(minutes=1)
        nothing_set_aside(engine)
        site.look(minutes=5)
    site.tell(webhook(hook))
    assert [("quarantine", "decode_failed", "began")] == told(hook)


def test_two_schedulers_that_look_at_once_write_each_notice_once(either: Engine) -> None:
    for number, cause in enumerate(("decode_failed", "out_of_memory", "internal")):
        set_aside(either, cause=cause, number=number)
    site, start = Site(either, Clock(), tuple(only(NoticeKind.QUARANTINE, recipient=one) for one in PEOPLE)), threading.Barrier(4)

    def one() -> None:
        start.wait()
        site.look()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 6 == len(site.rows())


def test_a_source_stays_silent_until_something_comes(engine: Engine, hook: Hook) -> None:
    """The evening, at which it never sends, is no end of its silence."""
    sends_daily(engine, "ROOM1", days=10)
    site = Site(engine, Clock(), (only(NoticeKind.SILENT_SOURCE),))
    site.look()
    assert 0 == site.look(hours=6)
    with begin_write(engine) as session:
        came = week._instance(1, ct=False)
        came.calling_ae, came.source, came.received_at = "ROOM1", "room", site.clock()
        session.add(came)
    site.look(minutes=30)
    site.tell(webhook(hook))
    assert ["began", "over"] == [step for _, _, step in told(hook)]
    assert "ROOM1 (room) sends again" == json.loads(hook.bodies()[1])["title"]


def test_a_source_that_is_taken_away_is_not_expected_for_ever(engine: Engine, hook: Hook) -> None:
    sends_daily(engine, "ROOM1", days=10)
    site = Site(engine, Clock(), (only(NoticeKind.SILENT_SOURCE),))
    for _ in range(17):
        site.look(hours=24)
        site.tell(webhook(hook))
    steps = [step for _, _, step in told(hook)]
    assert ("began", "over") == (steps[0], steps[-1])
    assert "ROOM1 (room) is not expected any more" == json.loads(hook.bodies()[-1])["title"]


def test_a_receiver_that_is_away_is_tried_again_later_and_nobody_waits_for_it(engine: Engine, hook: Hook, post: Post) -> None:
    """It answers 500, hangs, and comes back: it has each notice once, in order, and the mail went at once."""
    set_aside(engine)
    chosen = (only(NoticeKind.QUARANTINE), only(NoticeKind.QUARANTINE, receiver="mail", recipient=PEOPLE[0]))
    site, away = Site(engine, Clock(), chosen), webhook(hook, timeout_s=0.3)
    site.look()
    hook.status = 500
    assert (0, 1) == (site.tell(away), site.tell(mail(post, PEOPLE[0])))
    nothing_set_aside(engine)
    site.look(minutes=20)
    hook.status = 0
    assert (0, 1) == (site.tell(away), site.tell(mail(post, PEOPLE[0])))
    tried = len(hook.taken)
    assert (0, tried) == (site.tell(away), len(hook.taken))  # it is held back: not asked again at once
    assert ["waiting", "waiting"] == [one.state for one in site.rows() if one.receiver == "chat"]
    hook.status = 204
    site.clock.go_on(minutes=11)
    assert 2 == site.tell(away)
    assert ["began", "over"] == [step for _, _, step in told(hook)[tried:]]
    assert {"told"} == {one.state for one in site.rows()}
    assert 1 == len({json.loads(one)["notice_id"] for one in hook.bodies() if json.loads(one)["step"] == "began"})


def test_a_notice_that_is_not_taken_lets_the_others_pass(engine: Engine, post: Post) -> None:
    set_aside(engine)
    post.refused[PEOPLE[0]] = "550 5.1.1 no such user"
    site = Site(engine, Clock(), tuple(only(NoticeKind.QUARANTINE, receiver="mail", recipient=one) for one in PEOPLE))
    site.look()
    assert 1 == site.tell(mail(post))
    assert [0, 1] == [len(post.to(one)) for one in PEOPLE]
    waits = next(one for one in site.rows() if one.state == "waiting")
    assert (PEOPLE[0], True) == (waits.recipient, "550 5.1.1" in str(waits.error))
    post.refused.clear()
    site.clock.go_on(minutes=11)
    assert 1 == site.tell(mail(post))


def test_while_one_waits_no_repetition_is_added(engine: Engine, hook: Hook) -> None:
    """A receiver that is away for days finds one notice of a condition, not one of each day."""
    set_aside(engine)
    site = Site(engine, Clock(), (only(NoticeKind.QUARANTINE),))
    hook.status = 503
    for _ in range(5):
        site.look(hours=25)
        site.tell(webhook(hook))
    assert 1 == len(site.rows())


def test_what_nobody_takes_is_given_up_said_and_begun_again_by_hand(either: Engine, hook: Hook) -> None:
    set_aside(either)
    site = Site(either, Clock(), (only(NoticeKind.QUARANTINE),))
    hook.status = 503
    site.look()
    site.tell(webhook(hook))
    site.look(days=8)
    assert "given_up" == site.rows()[0].state
    assert 0 == site.tell(webhook(hook))
    with begin_write(either) as session:
        assert 1 == notices.retry(session, {"chat": timedelta(days=7)}, site.clock())
    hook.status = 200
    assert 1 <= site.tell(webhook(hook))
    assert "told" == site.rows()[0].state


def test_a_recipient_who_is_no_longer_named_gets_nothing(engine: Engine, post: Post) -> None:
    set_aside(engine)
    site = Site(engine, Clock(), tuple(only(NoticeKind.QUARANTINE, receiver="mail", recipient=one) for one in PEOPLE))
    site.look()
    assert 1 == site.tell(mail(post, PEOPLE[1]))
    assert [] == post.to(PEOPLE[0])


def test_a_new_receiver_is_told_what_lasts(engine: Engine, hook: Hook) -> None:
    set_aside(engine)
    site = Site(engine, Clock(), ())
    site.look()
    site.wanted = (only(NoticeKind.QUARANTINE),)
    site.look(minutes=5)
    site.tell(webhook(hook))
    assert ["began"] == [step for _, _, step in told(hook)]


CHILD = """
import sys
from datetime import timedelta
from zoneinfo import ZoneInfo
from ptx_node.db.session import open_engine
from ptx_node.outbound.notice_text import NoticeText
from ptx_node.outbound.webhook import Webhook, WebhookAddress
from ptx_node.pipeline.deliver import Policy
from ptx_node.pipeline.notify import tell_due
database, url, secret = sys.argv[1:]
receiver = Webhook("chat", WebhookAddress(url, secret), NoticeText("x", ZoneInfo("UTC")))
tell_due(open_engine(database), receiver, owner="child", policy=Policy(lease_s=0.2))
"""


@contextmanager
def nobody_else_writes(engine: Engine) -> Iterator[None]:
    """Until the block ends, what another process wants to keep waits."""
    with engine.execution_options(ptx_write=True).connect() as connection:
        lock = "LOCK TABLE notices IN EXCLUSIVE MODE" if engine.dialect.name == "postgresql" else "SELECT 1"
        connection.exec_driver_sql(lock)  # a transaction begins with its first statement, on SQLite as the one writer's
        yield
        connection.rollback()


def test_a_scheduler_killed_between_sending_and_recording_tells_it_again_under_the_same_id(
    either: Engine, database_url: str, hook: Hook
) -> None:
    """It has read that the notice was taken, and dies by SIGKILL before it can keep that: doubled at most, and never lost."""
    set_aside(either)
    site = Site(either, Clock(), (only(NoticeKind.QUARANTINE),))
    site.look()
    hook.slow = True
    child = subprocess.Popen([sys.executable, "-c", CHILD, database_url, hook.url, SECRET], cwd=ROOT)
    try:
        assert hook.came.wait(120), "the notice did not come"
        with nobody_else_writes(either):
            hook.go_on.set()
            assert hook.heard.wait(60), "the answer was not read"
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    finally:
        child.kill()
        child.wait()
    assert ["sending"] == [one.state for one in site.rows()]
    hook.slow = False
    site.clock.moment = datetime.now(UTC) + timedelta(seconds=5)
    assert 1 == site.tell(webhook(hook))
    assert 0 == site.tell(webhook(hook))
    ids = [one.headers["Ptx-Notice-Id"] for one in hook.taken]
    assert 2 == len(ids)
    assert 1 == len(set(ids))
    assert ["told"] == [one.state for one in site.rows()]


def test_the_scheduler_does_all_of_it_by_the_settings(engine: Engine, hook: Hook, tmp_path: Path) -> None:
    """Its looks, one after the other: what is set aside now arrives, signed, and the trail is verified."""
    set_aside(engine)
    receiver = {"name": "chat", "type": "webhook", "url": hook.url, "secret": SECRET, "plain_http": True}
    settings = Settings.model_validate({"node": {"home": tmp_path}, "notifications": {"receivers": [receiver]}})
    looks = list(in_the_background(settings, engine, threading.Event()))
    assert ["audit trail", "notices", "notices to chat"] == [name for name, _, _ in looks]
    for _, one, _ in looks:
        one()
    assert {("first_failure", "began"), ("quarantine", "began")} <= {(kind, step) for kind, _, step in told(hook)}
    with begin_read(engine) as session:
        checked = audit_checks.last(session)
    assert checked is not None
    assert checked.broken_sequence is None


def test_without_receivers_the_scheduler_verifies_the_trail_alone(engine: Engine, tmp_path: Path) -> None:
    settings = Settings.model_validate({"node": {"home": tmp_path}})
    assert ["audit trail"] == [name for name, _, _ in in_the_background(settings, engine, threading.Event())]


def test_old_notices_are_forgotten_and_open_ones_never(engine: Engine, hook: Hook) -> None:
    set_aside(engine)
    site = Site(engine, Clock(), (only(NoticeKind.QUARANTINE),))
    site.look()
    with begin_write(engine) as session:
        housekeeping.forget(session, now=SUNDAY + timedelta(days=400))
    assert 1 == len(site.rows())
    site.tell(webhook(hook))
    with begin_write(engine) as session:
        housekeeping.forget(session, now=SUNDAY + timedelta(days=400))
        session.execute(delete(NoticeCondition).where(NoticeCondition.ended_at.is_not(None)))
    assert [] == site.rows()


@pytest.fixture
def config(tmp_path: Path, hook: Hook, post: Post) -> Path:
    """A site with a webhook and a mailbox, and a database at this version."""
    path = tmp_path / "ptx.toml"
    path.write_text(
        f"""
[node]
home = "home"
log_level = "DEBUG"
[[notifications.receivers]]
name = "chat"
type = "webhook"
url = "{hook.url}"
secret = "{SECRET}"
plain_http = true
[[notifications.receivers]]
name = "it"
type = "mail"
host = "127.0.0.1"
port = {post.port}
security = "none"
sender = "ptx@example.org"
recipients = ["{PEOPLE[0]}", "{PEOPLE[1]}"]
""",
        encoding="utf-8",
    )
    assert 0 == main(["db", "upgrade", "--config", str(path)])
    return path


def test_the_command_tests_lists_and_retries(config: Path, hook: Hook, post: Post, capfd: pytest.CaptureFixture[str]) -> None:
    """And neither the webhook's address nor a secret is printed or logged, at the chattiest level, whatever fails."""

    def ptx(*words: str) -> int:
        return main(["notify", *words, "--config", str(config)])

    main(["doctor", "--json", "--config", str(config)])
    seen = {(one["name"], one["state"]) for one in json.loads(capfd.readouterr().out)}
    assert {("receiver chat", "ok"), ("receiver chat", "warning"), ("receiver it", "warning")} <= seen
    assert [0, 0, 2] == [ptx("test", "chat"), ptx("test", "it"), ptx("test", "nobody")]
    assert ("test", "began") == (told(hook)[0][0], told(hook)[0][2])
    assert ["[ptx-node] A test, and nothing is wrong"] * 2 == [one["Subject"] for one in post.taken]
    hook.status = 500
    assert 1 == ptx("test", "chat")
    site = Site(open_engine(f"sqlite:///{config.parent / 'home' / 'ptx.db'}"), Clock(datetime.now(UTC)), (only(NoticeKind.QUARANTINE),))
    set_aside(site.engine)
    site.look()
    site.tell(webhook(hook))
    capfd.readouterr()
    assert [0, 0, 0] == [ptx("receivers"), ptx("conditions"), ptx("list", "--json")]
    out, _ = capfd.readouterr()
    assert "decode_failed" in out
    assert "answered HTTP 500" in out
    assert 0 == ptx("retry", "--receiver", "chat")
    assert "1 notices will be sent" in capfd.readouterr().out
    hook.status, site.clock.moment = 200, datetime.now(UTC)
    assert 1 == site.tell(webhook(hook))
    ptx("list")
    out, err = capfd.readouterr()
    for secret in ("a-secret-in-the-path", SECRET):
        assert secret not in out + err
    site.engine.dispose()
