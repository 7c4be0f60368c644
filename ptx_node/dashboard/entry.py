"""Who asks, and whether they may: every route declares what it needs, and an application with one that does not is not made.

A person shows a session's cookie, a program a token. A request that changes something must carry the session's CSRF word.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from ptx_node import log
from ptx_node.dashboard.parts import parts_of
from ptx_node.db import api_tokens, web_sessions
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute

    from ptx_node.dashboard.parts import Parts
    from ptx_node.domain.access import Permission, Who

logger = log.get(__name__)

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ANYBODY = "anybody"
SIGNED_IN = "signed in"
API = "/api/"

_MARK = "ptx_needs"


class SignInNeededError(Exception):
    """Nobody is signed in, or no longer; `next_path` is where they wanted to go."""

    def __init__(self, next_path: str) -> None:
        super().__init__(next_path)
        self.next_path = next_path


def needs(permission: Permission, *, background: bool = False) -> Any:
    """A route's declaration: only whoever has this permission; gives the route a `Who`.

    Args:
        permission: of the closed list.
        background: the page asks by itself, so that it keeps no session alive for a person who has gone.
    """
    return _declared(str(permission), permission, background=background)


def needs_person() -> Any:
    """A route's declaration: anybody who is signed in, for their own account; gives the route a `Who`. No token comes in here."""
    return _declared(SIGNED_IN, None, background=False)


def open_to_anybody() -> Any:
    """A route's declaration: nothing is asked, and nothing is told that is not anybody's."""

    async def enter() -> None:
        return None

    setattr(enter, _MARK, ANYBODY)
    return Depends(enter)


def _declared(mark: str, permission: Permission | None, *, background: bool) -> Any:
    async def enter(request: Request) -> Who:
        who = await run_in_threadpool(_who, request, background=background)
        if permission is None and who.user_id is None:
            raise HTTPException(403, "this is for people, not for tokens")
        if permission is not None and not who.may(permission):
            logger.warning("request without the permission", actor=who.actor, needs=permission, path=request.url.path)
            raise HTTPException(403, f"{who.name} may not do this: it needs the permission {permission.value!r}")
        if request.method not in SAFE and who.user_id is not None:
            await demand_csrf(request)
        request.state.who = who
        return who

    setattr(enter, _MARK, mark)
    return Depends(enter)


def _who(request: Request, *, background: bool) -> Who:
    parts, moment = parts_of(request), now()
    authorization = request.headers.get("authorization", "")
    if authorization.lower().startswith("bearer"):  # what else it says is for a proxy in front: that passes Basic on
        found = api_tokens.who(parts.engine, authorization)
        if found is None:
            raise HTTPException(401, "the token is unknown, has ended or was revoked", {"WWW-Authenticate": "Bearer"})
        return found
    secret = request.cookies.get(session_cookie(request))
    if secret:
        with begin_read(parts.engine) as session:
            alive = web_sessions.who(session, secret, now=moment, life=parts.terms.life)
        # a session that a proxy began holds only while the proxy names the same person
        if alive is not None and (alive.how != "proxy" or alive.subject == proxy_subject(request)):
            if not background and alive.to_be_noticed(moment):
                with begin_write(parts.engine) as session:
                    web_sessions.notice(session, alive.sha256, now=moment)
            return alive.who
    if request.url.path.startswith(API):
        raise HTTPException(401, "sign in, or give a token: Authorization: Bearer ptx_…", {"WWW-Authenticate": "Bearer"})
    raise SignInNeededError(request.url.path + (f"?{request.url.query}" if request.url.query else ""))


def proxy_user(request: Request) -> str | None:
    """Whom the proxy in front vouches for; None when nobody does, or it is not our proxy that says so."""
    proxy = parts_of(request).terms.proxy
    seen = request.client.host if request.client else ""
    if not proxy.user_header or not proxy.trusts(seen):
        return None
    return request.headers.get(proxy.user_header, "").strip() or None


def proxy_subject(request: Request) -> str | None:
    """The person whom the proxy vouches for, as `users.subject` has them."""
    named = proxy_user(request)
    return f"proxy|{folded(named)}" if named else None


def session_cookie(request: Request) -> str:
    """The name of the session's cookie."""
    return session_cookie_name(parts_of(request))


def session_cookie_name(parts: Parts) -> str:
    """With HTTPS a name that no other host and no plain page can set."""
    return "__Host-ptx-session" if parts.terms.secure else "ptx-session"


def visit_cookie(request: Request) -> str:
    """The name of the cookie of a browser that has not signed in; it guards the sign-in's own form."""
    return "__Host-ptx-visit" if parts_of(request).terms.secure else "ptx-visit"


def visit_secret(request: Request) -> str:
    """The cookie of a browser that has not signed in, or the one that this answer gives it; empty when there is neither."""
    return request.cookies.get(visit_cookie(request)) or str(getattr(request.state, "visit", ""))


def csrf_word(request: Request) -> str:
    """What forms of this session must carry: nobody can make it who cannot read the cookie."""
    secret = request.cookies.get(session_cookie(request)) or visit_secret(request)
    return hashlib.sha256(f"csrf:{secret}".encode()).hexdigest() if secret else ""


async def demand_csrf(request: Request) -> None:
    """Refuse a request that changes something and does not carry the word, in a header or in the form.

    Raises:
        HTTPException: 403.
    """
    given = request.headers.get("x-csrf-token")
    if given is None and request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        given = str((await request.form()).get("csrf", ""))
    expected = csrf_word(request)
    if not expected or not hmac.compare_digest((given or "").encode(), expected.encode()):
        raise HTTPException(403, "this form is of an earlier visit: go back, load the page anew and send it again")


def sign_in_address(next_path: str) -> str:
    """Where to sign in and come back to `next_path` afterwards."""
    return "/sign-in" if next_path in ("", "/") else f"/sign-in?next={quote(next_path, safe='/')}"


def own_path(path: str) -> str:
    """A path of ours to go to, else the first page: never an address elsewhere, however it is written."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain else "/"


def declared(route: APIRoute) -> str:
    """What a route has declared that it needs.

    Raises:
        TypeError: nothing, or more than one thing.
    """
    found = sorted(set(_marks(route.dependant)))
    if len(found) != 1:
        raise TypeError(
            f"{sorted(route.methods or ())} {route.path} declares {found or 'nothing'}: say once who may call it (ptx_node.dashboard.entry)"
        )
    return found[0]


def _marks(dependant: Dependant) -> Iterator[str]:
    mark = getattr(dependant.call, _MARK, None)
    if mark is not None:
        yield mark
    for one in dependant.dependencies:
        yield from _marks(one)
