"""Coming in and going out: the first administrator's link, passwords, limits, a proxy's word, an OpenID provider."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, update

from ptx_node.dashboard.entry import own_path
from ptx_node.dashboard.parts import Oidc, Proxy
from ptx_node.db import api_tokens, login_attempts, users
from ptx_node.db.access_tables import LoginAttempts, LoginLink, WebSession
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Permission, Role
from ptx_node.errors import UsageError
from ptx_node.settings import Settings
from ptx_node.simulator.processes import free_port, port_answers, running
from ptx_node.wiring.dashboard import terms
from tests.dashboard import PASSWORD, Dashboard, serving, word


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    with serving(sqlite_engine, tmp_path) as running:
        yield running


def first_link(dashboard: Dashboard) -> str | None:
    with begin_write(dashboard.engine) as session:
        return users.first_link(session, by="node", now=now())


def accept(client: httpx.Client, secret: str, name: str = "anna", password: str = PASSWORD, again: str = PASSWORD) -> httpx.Response:
    page = client.get(f"/welcome/{secret}")
    if page.status_code != 200:
        return page
    return client.post(f"/welcome/{secret}", data={"csrf": word(page), "name": name, "password": password, "again": again})


def test_the_first_administrator_comes_by_a_link_that_works_once(dashboard: Dashboard) -> None:
    """A newer link ends the one before; looking uses nothing up; afterwards there is no such link any more."""
    before, secret = first_link(dashboard), first_link(dashboard)
    assert before
    assert secret
    with dashboard.visitor() as client:
        assert client.get(f"/welcome/{before}").status_code == 404
        for name, password, again, problem in (
            ("anna", "short", "short", "at least 12"),
            ("anna", PASSWORD, "another one, again", "differ"),
            ("<b>", PASSWORD, PASSWORD, "cannot be a user"),
            ("annalise-maria", "annalise-maria1", "annalise-maria1", "not the name"),
        ):
            answer = accept(client, secret, name, password, again)
            assert (400, True) == (answer.status_code, problem in answer.text)
        assert accept(client, secret).headers["location"] == "/"
        assert "administrator" in client.get("/account").text
    with dashboard.visitor() as late:
        assert late.get(f"/welcome/{secret}").status_code == 404
        assert dashboard.sign_in("Anna ", PASSWORD, late).headers["location"] == "/"
    assert first_link(dashboard) is None


def test_an_old_link_opens_nothing(dashboard: Dashboard) -> None:
    secret = first_link(dashboard)
    with begin_write(dashboard.engine) as session:
        session.execute(update(LoginLink).values(expires_at=now() - timedelta(seconds=1)))
    with dashboard.visitor() as client:
        assert client.get(f"/welcome/{secret}").status_code == 404
        assert client.get("/welcome/..%2f..%2fetc%2fpasswd").status_code == 404


def test_a_sign_in_makes_a_new_session_and_a_sign_out_ends_it(dashboard: Dashboard) -> None:
    """A cookie from before the sign-in is worth nothing, and no cookie is left readable for scripts."""
    user_id = dashboard.add("anna", Role.VIEWER, PASSWORD)
    earlier = dashboard.session_of(user_id)
    with dashboard.visitor(cookies={"ptx-session": earlier}) as client:
        answer = dashboard.sign_in("anna", PASSWORD, client, next="/find?q=A1")
        assert (303, "/find?q=A1") == (answer.status_code, answer.headers["location"])
        cookie = answer.headers["set-cookie"].split(", ptx-visit")[0]
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        fresh = cookie.partition("=")[2].partition(";")[0]
    assert fresh != earlier
    with dashboard.visitor(cookies={"ptx-session": earlier}) as old, dashboard.visitor(cookies={"ptx-session": fresh}) as new:
        assert old.get("/").status_code == 303
        page = new.get("/account")
        assert page.status_code == 200
        assert new.post("/sign-out", data={"csrf": word(page)}).headers["location"] == "/sign-in"
    with dashboard.visitor(cookies={"ptx-session": fresh}) as gone:
        assert gone.get("/").headers["location"] == "/sign-in"
    assert ["signed_in", "signed_out"] == [json.loads(body)["detail"]["outcome"] for body in dashboard.trail("login")]


def test_nobody_learns_whether_an_account_exists_and_guessing_is_slowed(dashboard: Dashboard) -> None:
    """The same words, the same limit, for an account that is there, one that is not, and one that is disabled."""
    dashboard.add("anna", Role.VIEWER, PASSWORD)
    dashboard.add("gone", Role.VIEWER, PASSWORD)
    with begin_write(dashboard.engine) as session:
        users.disable(session, "gone", by="test", now=now())
    told = {}
    for name, password in (("anna", "a wrong password"), ("nobody", "a wrong password"), ("gone", PASSWORD)):
        answers = [dashboard.sign_in(name, password) for _ in range(6)]
        assert [401] * 5 + [429] == [one.status_code for one in answers], name
        assert int(answers[-1].headers["retry-after"]) > 5
        told[name] = re.sub(r"\b[0-9a-f]{64}\b|value=\"(anna|nobody|gone)\"", "", answers[0].text)
    assert told["anna"] == told["nobody"] == told["gone"]
    with begin_write(dashboard.engine) as session:
        session.execute(
            update(LoginAttempts).where(LoginAttempts.blocked_until.is_not(None)).values(blocked_until=now() + timedelta(minutes=5))
        )
    assert dashboard.sign_in("anna", PASSWORD).status_code == 429, "the right password does not get past the limit either"
    bodies = dashboard.trail("login")
    assert len(bodies) == 15
    assert not any("nobody" in body for body in bodies), "a name that nobody has may be a password typed into the wrong field"
    with begin_write(dashboard.engine) as session:  # the limit is in the database: time passes
        session.execute(update(LoginAttempts).values(blocked_until=now() - timedelta(seconds=1)))
    assert dashboard.sign_in("anna", PASSWORD).status_code == 303
    with begin_read(dashboard.engine) as session:
        assert session.get(LoginAttempts, login_attempts.keys("anna", "127.0.0.1")[0]) is None, "a success forgives the account"


def test_many_tries_at_once_do_not_outrun_the_limit(engine: Engine) -> None:
    """On both databases: a try is counted before the password is looked at."""
    waits = []
    for _ in range(8):
        with begin_write(engine) as session:
            waits.append(login_attempts.try_begins(session, "anna", "10.0.0.1", now=now()))
    assert [None] * 5 == waits[:5]
    assert None not in waits[5:]


def test_a_password_is_changed_by_who_knows_the_old_one_and_other_sessions_end(dashboard: Dashboard) -> None:
    user_id = dashboard.add("anna", Role.VIEWER, PASSWORD)
    other = dashboard.session_of(user_id)
    with dashboard.signed_in(user_id) as client:
        form = {"old": "not the old one", "password": "a new long password", "again": "a new long password"}
        assert client.post("/account/password", data=form).status_code == 403
        assert client.post("/account/password", data=form | {"old": PASSWORD}).headers["location"] == "/account"
        assert client.get("/account").status_code == 200
    with dashboard.visitor(cookies={"ptx-session": other}) as elsewhere:
        assert elsewhere.get("/account").status_code == 303


def test_a_page_that_asks_by_itself_keeps_no_session_alive(dashboard: Dashboard) -> None:
    user_id = dashboard.add("anna", Role.VIEWER)
    age = dashboard.parts.terms.life.idle - timedelta(seconds=120)
    secret = dashboard.session_of(user_id, age=age)
    with dashboard.visitor(cookies={"ptx-session": secret}) as client:
        assert client.get("/now/live").status_code == 200
        with begin_read(dashboard.engine) as session:
            before = session.query(WebSession).one().seen_at
        assert client.get("/find").status_code == 200
        with begin_read(dashboard.engine) as session:
            assert session.query(WebSession).one().seen_at - before > timedelta(seconds=60)


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example", "", "\\\\evil"]
)
def test_a_sign_in_leads_to_no_other_place(address: str) -> None:
    assert own_path(address) == "/"


def test_a_proxys_word_counts_from_its_address_only(sqlite_engine: Engine, tmp_path: Path) -> None:
    """The role follows the header at each sign-in, and the session holds only while the proxy names the same person."""
    headers = {"x-remote-user": "Dr.Who", "x-remote-groups": "staff, radiology", "x-forwarded-for": "6.6.6.6, 10.9.8.7"}
    ours = Proxy(("127.0.0.1",), "X-Remote-User", "X-Remote-Groups", {"radiology": Role.REVIEWER, "it": Role.ADMINISTRATOR})
    with serving(sqlite_engine, tmp_path, proxy=ours) as dashboard:
        with dashboard.visitor(headers=headers) as client:
            assert client.get("/sign-in?next=/account").headers["location"] == "/account"
            page = client.get("/account").text
            assert "dr.who" in page
            assert "(reviewer)" in page
            assert "10.9.8.7" in page
            assert client.get("/account", headers={"x-remote-user": "somebody else"}).status_code == 303
        with dashboard.visitor(headers=headers | {"x-remote-groups": "visitors"}) as stranger:
            assert stranger.get("/sign-in").status_code == 403
    elsewhere = Proxy(("10.1.1.1",), ours.user_header, ours.roles_header, ours.roles)
    with serving(sqlite_engine, tmp_path, proxy=elsewhere) as dashboard, dashboard.visitor(headers=headers) as forger:
        assert forger.get("/sign-in").status_code == 200


def test_a_person_comes_by_an_openid_provider(sqlite_engine: Engine, tmp_path: Path) -> None:
    """A real provider process; code and PKCE; the claim gives the role; an answer works once and in the browser that asked."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    people = [{"sub": "u1", "preferred_username": "Grace", "roles": ["radiology"]}, {"sub": "u2", "preferred_username": "Eve", "roles": []}]
    command = [Path(sys.executable).with_name("oidc-provider-mock"), "--port", str(port), "--require-nonce", "true"]
    command += [word for one in people for word in ("--user-claims", json.dumps(one))]
    roles = {"radiology": Role.OPERATOR}
    provider = Oidc(issuer, "ptx", "secret", ("openid", "profile"), "preferred_username", "roles", roles, "Sign in with the hospital")
    with (
        running(command, log=tmp_path / "oidc.log", ready=lambda: port_answers(port), timeout_s=90),
        serving(sqlite_engine, tmp_path, oidc=provider) as dashboard,
    ):
        with dashboard.visitor() as client:
            assert "Sign in with the hospital" in client.get("/sign-in").text
            asked = client.get("/sign-in/oidc?next=/find").headers["location"]
            assert "code_challenge_method=S256" in asked
            back = httpx.post(asked, data={"sub": "u1"}, timeout=60).headers["location"]
            path = back.removeprefix(dashboard.url)
            with dashboard.visitor() as thief:
                assert thief.get(path).status_code == 403, "another browser"
            again = client.get("/sign-in/oidc?next=/find").headers["location"]
            path = httpx.post(again, data={"sub": "u1"}, timeout=60).headers["location"].removeprefix(dashboard.url)
            assert client.get(re.sub(r"state=[^&]+", "state=other", path)).status_code == 403
            assert client.get(path).headers["location"] == "/find"
            assert "grace <span" in client.get("/account").text.replace("\n", "")
            assert "(operator)" in client.get("/account").text
            assert client.get(path).status_code == 403, "once"
        with dashboard.visitor() as client:
            asked = client.get("/sign-in/oidc").headers["location"]
            back = httpx.post(asked, data={"sub": "u2"}, timeout=60).headers["location"].removeprefix(dashboard.url)
            assert client.get(back).status_code == 403, "no role"


def test_the_last_administrator_stays(engine: Engine) -> None:
    with begin_write(engine) as session:
        users.add(session, "anna", Role.ADMINISTRATOR, by="test", now=now())
    for change in (
        lambda session: users.disable(session, "anna", by="test", now=now()),
        lambda session: users.change_role(session, "anna", Role.VIEWER, by="test"),
    ):
        with pytest.raises(UsageError, match="only administrator"), begin_write(engine) as session:
            change(session)


def test_a_token_opens_a_door_until_it_is_revoked(engine: Engine) -> None:
    """What the STOW-RS and FHIR doors ask, on both databases."""
    with begin_write(engine) as session:
        token = api_tokens.add(session, "modality", [Permission.STOW], life=timedelta(days=1), by="test", now=now())
    assert api_tokens.holds(engine, f"Bearer {token}", Permission.STOW)
    assert not api_tokens.holds(engine, f"Bearer {token}", Permission.FHIR)
    assert not api_tokens.holds(engine, f"Bearer {token}x", Permission.STOW)
    with begin_write(engine) as session:
        api_tokens.revoke(session, "modality", by="test", now=now())
    assert not api_tokens.holds(engine, f"Bearer {token}", Permission.STOW)


@pytest.mark.parametrize(
    ("dashboard", "problem"),
    [
        ({"host": "0.0.0.0"}, "base_url"),
        ({"host": "10.0.0.1"}, "in clear"),
        ({"host": "0.0.0.0", "base_url": "http://ptx.example"}, "in clear"),
        ({"proxy": {"user_header": "X-Remote-User"}}, "addresses"),
        ({"proxy": {"addresses": ["nowhere"]}}, "no address"),
        ({"oidc": {"issuer": "https://id.example"}}, "client_id"),
    ],
)
def test_settings_that_would_let_passwords_be_read_are_refused(dashboard: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        terms(Settings(dashboard=dashboard))


def test_one_certificate_serves_every_door_but_those_with_their_own() -> None:
    made = Settings(tls={"certificate": "a.pem", "private_key": "k.pem", "plain": ["dicom"]}, stow={"tls": {"certificate": "b.pem"}})
    names = [getattr(made, door).tls.certificate for door in ("dicom", "stow", "hl7", "fhir", "dashboard")]
    assert [None, "b.pem", "a.pem", "a.pem", "a.pem"] == [name and name.name for name in names]
    with pytest.raises(ValueError, match="there is no TLS"):
        Settings(stow={"tls": {"trusted": "ca.pem"}})
