"""The dashboard as a real server on a free port, over a database of the test, and people who come to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import uvicorn
from argon2 import PasswordHasher
from sqlalchemy import Engine, select

from ptx_node.dashboard.app import create_app
from ptx_node.dashboard.desk import Desk
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.pages import PAGES
from ptx_node.dashboard.parts import NodeFacts, Parts, Terms
from ptx_node.dashboard.passwords import Passwords
from ptx_node.dashboard.shell import Shell
from ptx_node.db import users, web_sessions
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import AuditEvent
from ptx_node.domain.access import Role
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.simulator.processes import free_port, port_answers, wait_until

PASSWORD = "four plain words here"


@dataclass
class Dashboard:
    """A running dashboard."""

    url: str
    engine: Engine
    parts: Parts
    shell: Shell

    def visitor(self, **more: Any) -> httpx.Client:
        """A browser that has not signed in."""
        return httpx.Client(base_url=self.url, timeout=60, **more)

    def add(self, name: str, role: Role, password: str = "") -> int:
        """A user; with a password only where a test signs in with one, since hashing takes its time."""
        with begin_write(self.engine) as session:
            user = users.add(session, name, role, by="test", now=now())
            if password:
                user.password_hash = self.shell.inside.state.passwords.hash(password)
        return user.id

    def session_of(self, user_id: int, *, age: timedelta = timedelta()) -> str:
        """A session's secret, begun so long ago."""
        with begin_write(self.engine) as session:
            begun = now() - age
            return web_sessions.begin(session, user_id, how="password", address="", now=begun, life=self.parts.terms.life)

    def signed_in(self, user_id: int) -> httpx.Client:
        """A browser with a session of this user, and its CSRF word in the headers."""
        client = self.visitor(cookies={"ptx-session": self.session_of(user_id)})
        client.headers["x-csrf-token"] = word(httpx.get(f"{self.url}/account", cookies=dict(client.cookies), timeout=60))
        return client

    def person(self, name: str, role: Role) -> httpx.Client:
        """A new user, signed in."""
        return self.signed_in(self.add(name, role))

    def sign_in(self, name: str, password: str, client: httpx.Client | None = None, **form: str) -> httpx.Response:
        """What the form's answer is."""
        browser = client or self.visitor()
        return browser.post("/sign-in", data={"csrf": word(browser.get("/sign-in")), "name": name, "password": password, **form})

    def trail(self, kind: str) -> list[str]:
        """The bodies of the audit trail's rows of one kind."""
        with begin_read(self.engine) as session:
            return list(session.scalars(select(AuditEvent.body).where(AuditEvent.kind == kind).order_by(AuditEvent.sequence)))


def word(response: httpx.Response) -> str:
    """The CSRF word of a page."""
    found = re.search(r'<meta name="csrf" content="(\w+)">', response.text)
    assert found, response.text[:500]
    return found[1]


@contextmanager
def serving(
    engine: Engine,
    folder: Path,
    *,
    destinations: tuple[str, ...] = (),
    desk: Desk | None = None,
    more_pages: tuple[Page, ...] = (),
    **terms: Any,
) -> Iterator[Dashboard]:
    """The dashboard in a thread while the block runs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    hosts = frozenset({"127.0.0.1", "localhost"})
    node = NodeFacts("SIMULATED HOSPITAL", ZoneInfo("Europe/Paris"), folder, 1_000, destinations, Pseudonyms(b"k" * 32, "dashboard"))
    parts = Parts(engine, node, replace(Terms(url, hosts), **terms), desk or Desk())
    shell = create_app(parts, (*PAGES, *more_pages))
    shell.inside.state.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))  # many tries take no time
    server = uvicorn.Server(uvicorn.Config(shell, host="127.0.0.1", port=port, log_level="critical", access_log=False, proxy_headers=False))
    thread = threading.Thread(target=server.run, name="dashboard", daemon=True)
    thread.start()
    try:
        wait_until(lambda: port_answers(port), what="the dashboard", timeout_s=60)
        yield Dashboard(url, engine, parts, shell)
    finally:
        server.should_exit = True
        thread.join(20)
