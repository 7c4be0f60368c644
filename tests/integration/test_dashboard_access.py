"""Every route with everybody: nothing answers without the right permission."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from ptx_node.dashboard.app import create_app
from ptx_node.dashboard.entry import ANYBODY, SIGNED_IN, declared, open_to_anybody
from ptx_node.dashboard.exporter import Exporter, Watched
from ptx_node.dashboard.health import Probe, page
from ptx_node.dashboard.page import Page
from ptx_node.db import api_tokens, users
from ptx_node.db.session import begin_write, now
from ptx_node.domain.access import PERMISSIONS, Permission, Role
from tests.dashboard import Dashboard, serving, word

# What each route needs, written down once more: a permission that changes by mistake is found here.
TABLE = {
    "GET /sign-in": ANYBODY,
    "POST /sign-in": ANYBODY,
    "POST /sign-out": SIGNED_IN,
    "GET /welcome/{secret}": ANYBODY,
    "POST /welcome/{secret}": ANYBODY,
    "GET /sign-in/oidc": ANYBODY,
    "GET /sign-in/oidc/callback": ANYBODY,
    "GET /static/{name:path}": ANYBODY,
    "GET /account": SIGNED_IN,
    "POST /account/password": SIGNED_IN,
    "POST /account/sign-out-elsewhere": SIGNED_IN,
    "GET /livez": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /statusz": "metrics",
    "GET /metrics": "metrics",
    "GET /api/v1/account": SIGNED_IN,
    "POST /api/v1/account/password": SIGNED_IN,
    "POST /api/v1/account/sign-out-elsewhere": SIGNED_IN,
    "GET /api/v1/openapi.json": "status",
    "GET /": "status",
    "GET /now/live": "status",
    "GET /api/v1/now": "status",
    "GET /find": "find",
    "GET /find/studies.csv": "find",
    "GET /studies/{study}": "find",
    "GET /api/v1/studies": "find",
    "GET /api/v1/studies.csv": "find",
    "GET /api/v1/studies/{study}": "find",
    "GET /api/v1/studies/{study}/contents": "find",
    "GET /api/v1/studies/{study}/images/{image}/pixels": "patients",
    "GET /api/v1/studies/{study}/readings/{reading}/drawn": "patients",
    "GET /api/v1/studies/{study}/readings/{reading}/masks/{image}": "patients",
    "GET /api/v1/studies/{study}/results/{result}/drawn": "patients",
    "GET /api/v1/studies/{study}/results/{result}/masks/{image}": "patients",
    "GET /api/v1/studies/{study}/results/{result}/file": "patients",
    "GET /api/v1/studies/{study}/results/{result}/tree": "patients",
    "POST /studies/{study}/jobs/{job}/retry": "operate",
    "POST /studies/{study}/jobs/{job}/supersede": "operate",
    "POST /studies/{study}/deliveries/send-again": "operate",
    "POST /api/v1/studies/{study}/jobs/{job}/retry": "operate",
    "POST /api/v1/studies/{study}/jobs/{job}/supersede": "operate",
    "POST /api/v1/studies/{study}/deliveries/{delivery}/send-again": "operate",
    "GET /review": "review",
    "GET /review/findings": "review",
    "POST /review/labels/{report}": "review",
    "POST /review/findings/{finding}": "review",
    "GET /api/v1/review/labels": "review",
    "GET /api/v1/review/labels/{report}": "review",
    "POST /api/v1/review/labels/{report}": "review",
    "GET /api/v1/review/findings": "review",
    "GET /api/v1/review/findings/{finding}": "review",
    "GET /api/v1/findings/{finding}/assessments": "review",
    "POST /api/v1/findings/{finding}/assessments": "review",
    "GET /rules": "rules",
    "POST /rules/replay": "rules",
    "GET /api/v1/rules": "rules",
    "POST /api/v1/rules/check": "rules",
    "POST /api/v1/rules/replay": "rules",
    "GET /destinations": "status",
    "POST /destinations/{name}/test": "operate",
    "POST /destinations/{name}/suspend": "operate",
    "POST /destinations/{name}/resume": "operate",
    "GET /api/v1/destinations": "status",
    "POST /api/v1/destinations/{name}/test": "operate",
    "POST /api/v1/destinations/{name}/suspend": "operate",
    "POST /api/v1/destinations/{name}/resume": "operate",
    "GET /models": "status",
    "POST /models/{name}/propose": "models",
    "POST /models/proposals/{number}/apply": "models",
    "POST /models/{name}/threshold": "models",
    "POST /models/{name}/withdraw": "models",
    "GET /api/v1/models": "status",
    "GET /api/v1/thresholds": "status",
    "POST /api/v1/models/{name}/proposals": "models",
    "POST /api/v1/proposals/{number}/apply": "models",
    "POST /api/v1/models/{name}/threshold": "models",
    "POST /api/v1/models/{name}/withdraw": "models",
    "GET /exports": "export",
    "GET /exports/live": "export",
    "POST /exports": "export",
    "POST /exports/{number}/verify": "export",
    "GET /exports/{number}/package.zip": "export",
    "GET /api/v1/exports": "export",
    "POST /api/v1/exports": "export",
    "POST /api/v1/exports/{number}/verify": "export",
    "GET /api/v1/exports/{number}/package.zip": "export",
    "GET /audit": "audit",
    "POST /audit/verify": "audit",
    "GET /api/v1/audit": "audit",
    "POST /api/v1/audit/verify": "audit",
    "GET /performance": "status",
    "GET /performance/part": "status",
    "GET /api/v1/performance": "status",
    "GET /drift": "status",
    "POST /drift/acknowledge": "operate",
    "GET /api/v1/drift": "status",
    "GET /api/v1/drift/looks": "status",
    "POST /api/v1/alarms/{number}/acknowledge": "operate",
    "GET /people": "users",
    "POST /people/add": "users",
    "POST /people/link": "users",
    "POST /people/role": "users",
    "POST /people/disable": "users",
    "POST /people/enable": "users",
    "POST /people/token": "users",
    "POST /people/revoke": "users",
    "GET /api/v1/users": "users",
    "POST /api/v1/users": "users",
    "PATCH /api/v1/users/{name}": "users",
    "POST /api/v1/users/{name}/link": "users",
    "GET /api/v1/tokens": "users",
    "POST /api/v1/tokens": "users",
    "DELETE /api/v1/tokens/{name}": "users",
}


NOT_ASKED = ("POST /sign-out", "POST /account/password", "POST /api/v1/account/password", "POST /sign-in")
"""They end the session, or answer 403 to a wrong password: see test_dashboard_sign_in.py."""


@pytest.fixture
def dashboard(sqlite_engine: Engine, tmp_path: Path) -> Iterator[Dashboard]:
    probe = Probe(sqlite_engine, (), tmp_path, 1, lambda: None)
    health = page(probe, Exporter(sqlite_engine, Watched((), tmp_path, 1)))
    with serving(sqlite_engine, tmp_path, more_pages=(health,)) as running:
        yield running


def routes(dashboard: Dashboard) -> dict[str, str]:
    """Method and path of every route, with what it declares."""
    found = {}
    for route in dashboard.shell.inside.router.routes:
        assert isinstance(route, APIRoute)
        found |= {f"{method} {route.path}": declared(route) for method in route.methods}
    return found


def test_the_table_of_routes_is_the_one_written_here(dashboard: Dashboard) -> None:
    found = routes(dashboard)
    assert {name: found.get(name) for name in TABLE} == TABLE
    assert found.keys() == TABLE.keys(), "every route is written here"


def test_an_application_with_an_undeclared_route_is_not_made(dashboard: Dashboard) -> None:
    """Neither with one that declares nothing, nor with one that says two things."""
    silent, double = APIRouter(), APIRouter()
    silent.get("/silent")(lambda: "told")
    double.get("/double", dependencies=[open_to_anybody(), *dashboard_needs()])(lambda: "told")
    for router in (silent, double):
        with pytest.raises(TypeError, match="say once who may call it"):
            create_app(dashboard.parts, [Page("Wrong", "/wrong", Permission.STATUS, (router,))])


def dashboard_needs() -> list[object]:
    from ptx_node.dashboard.entry import needs  # noqa: PLC0415

    return [needs(Permission.USERS)]


def call(client: httpx.Client, name: str) -> httpx.Response:
    """One route with a body that it can read, so that a refusal is not about the body."""
    method, path = name.split(" ")
    path = path.replace("{secret}", "none").replace("{name:path}", "style.css").replace("{study}", "999").replace("{name}", "nobody")
    if method == "GET":
        return client.get(path)
    form = {"name": "nobody", "role": "viewer", "scope": "status", "old": "x", "password": "y", "again": "z"}
    if path.startswith("/api/"):
        body = {"name": "Not A Name!", "role": "viewer", "scopes": ["status"]}
        return client.request(method, path, json=None if method == "DELETE" else body)
    return client.request(method, path, data=form)


def let_in(response: httpx.Response) -> bool:
    """Whether the route itself answered, though perhaps that something is wrong."""
    to_sign_in = response.status_code == 303 and response.headers["location"].startswith("/sign-in")
    return not to_sign_in and response.status_code not in (401, 403)


def test_every_route_with_every_role(dashboard: Dashboard) -> None:
    """A person gets through exactly where the role's permissions say so."""
    found = routes(dashboard)
    for role in Role:
        with dashboard.person(f"{role.value}-1", role) as client:
            for name, need in found.items():
                if name in NOT_ASKED:
                    continue
                answer = call(client, name)
                allowed = need in (ANYBODY, SIGNED_IN) or Permission(need) in PERMISSIONS[role]
                assert answer.status_code < 500 or name == "GET /readyz", (role, name, answer.text)  # no revision: not ready
                assert let_in(answer) is allowed, (role, name, answer.status_code)


def test_no_route_answers_those_who_are_nobody(dashboard: Dashboard) -> None:
    """No cookie, a tampered one, sessions too old or too silent, a disabled user, tokens wrong, revoked, ended, or of another scope."""
    user_id = dashboard.add("anna", Role.ADMINISTRATOR)
    dashboard.add("boss", Role.ADMINISTRATOR)
    good = dashboard.session_of(user_id)
    silent = dashboard.session_of(user_id, age=timedelta(hours=1))
    old = dashboard.session_of(user_id, age=timedelta(hours=13))
    gone = dashboard.session_of(dashboard.add("gone", Role.ADMINISTRATOR))
    with begin_write(dashboard.engine) as session:
        users.disable(session, "gone", by="test", now=now())
        # every scope that no page of people needs
        other = api_tokens.add(session, "other", [Permission.STOW, Permission.FHIR], life=timedelta(days=1), by="test", now=now())
        ended = api_tokens.add(session, "ended", list(Permission), life=timedelta(days=1), by="test", now=now() - timedelta(days=2))
        revoked = api_tokens.add(session, "revoked", list(Permission), life=timedelta(days=1), by="test", now=now())
        api_tokens.revoke(session, "revoked", by="test", now=now())
    nobodies: dict[str, dict[str, dict[str, str]]] = {
        "no cookie": {},
        "tampered": {"cookies": {"ptx-session": good[:-1] + ("A" if good[-1] != "A" else "B")}},
        "cookie of another kind": {"cookies": {"__Host-ptx-session": good}},
        "silent": {"cookies": {"ptx-session": silent}},
        "old": {"cookies": {"ptx-session": old}},
        "disabled": {"cookies": {"ptx-session": gone}},
        "wrong token": {"headers": {"authorization": "Bearer ptx_nonsense"}},
        "other scope": {"headers": {"authorization": f"Bearer {other}"}},
        "ended token": {"headers": {"authorization": f"Bearer {ended}"}},
        "revoked token": {"headers": {"authorization": f"Bearer {revoked}"}},
        "token as a cookie": {"cookies": {"ptx-session": revoked}},
        "basic": {"headers": {"authorization": "Basic YW5uYTp4"}},
    }
    for who, how in nobodies.items():
        with dashboard.visitor(**how) as client:
            for name, need in routes(dashboard).items():
                if need != ANYBODY:
                    answer = call(client, name)
                    assert not let_in(answer), (who, name, answer.status_code)
                    assert "ptx-session" not in answer.headers.get("set-cookie", ""), (who, name)


def test_a_token_opens_its_scope_and_no_more(dashboard: Dashboard) -> None:
    with begin_write(dashboard.engine) as session:
        token = api_tokens.add(session, "watch", [Permission.STATUS], life=timedelta(days=1), by="test", now=now())
    with dashboard.visitor(headers={"authorization": f"Bearer {token}"}) as client:
        for name, need in routes(dashboard).items():
            if need != ANYBODY:
                assert let_in(call(client, name)) is (need == "status"), name


def test_a_change_needs_the_sessions_own_word(dashboard: Dashboard) -> None:
    """A form of a page elsewhere, of another session, or of before the sign-in changes nothing."""
    user_id, other = dashboard.add("anna", Role.ADMINISTRATOR), dashboard.add("bert", Role.ADMINISTRATOR)
    changing = [name for name, need in routes(dashboard).items() if not name.startswith("GET") and need != ANYBODY]
    with dashboard.signed_in(other) as theirs, dashboard.visitor(cookies={"ptx-session": dashboard.session_of(user_id)}) as mine:
        for name in changing:
            for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": theirs.headers["x-csrf-token"]}, {"x-csrf-token": "0" * 64}):
                mine.headers.pop("x-csrf-token", None)
                mine.headers.update(headers)
                assert call(mine, name).status_code == 403, (name, headers)
        mine.headers["x-csrf-token"] = word(mine.get("/account"))
        assert call(mine, "POST /people/add").status_code < 303
        for elsewhere in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            mine.headers.update(elsewhere)
            assert call(mine, "POST /people/add").status_code == 403, elsewhere
            for key in elsewhere:
                del mine.headers[key]
