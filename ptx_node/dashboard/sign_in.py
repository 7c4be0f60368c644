"""Signing in with a password, by a one-time link, or by the word of a proxy in front; signing out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from ptx_node import log
from ptx_node.dashboard import passwords
from ptx_node.dashboard.arrival import begin_visit, forget_session, keep_visit, let_in, note_failure
from ptx_node.dashboard.entry import demand_csrf, needs_person, open_to_anybody, own_path, proxy_subject, proxy_user, session_cookie
from ptx_node.dashboard.parts import PartsOf, address_of, parts_of
from ptx_node.dashboard.show import page, span
from ptx_node.db import audit, login_attempts, users, web_sessions
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Who, highest
from ptx_node.domain.audit_events import login
from ptx_node.errors import UsageError

logger = log.get(__name__)

router = APIRouter(include_in_schema=False)

Person = Annotated[Who, needs_person()]

NO_LINK = (
    "This link was used already, is older than a day, or was followed by a newer one. "
    "On the node's machine, `ptx users link NAME` gives another."
)
WRONG = "The name or the password is wrong."


@router.get("/sign-in", dependencies=[open_to_anybody()])
def form(request: Request, parts: PartsOf, next: str = "/") -> Response:  # noqa: A002 - the address's own word
    """The form; or, behind a proxy that says who comes, straight in."""
    subject, named = proxy_subject(request), proxy_user(request)
    if subject is not None and named is not None:
        proxy = parts.terms.proxy
        groups = {one.strip() for one in request.headers.get(proxy.roles_header, "").split(",")} if proxy.roles_header else set()
        role = highest(frozenset(proxy.roles[one] for one in groups & proxy.roles.keys()))
        if role is None:
            note_failure(request, "refused", how="proxy")
            raise HTTPException(403, f"{named} has no role on this node: see dashboard.proxy.roles")
        with begin_write(parts.engine) as session:
            user = users.known_elsewhere(session, subject, named, role, source="proxy", now=now())
            return let_in(session, request, user, how="proxy", next_path=next)
    return _page(request, "sign_in.jinja", next=own_path(next), name="", problem="")


@router.post("/sign-in", dependencies=[open_to_anybody()])
async def sign_in(request: Request) -> Response:
    """Check the form's word before anything is counted or looked up."""
    await demand_csrf(request)
    given = await request.form()
    name, password, next_path = (str(given.get(field, "")) for field in ("name", "password", "next"))
    return await run_in_threadpool(_sign_in, request, name, password, next_path)


def _sign_in(request: Request, name: str, password: str, next_path: str) -> Response:
    parts, address = parts_of(request), address_of(request)
    with begin_write(parts.engine) as session:
        wait = login_attempts.try_begins(session, name, address, now=now())
        user = users.find(session, name)
    if wait is not None:
        logger.warning("a sign-in was not tried: too many failures", address=address)  # a row each would be a way to fill the disk
        text = f"Too many tries. Wait {span(wait.total_seconds())} and try again."
        return _page(request, "sign_in.jinja", 429, next=own_path(next_path), name=name, problem=text, retry_after_s=wait.total_seconds())
    checks: passwords.Passwords = request.app.state.passwords
    right = checks.fits(user.password_hash if user else None, password)
    if user is None or not right or user.disabled_at is not None:
        outcome = "disabled" if user is not None and right else "wrong_password"
        note_failure(request, outcome, how="password", user=user)
        return _page(request, "sign_in.jinja", 401, next=own_path(next_path), name=name, problem=WRONG)
    renewed = checks.renewed(user.password_hash or "", password)
    with begin_write(parts.engine) as session:
        login_attempts.try_succeeded(session, name, address)
        known = users.wanted(session, user.name)
        if known.password_hash != user.password_hash:  # changed while we were checking
            raise HTTPException(409, "the password was changed a moment ago: sign in again")
        known.password_hash = renewed or known.password_hash
        return let_in(session, request, known, how="password", next_path=next_path)


@router.post("/sign-out")
def sign_out(request: Request, parts: PartsOf, who: Person) -> Response:
    """End this session."""
    with begin_write(parts.engine) as session:
        web_sessions.end(session, request.cookies.get(session_cookie(request), ""), now=now())
        audit.note(session, login(who.actor, "signed_out", how="dashboard", address=address_of(request)))
    response = RedirectResponse("/sign-in", 303)
    forget_session(request, response)
    return response


@router.get("/welcome/{secret}", dependencies=[open_to_anybody()])
def welcome(request: Request, parts: PartsOf, secret: str) -> Response:
    """What a one-time link opens. Looking uses nothing up: programs look at links before people do."""
    with begin_read(parts.engine) as session:
        opened = users.invitation(session, secret, now=now())
    if opened is None:
        raise HTTPException(404, NO_LINK)
    return _page(request, "welcome.jinja", name=opened.name or "", first=opened.name is None, problem="")


@router.post("/welcome/{secret}", dependencies=[open_to_anybody()])
async def accept(request: Request, secret: str) -> Response:
    """Set the password, use the link up, and go in."""
    await demand_csrf(request)
    given = await request.form()
    name, password, again = (str(given.get(field, "")) for field in ("name", "password", "again"))
    return await run_in_threadpool(_accept, request, secret, name, password, again)


def _accept(request: Request, secret: str, name: str, password: str, again: str) -> Response:
    parts = parts_of(request)
    with begin_read(parts.engine) as session:
        opened = users.invitation(session, secret, now=now())
    if opened is None:
        raise HTTPException(404, NO_LINK)
    chosen = opened.name or name
    problem = passwords.problem(password, chosen) or ("the two passwords differ" if password != again else None)
    if problem is None:
        hashed = request.app.state.passwords.hash(password)
        try:
            with begin_write(parts.engine) as session:
                user = users.accept(session, opened, chosen, hashed, now=now())
                if user is None:
                    raise HTTPException(404, NO_LINK)
                return let_in(session, request, user, how="link", next_path="/")
        except UsageError as error:
            problem = str(error)
    return _page(request, "welcome.jinja", 400, name=chosen, first=opened.name is None, problem=problem)


def _page(request: Request, template: str, status: int = 200, *, retry_after_s: float | None = None, **values: object) -> Response:
    """A page for a browser that has not signed in, with its cookie."""
    begin_visit(request)
    oidc = parts_of(request).terms.oidc
    response = page(request, template, status, oidc_label=oidc.label if oidc else "", **values)
    keep_visit(request, response)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(int(retry_after_s) + 1)
    return response
