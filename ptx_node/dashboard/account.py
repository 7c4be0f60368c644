"""One's own account: the password, and where one is signed in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from sqlalchemy import select
from starlette.responses import RedirectResponse

from ptx_node.dashboard import passwords
from ptx_node.dashboard.arrival import let_in, note_failure
from ptx_node.dashboard.entry import needs_person, session_cookie
from ptx_node.dashboard.parts import PartsOf, address_of
from ptx_node.dashboard.show import page, span
from ptx_node.db import login_attempts, users
from ptx_node.db.access_tables import User, WebSession
from ptx_node.db.secret_text import kept
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Who

router = APIRouter(include_in_schema=False)

Person = Annotated[Who, needs_person()]
Secret = Annotated[str, Form(max_length=1000)]


@router.get("/account")
def account(request: Request, parts: PartsOf, who: Person) -> Response:
    """The page."""
    return _page(request, parts, who)


@router.post("/account/password")
def change_password(request: Request, parts: PartsOf, who: Person, old: Secret, password: Secret, again: Secret) -> Response:
    """Change the password: whoever finds an open browser does not know the old one. Other sessions end."""
    checks: passwords.Passwords = request.app.state.passwords
    with begin_write(parts.engine) as session:
        user = session.get_one(User, who.user_id)
        wait = login_attempts.try_begins(session, user.name, address_of(request), now=now())
    if user.source != "local":
        raise HTTPException(403, f"{user.name} comes from {user.source} and has no password here")
    if wait is not None:
        return _page(request, parts, who, 429, problem=f"Too many tries. Wait {span(wait.total_seconds())} and try again.")
    if not checks.fits(user.password_hash, old):
        note_failure(request, "wrong_password", how="password", user=user)
        return _page(request, parts, who, 403, problem="The old password is wrong.")
    problem = passwords.problem(password, who.name) or ("the two passwords differ" if password != again else None)
    hashed = "" if problem else checks.hash(password)
    with begin_write(parts.engine) as session:
        login_attempts.try_succeeded(session, user.name, address_of(request))
        if problem is None:
            known = session.get_one(User, who.user_id)
            users.set_password(session, known, hashed, now=now())
            return let_in(session, request, known, how="password", next_path="/account")
    return _page(request, parts, who, 400, problem=problem)


@router.post("/account/sign-out-elsewhere")
def sign_out_elsewhere(request: Request, parts: PartsOf, who: Person) -> Response:
    """End all sessions but this one."""
    with begin_write(parts.engine) as session:
        users.end_sessions(session, who.user_id or 0, now=now(), but=kept(request.cookies.get(session_cookie(request), "")))
    return RedirectResponse("/account", 303)


def _page(request: Request, parts: PartsOf, who: Who, status: int = 200, problem: str = "") -> Response:
    moment, mine = now(), kept(request.cookies.get(session_cookie(request), ""))
    alive = (WebSession.user_id == who.user_id, WebSession.ended_at.is_(None), WebSession.expires_at > moment)
    with begin_read(parts.engine) as session:
        user = session.get_one(User, who.user_id)
        still_open = (*alive, WebSession.seen_at > moment - parts.terms.life.idle)
        rows = session.scalars(select(WebSession).where(*still_open).order_by(WebSession.created_at.desc())).all()
    return page(request, "account.jinja", status, user=user, sessions=rows, mine=mine, problem=problem)
