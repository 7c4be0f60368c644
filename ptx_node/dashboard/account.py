"""One's own account: the password, and where one is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from starlette.responses import RedirectResponse

from ptx_node.dashboard import passwords
from ptx_node.dashboard.arrival import let_in, note_failure
from ptx_node.dashboard.description import BUSY
from ptx_node.dashboard.entry import needs_person, session_cookie
from ptx_node.dashboard.parts import PartsOf, address_of
from ptx_node.dashboard.show import page, span
from ptx_node.db import login_attempts, users
from ptx_node.db.access_tables import User, WebSession
from ptx_node.db.secret_text import kept
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Role, Who

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["account"])

Person = Annotated[Who, needs_person()]
LONGEST = 1000
Secret = Annotated[str, Form(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class SessionShown:
    """Where somebody is signed in; `this` is the session that asks."""

    how: str
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    this: bool


@dataclass(frozen=True, slots=True)
class Account:
    """A person's own account, and its sessions, the newest first. `source` says who keeps the password."""

    name: str
    role: Role
    source: str
    sessions: list[SessionShown]


class NewPassword(BaseModel):
    """The present password, and the one that counts from now on."""

    old: str = Field(max_length=LONGEST)
    password: str = Field(max_length=LONGEST)


@router.get("/account")
def account(request: Request, parts: PartsOf, who: Person) -> Response:
    """The page."""
    return _page(request, parts, who)


@router.post("/account/password")
def change_password(request: Request, parts: PartsOf, who: Person, old: Secret, password: Secret, again: Secret) -> Response:
    """Change the password: whoever finds an open browser does not know the old one. Other sessions end."""
    try:
        return _change(request, parts, who, old, password, again)
    except HTTPException as error:
        return _page(request, parts, who, error.status_code, problem=str(error.detail))


@router.post("/account/sign-out-elsewhere")
def sign_out_elsewhere(request: Request, parts: PartsOf, who: Person) -> Response:
    """End all sessions but this one."""
    _end_others(request, parts, who)
    return RedirectResponse("/account", 303)


@api.get("/account")
def account_as_json(request: Request, parts: PartsOf, who: Person) -> Account:
    """One's own account. Only a person's session opens this and what is below it: a token has no account."""
    user, rows, mine = _read(request, parts, who)
    sessions = [SessionShown(one.how, one.address, one.created_at, one.seen_at, one.expires_at, one.sha256 == mine) for one in rows]
    return Account(user.name, Role(user.role), user.source, sessions)


@api.post("/account/password", status_code=204, responses=BUSY)
def change_password_by_program(request: Request, parts: PartsOf, who: Person, wanted: NewPassword) -> Response:
    """Change one's own password: every session ends, and the answer's cookie is the one of a new session."""
    changed = _change(request, parts, who, wanted.old, wanted.password, wanted.password)
    response = Response(status_code=204)
    for cookie in changed.headers.getlist("set-cookie"):
        response.headers.append("set-cookie", cookie)
    return response


@api.post("/account/sign-out-elsewhere", status_code=204)
def sign_out_elsewhere_by_program(request: Request, parts: PartsOf, who: Person) -> None:
    """End all of one's own sessions but the one that asks."""
    _end_others(request, parts, who)


def _change(request: Request, parts: Parts, who: Who, old: str, password: str, again: str) -> Response:
    """What lets the person in anew, with the new password kept.

    Raises:
        HTTPException: 400, 403 or 429: nothing was changed.
    """
    checks: passwords.Passwords = request.app.state.passwords
    with begin_write(parts.engine) as session:
        user = session.get_one(User, who.user_id)
        wait = login_attempts.try_begins(session, user.name, address_of(request), now=now())
    if user.source != "local":
        raise HTTPException(403, f"{user.name} comes from {user.source} and has no password here")
    if wait is not None:
        raise HTTPException(429, f"Too many tries. Wait {span(wait.total_seconds())} and try again.")
    if not checks.fits(user.password_hash, old):
        note_failure(request, "wrong_password", how="password", user=user)
        raise HTTPException(403, "The old password is wrong.")
    problem = passwords.problem(password, who.name) or ("the two passwords differ" if password != again else None)
    hashed = "" if problem else checks.hash(password)
    with begin_write(parts.engine) as session:
        login_attempts.try_succeeded(session, user.name, address_of(request))
        if problem is None:
            known = session.get_one(User, who.user_id)
            users.set_password(session, known, hashed, now=now())
            return let_in(session, request, known, how="password", next_path="/account")
    raise HTTPException(400, problem)


def _end_others(request: Request, parts: Parts, who: Who) -> None:
    with begin_write(parts.engine) as session:
        users.end_sessions(session, who.user_id or 0, now=now(), but=kept(request.cookies.get(session_cookie(request), "")))


def _read(request: Request, parts: Parts, who: Who) -> tuple[User, Sequence[WebSession], str]:
    """The user, the sessions that hold, and the hash of the one that asks."""
    moment, mine = now(), kept(request.cookies.get(session_cookie(request), ""))
    alive = (WebSession.user_id == who.user_id, WebSession.ended_at.is_(None), WebSession.expires_at > moment)
    with begin_read(parts.engine) as session:
        user = session.get_one(User, who.user_id)
        still_open = (*alive, WebSession.seen_at > moment - parts.terms.life.idle)
        rows = session.scalars(select(WebSession).where(*still_open).order_by(WebSession.created_at.desc())).all()
    return user, rows, mine


def _page(request: Request, parts: Parts, who: Who, status: int = 200, problem: str = "") -> Response:
    user, rows, mine = _read(request, parts, who)
    return page(request, "account.jinja", status, user=user, sessions=rows, mine=mine, problem=problem)
