"""Webhook and mail as real servers see them: signed, encrypted or not sent, no redirect, no secret in a message, nothing injected."""

from __future__ import annotations

import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ptx_node.domain.notice import NamedStudy, Notice, NoticeKind, Step, plain_name
from ptx_node.errors import ConfigurationError, DestinationRefusedError, DestinationUnavailableError, PtxError
from ptx_node.outbound.association import TlsClient
from ptx_node.outbound.mail import Mail, MailServer, Security
from ptx_node.outbound.notice_text import SHIPPED, NoticeText
from ptx_node.outbound.webhook import Webhook, WebhookAddress
from ptx_node.settings import Settings, TlsFiles, load
from ptx_node.simulator.processes import free_port
from ptx_node.wiring.notices import make_receiver
from tests.authority import Authority
from tests.notice_receivers import PASSWORD, USER, running_hook, running_post

SECRET = "a-key-that-nobody-logs"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"
MOMENT = datetime(2026, 11, 21, 13, 5, tzinfo=UTC)
SILENT = {"what": "images", "ae_title": "CT1", "source": "ct", "last_at": MOMENT.isoformat(), "days_at_this_hour": 9, "days_known": 12}


def notice(kind: NoticeKind = NoticeKind.QUARANTINE, subject: str = "decode_failed", **facts: Any) -> Notice:
    told = facts or {"cause": "decode_failed", "count": 2}
    return Notice(str(uuid.uuid4()), str(uuid.uuid4()), kind, Step.BEGAN, subject, MOMENT, MOMENT, facts=told)


def text(folder: Path | None = None, site: str = "SIMULATED HOSPITAL") -> NoticeText:
    return NoticeText(site, ZoneInfo("Europe/Paris"), folder=folder)


def webhook(url: str, tls: TlsClient | None = None, words: NoticeText | None = None) -> Webhook:
    return Webhook("chat", WebhookAddress(url, SECRET, 2.0, tls), words or text())


def mail(port: int, security: Security, tls: TlsClient | None = None, **signing: str) -> Mail:
    server = MailServer("127.0.0.1", port, security, timeout_s=5.0, tls=tls, **signing)
    return Mail("it", server, "ptx@example.org", ("it@example.org",), text())


def refusal(kind: type[PtxError], tell: Callable[[], object]) -> str:
    """What the error says, which holds no secret, and leads to no other error that does."""
    with pytest.raises(kind) as caught:
        tell()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    said = str(caught.value)
    for secret in ("a-secret-in-the-path", SECRET, PASSWORD):
        assert secret not in said
    return said


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("receiver")


@pytest.fixture
def trusting(authority: Authority) -> TlsClient:
    return TlsClient(trusted=authority.certificate)


def documented() -> Callable[[str, Mapping[str, str], bytes], bool]:
    """The check that docs/notifications.md gives to those who receive."""
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    genuine: Callable[[str, Mapping[str, str], bytes], bool] = names["genuine"]
    return genuine


def test_a_webhook_is_signed_as_the_documents_say() -> None:
    genuine, sent = documented(), notice()
    with running_hook() as hook:
        webhook(hook.url).tell(sent, "")
    (one,) = hook.taken
    assert genuine(SECRET, one.headers, one.body)
    assert not genuine("another key of sixteen", one.headers, one.body)
    assert not genuine(SECRET, one.headers, one.body.replace(b"2", b"3"))
    old = str(int(one.headers["Ptx-Timestamp"]) - 600)
    assert not genuine(SECRET, {**one.headers, "Ptx-Timestamp": old}, one.body)
    body = json.loads(one.body)
    assert (sent.notice_id, sent.notice_id) == (body["notice_id"], one.headers["Ptx-Notice-Id"])
    assert "2 jobs are set aside: decode_failed" == body["title"]
    example = re.search(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert example is not None
    assert json.loads(example[1]).keys() == body.keys()


def test_https_holds_or_nothing_is_sent(ours: tuple[Path, Path], trusting: TlsClient) -> None:
    with running_hook(ours) as hook:
        webhook(hook.url, trusting).tell(notice(), "")
        assert 1 == len(hook.taken)
        assert "does not answer" in refusal(DestinationUnavailableError, lambda: webhook(hook.url).tell(notice(), ""))
        shouted = hook.url.replace("https", "HTTPS")
        refusal(DestinationUnavailableError, lambda: webhook(shouted).tell(notice(), ""))
        assert 1 == len(hook.taken)


def test_a_redirect_is_not_followed() -> None:
    with running_hook() as there, running_hook() as hook:
        for status in (301, 302, 307, 308):
            hook.status, hook.answer_headers = status, {"Location": there.url}
            said = refusal(DestinationUnavailableError, lambda: webhook(hook.url).tell(notice(), ""))
            assert "redirect" in said
        assert [] == there.taken


@pytest.mark.parametrize(("status", "kind"), [(422, DestinationRefusedError), (413, DestinationRefusedError)])
def test_what_is_about_the_notice_is_refused(status: int, kind: type[PtxError]) -> None:
    with running_hook() as hook:
        hook.status = status
        assert f"HTTP {status}" in refusal(kind, lambda: webhook(hook.url).tell(notice(), ""))


def test_what_is_about_the_receiver_makes_it_unavailable() -> None:
    with running_hook() as hook:
        for status in (401, 404, 429, 500, 503):
            hook.status = status
            assert f"127.0.0.1 answered HTTP {status}" in refusal(DestinationUnavailableError, lambda: webhook(hook.url).tell(notice(), ""))
    refusal(DestinationUnavailableError, lambda: webhook(hook.url).tell(notice(), ""))  # nobody listens there any more


def test_starttls_with_a_password(ours: tuple[Path, Path], trusting: TlsClient) -> None:
    with running_post(ours, asks=True) as post:
        mail(post.port, "starttls", trusting, username=USER, password=PASSWORD).tell(notice(), "it@example.org")
        assert [USER] == post.signed_in
        assert [("ptx@example.org", ["it@example.org"])] == post.envelopes
        said = refusal(
            DestinationUnavailableError,
            lambda: mail(post.port, "starttls", trusting, username=USER, password=f"{PASSWORD}x").tell(notice(), "it@example.org"),
        )
        assert "does not accept our user name and password (535)" in said
        refusal(DestinationUnavailableError, lambda: mail(post.port, "starttls").tell(notice(), "it@example.org"))
        refusal(DestinationUnavailableError, lambda: mail(post.port, "none").tell(notice(), "it@example.org"))
        assert 1 == len(post.taken)


def test_tls_from_the_first_byte(ours: tuple[Path, Path], trusting: TlsClient) -> None:
    with running_post(ours, implicit=True) as post:
        mail(post.port, "tls", trusting).tell(notice(), "it@example.org")
        assert 1 == len(post.taken)
        said = refusal(DestinationUnavailableError, lambda: mail(post.port, "tls").tell(notice(), "it@example.org"))
        assert "no TLS" in said
        assert 1 == len(post.taken)


def test_nothing_falls_back_to_plain() -> None:
    """A server, or somebody in between, that offers no STARTTLS or no TLS gets nothing, not even the user's name."""
    with running_post() as post:
        said = refusal(DestinationUnavailableError, lambda: mail(post.port, "starttls").tell(notice(), "it@example.org"))
        assert "does not offer STARTTLS; nothing was sent" in said
        refusal(DestinationUnavailableError, lambda: mail(post.port, "tls").tell(notice(), "it@example.org"))
        signing = {"username": USER, "password": PASSWORD}
        refusal(DestinationUnavailableError, lambda: mail(post.port, "starttls", **signing).tell(notice(), "it@example.org"))
        assert ([], []) == (post.taken, post.signed_in)
        mail(post.port, "none").tell(notice(), "it@example.org")
        assert 1 == len(post.taken)


def test_what_a_mail_server_says_back_is_not_repeated() -> None:
    with running_post() as post:
        post.refused["it@example.org"] = f"550 5.1.1 no {PASSWORD}"
        said = refusal(DestinationRefusedError, lambda: mail(post.port, "none").tell(notice(), "it@example.org"))
        assert "550 5.1.1" in said
        post.refused.clear()
        post.data_answer = f"452 4.3.1 {PASSWORD}"
        refusal(DestinationUnavailableError, lambda: mail(post.port, "none").tell(notice(), "it@example.org"))
        post.data_answer = f"554 5.6.0 {PASSWORD}"
        refusal(DestinationRefusedError, lambda: mail(post.port, "none").tell(notice(), "it@example.org"))


def test_a_mail_server_that_hangs_up_after_it_took_the_mail_has_taken_it() -> None:
    with running_post() as post:
        post.drops_at_quit = True
        mail(post.port, "none").tell(notice(), "it@example.org")
        assert 1 == len(post.taken)


def test_a_mail_server_that_says_nothing_is_given_up_soon() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = MailServer("127.0.0.1", silent.getsockname()[1], "none", timeout_s=0.3)
        one = Mail("it", server, "ptx@example.org", ("it@example.org",), text())
        began = time.monotonic()
        refusal(DestinationUnavailableError, lambda: one.tell(notice(), "it@example.org"))
        assert time.monotonic() - began < 20
    refusal(DestinationUnavailableError, lambda: mail(free_port(), "none").tell(notice(), "it@example.org"))


EVIL = "CT1\r\nBcc: thief@example.org\r\n\r\n<script>alert(1)</script>\u202e\x00"


def test_a_name_from_outside_injects_no_header_and_no_markup() -> None:
    """As the rows may hold it, past the cleaning of names, which is tested beside."""
    evil = notice(NoticeKind.SILENT_SOURCE, EVIL, **{**SILENT, "ae_title": EVIL, "source": EVIL})
    hospital = "A <b>hospital</b>\r\nBcc: thief@example.org"
    with running_post() as post, running_hook() as hook:
        server = MailServer("127.0.0.1", post.port, "none")
        Mail("it", server, "ptx@example.org", ("it@example.org",), text(site=hospital)).tell(evil, "it@example.org")
        webhook(hook.url, words=text(site=hospital)).tell(evil, "")
    (message,) = post.taken
    assert message["Bcc"] is None
    assert [("ptx@example.org", ["it@example.org"])] == post.envelopes
    assert "\n" not in message["Subject"]
    html = message.get_body(("html",))
    assert html is not None
    shown = html.get_content()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;" in shown
    assert b"<script" not in hook.taken[0].body
    assert EVIL == json.loads(hook.taken[0].body)["subject"]
    assert "CT1 Bcc: thief@example.org <script>alert(1)</script>" == plain_name(EVIL)
    assert 120 == len(plain_name("x" * 5000))


def test_mails_of_one_condition_are_a_thread_and_say_that_a_machine_wrote_them() -> None:
    first = notice()
    later = replace(first, notice_id=str(uuid.uuid4()), step=Step.OVER, ended_at=MOMENT)
    with running_post() as post:
        for one in (first, later):
            mail(post.port, "none").tell(one, "it@example.org")
    assert [f"<{one.notice_id}@example.org>" for one in (first, later)] == [one["Message-ID"] for one in post.taken]
    assert 1 == len({one["References"] for one in post.taken})
    assert ["auto-generated"] * 2 == [one["Auto-Submitted"] for one in post.taken]
    plain = post.taken[1].get_body(("plain",))
    assert plain is not None
    assert "It began 2026-11-21 14:05 Europe/Paris and ended 2026-11-21 14:05 Europe/Paris." in plain.get_content()


FACTS: Mapping[NoticeKind, Mapping[str, Any]] = {
    NoticeKind.FIRST_FAILURE: {"what": "reading", "again": 1, "recovered": 2, "quarantined": 3, "causes": ["decode_failed"]},
    NoticeKind.QUARANTINE: {"cause": "decode_failed", "count": 1},
    NoticeKind.SILENT_SOURCE: SILENT,
    NoticeKind.BACKLOG: {"what": "deliveries", "destination": "pacs", "count": 3, "oldest_at": "2026-11-20T11:05:00+00:00"},
    NoticeKind.DRIFT_ALARM: {"alarm": 3, "what": "drift", "name": "mask_size", "model": "radiograph 1.0.0", "day": "2026-11-20"},
    NoticeKind.AUDIT_BROKEN: {"row": 7, "found_at": MOMENT.isoformat()},
    NoticeKind.TEST: {},
}
TITLES = {
    NoticeKind.FIRST_FAILURE: "First failure: a reading failed",
    NoticeKind.QUARANTINE: "1 job is set aside: decode_failed",
    NoticeKind.SILENT_SOURCE: "Nothing comes from CT1 (ct)",
    NoticeKind.BACKLOG: "3 results for pacs wait, the oldest for 1 d 2 h",
    NoticeKind.DRIFT_ALARM: "Drift alarm: mask_size of radiograph 1.0.0",
    NoticeKind.AUDIT_BROKEN: "The audit trail is broken at row 7",
    NoticeKind.TEST: "A test, and nothing is wrong",
}


@pytest.mark.parametrize("kind", NoticeKind)
def test_every_kind_is_told_in_words(kind: NoticeKind) -> None:
    """Whole sentences, no gap where a value is missing, and nothing of the template."""
    studies = (NamedStudy("1.2.3", "A1"), NamedStudy("1.2.4", ""))
    one = replace(notice(kind, "CT1 (ct)"), facts=dict(FACTS[kind]), studies=studies)
    for step in Step:
        title, plain, html = text().mail(replace(one, step=step, ended_at=MOMENT if step is Step.OVER else None))
        assert (step is not Step.BEGAN) or title == TITLES[kind]
        for told in (plain, html):
            assert "{" not in re.sub(r"style=\"[^\"]*\"", "", told)
            assert "None" not in told
            assert "1.2.4" in told
        assert "\n\n\n" not in plain
        assert "- 1.2.3, accession number A1\n- 1.2.4\n" in plain


def test_a_sites_own_template_counts_and_a_broken_one_costs_no_notice(tmp_path: Path) -> None:
    (tmp_path / "webhook.json.jinja").write_text('{{ {"text": title ~ "\\n" ~ text} | tojson }}', encoding="utf-8")
    body = json.loads(text(tmp_path).webhook(notice()))
    assert {"text"} == body.keys()
    assert body["text"].startswith("2 jobs are set aside: decode_failed\nThese studies")
    for broken in ("{{ nothing.like.this }}", "{% if %}", "no JSON", "{{ ().__class__.__bases__ }}", "{{ 1 / 0 }}"):
        (tmp_path / "webhook.json.jinja").write_text(broken, encoding="utf-8")
        assert "ptx-notice/1" == json.loads(text(tmp_path).webhook(notice()))["format"]
    (tmp_path / "quarantine.jinja").write_bytes(b"\xff\xfe")
    assert "2 jobs are set aside: decode_failed" == text(tmp_path).mail(notice())[0]


def test_every_kind_has_a_template_that_ships() -> None:
    assert {f"{kind.value}.jinja" for kind in NoticeKind} <= {path.name for path in SHIPPED.iterdir()}


GOOD = {"name": "chat", "type": "webhook", "url": "https://chat.example.org/x", "secret": SECRET}
POST = {"name": "it", "type": "mail", "host": "mail", "sender": "a@example.org", "recipients": ["b@example.org"]}


def configured(tmp_path: Path, **receiver: Any) -> Settings:
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in receiver.items())
    (tmp_path / "ptx.toml").write_text(f"[[notifications.receivers]]\n{lines}", encoding="utf-8")
    return load(tmp_path / "ptx.toml")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (GOOD | {"url": "http://chat.example.org/a-secret-in-the-path"}, "plain http"),
        (GOOD | {"url": "ftp://chat.example.org"}, "url is https"),
        (GOOD | {"url": f"https://u:{PASSWORD}@chat.example.org"}, "without a user name"),
        (GOOD | {"secret": "short"}, "secret"),
        (GOOD | {"kinds": ["everything"]}, "kinds"),
        (GOOD | {"bcc": "x"}, "bcc"),
        (POST | {"recipients": ["b@example.org\r\nBcc: thief@example.org"]}, "recipients"),
        (POST | {"recipients": ["b@example.org, thief@example.org"]}, "recipients"),
        (POST | {"recipients": []}, "recipients"),
        (POST | {"sender": "ptx"}, "sender"),
        (POST | {"username": USER, "password": PASSWORD, "security": "none"}, "a password needs"),
        (POST | {"username": USER}, "username and password"),
        (POST | {"security": "maybe"}, "security"),
    ],
)
def test_a_wrong_receiver_is_said_at_the_start_without_its_secrets(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        configured(tmp_path, **wrong)
    for secret in ("a-secret-in-the-path", PASSWORD, "short"):
        assert secret not in str(caught.value)


def test_receivers_may_stand_in_the_secrets_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, beside the other keys of the table, which stay in ptx.toml."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ptx_notifications").write_text(json.dumps({"receivers": [GOOD]}), encoding="utf-8")
    (tmp_path / "ptx.toml").write_text("[notifications]\nrepeat_hours = 6\n", encoding="utf-8")
    monkeypatch.setenv("PTX_SECRETS_DIR", str(tmp_path / "secrets"))
    found = load(tmp_path / "ptx.toml").notifications
    assert (6, ["chat"]) == (found.repeat_hours, [one.name for one in found.receivers])


def test_settings_show_no_secret_and_no_address(tmp_path: Path) -> None:
    settings = configured(tmp_path, **GOOD | {"url": "http://chat.example.org/a-secret-in-the-path", "plain_http": True})
    for shown in (repr(settings), settings.model_dump_json(), repr(WebhookAddress("https://x/a-secret-in-the-path", SECRET))):
        assert SECRET not in shown
        assert "a-secret-in-the-path" not in shown


def test_wrong_files_and_addresses_are_said_at_the_start(tmp_path: Path) -> None:
    settings = configured(tmp_path, **GOOD)
    (one,) = settings.notifications.receivers
    assert "chat" == make_receiver(one, settings).name
    wrong = settings.model_copy(update={"notifications": settings.notifications.model_copy(update={"templates": Path("nowhere")})})
    with pytest.raises(ConfigurationError, match="is no folder"):
        make_receiver(one, wrong)
    with pytest.raises(ConfigurationError, match="TLS files"):
        make_receiver(one.model_copy(update={"tls": TlsFiles(trusted=Path("nowhere.pem"))}), settings)
    for place in ("chat.example.org:99999", "chat example.org", "[::1"):
        with pytest.raises(ConfigurationError) as caught:
            make_receiver(
                (made := configured(tmp_path, **GOOD | {"url": f"https://{place}/a-secret-in-the-path"})).notifications.receivers[0], made
            )
        assert "a-secret-in-the-path" not in str(caught.value)
