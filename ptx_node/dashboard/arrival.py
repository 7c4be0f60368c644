"""Somebody has shown who they are: a new session, its cookie, and a row in the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import HTTPException
from starlette.responses import RedirectResponse

from ptx_node.dashboard.entry import own_path, session_cookie, visit_cookie, visit_secret
from ptx_node.dashboard.parts import address_of, parts_of
from ptx_node.db import audit, web_sessions
from ptx_node.db.secret_text import new_secret
from ptx_node.db.session import begin_write, now
from ptx_node.domain.audit import peer
from ptx_node.domain.audit_events import login

if TYPE_CHECKING:
    from fastapi import Request
    from sqlalchemy.orm import Session
    from starlette.responses import Response

    from ptx_node.db.access_tables import User


def let_in(session: Session, request: Request, user: User, *, how: str, next_path: str) -> RedirectResponse:
    """Begin a session in this transaction, end the one that the browser had, and go on to `next_path`.

    Raises:
        HTTPException: 403, the user is disabled.
    """
    moment, address = now(), address_of(request)
    if user.disabled_at is not None:
        raise HTTPException(403, "this account is disabled: ask an administrator")
    before = request.cookies.get(session_cookie(request))
    if before:
        web_sessions.end(session, before, now=moment)
    secret = web_sessions.begin(session, user.id, how=how, address=address, now=moment, life=parts_of(request).terms.life)
    audit.note(session, login(f"user {user.name}", "signed_in", how=how, address=address))
    response = RedirectResponse(own_path(next_path), 303)
    _set(response, request, session_cookie(request), secret)
    response.delete_cookie(visit_cookie(request), secure=parts_of(request).terms.secure, httponly=True, samesite="lax")
    return response


def note_failure(request: Request, outcome: str, *, how: str, user: User | None = None) -> None:
    """A try that let nobody in, in the audit trail. A name that nobody has is not written down: it may be a password."""
    address = address_of(request)
    actor = f"user {user.name}" if user else peer("", address)
    with begin_write(parts_of(request).engine) as session:
        audit.note(session, login(actor, outcome, how=how, address=address))


def begin_visit(request: Request) -> None:
    """Think of a cookie for a browser that has none, before its page is made: the form's word is made from it."""
    if not visit_secret(request):
        request.state.visit = new_secret()


def keep_visit(request: Request, response: Response) -> None:
    """Give the browser that cookie."""
    _set(response, request, visit_cookie(request), visit_secret(request))


def forget_session(request: Request, response: Response) -> None:
    """Take the session's cookie back."""
    response.delete_cookie(session_cookie(request), secure=parts_of(request).terms.secure, httponly=True, samesite="lax")


def _set(response: Response, request: Request, name: str, value: str) -> None:
    # "lax", not "strict": on the way back from an OpenID provider a strict cookie would not be sent
    response.set_cookie(name, value, secure=parts_of(request).terms.secure, httponly=True, samesite="lax", path="/")
