"""People and tokens: who may come in, and what for. For administrators; `ptx users` and `ptx tokens` do the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, Field

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db import api_tokens, users
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import Permission, Role, Who
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["people"])

PAGE = Page("People", "/people", Permission.USERS, (router, api))

Administrator = Annotated[Who, needs(Permission.USERS)]
Name = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as the API tells of one; of a password only whether there is one."""

    name: str
    role: Role
    source: str
    has_password: bool
    created_by: str
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as the API tells of one; never the token itself."""

    name: str
    scopes: list[Permission]
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class NewUser(BaseModel):
    """Whom to add."""

    name: str = Field(max_length=200)
    role: Role


class NewToken(BaseModel):
    """Which token to make."""

    name: str = Field(max_length=200)
    scopes: list[Permission] = Field(min_length=1)
    days: int = Field(default=365, ge=1, le=3650)


class Changed(BaseModel):
    """What to change of a user; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """A secret that is shown now and never again."""

    secret: str


@router.get("/people")
def people(request: Request, parts: PartsOf, _who: Administrator) -> Response:
    """The page."""
    return _page(request, parts)


@router.post("/people/add")
def add_user(request: Request, parts: PartsOf, who: Administrator, name: Name, role: Annotated[Role, Form()]) -> Response:
    """Add a user and show the one-time link."""
    return _done(request, parts, lambda: f"{parts.terms.base_url}/welcome/{_add(parts, who, name, role)}")


@router.post("/people/link")
def give_link(request: Request, parts: PartsOf, who: Administrator, name: Name) -> Response:
    """A new one-time link for a user who forgot the password."""
    return _done(request, parts, lambda: f"{parts.terms.base_url}/welcome/{_link(parts, who, name)}")


@router.post("/people/role")
def change_role(request: Request, parts: PartsOf, who: Administrator, name: Name, role: Annotated[Role, Form()]) -> Response:
    """Give another role."""
    return _done(request, parts, lambda: _change(parts, who, name, Changed(role=role)))


@router.post("/people/disable")
def disable(request: Request, parts: PartsOf, who: Administrator, name: Name) -> Response:
    """Let in no more."""
    return _done(request, parts, lambda: _change(parts, who, name, Changed(disabled=True)))


@router.post("/people/enable")
def enable(request: Request, parts: PartsOf, who: Administrator, name: Name) -> Response:
    """Let in again."""
    return _done(request, parts, lambda: _change(parts, who, name, Changed(disabled=False)))


@router.post("/people/token")
def add_token(
    request: Request,
    parts: PartsOf,
    who: Administrator,
    name: Name,
    scope: Annotated[list[Permission], Form()],
    days: Annotated[int, Form(ge=1, le=3650)] = 365,
) -> Response:
    """Make a token and show it once."""
    return _done(request, parts, lambda: _token(parts, who, NewToken(name=name, scopes=scope, days=days)))


@router.post("/people/revoke")
def revoke_token(request: Request, parts: PartsOf, who: Administrator, name: Name) -> Response:
    """End a token."""
    return _done(request, parts, lambda: _revoke(parts, who, name))


@api.get("/users")
def list_users(parts: PartsOf, _who: Administrator) -> list[UserRow]:
    """Everybody who may, or might, come in."""
    return _users(parts)


@api.post("/users", status_code=201)
def create_user(parts: PartsOf, who: Administrator, wanted: NewUser) -> Once:
    """Add a local user; the answer is the one-time link by which they set a password."""
    return Once(f"{parts.terms.base_url}/welcome/{_add(parts, who, wanted.name, wanted.role)}")


@api.patch("/users/{name}")
def change_user(parts: PartsOf, who: Administrator, name: str, wanted: Changed) -> list[UserRow]:
    """Change a user's role, or let them in no more, or again."""
    _change(parts, who, name, wanted)
    return _users(parts)


@api.post("/users/{name}/link", status_code=201)
def create_link(parts: PartsOf, who: Administrator, name: str) -> Once:
    """A new one-time link."""
    return Once(f"{parts.terms.base_url}/welcome/{_link(parts, who, name)}")


@api.get("/tokens")
def list_tokens(parts: PartsOf, _who: Administrator) -> list[TokenRow]:
    """Every token, those that ended too."""
    return _tokens(parts)


@api.post("/tokens", status_code=201)
def create_token(parts: PartsOf, who: Administrator, wanted: NewToken) -> Once:
    """Make a token; the answer is the only place where it ever stands."""
    return Once(_token(parts, who, wanted))


@api.delete("/tokens/{name}", status_code=204)
def end_token(parts: PartsOf, who: Administrator, name: str) -> None:
    """End a token at once."""
    _revoke(parts, who, name)


def _add(parts: PartsOf, who: Who, name: str, role: Role) -> str:
    with begin_write(parts.engine) as session:
        users.add(session, name, role, by=who.actor, now=now())
        return users.link(session, name, by=who.actor, now=now())


def _link(parts: PartsOf, who: Who, name: str) -> str:
    with begin_write(parts.engine) as session:
        return users.link(session, name, by=who.actor, now=now())


def _change(parts: PartsOf, who: Who, name: str, wanted: Changed) -> str:
    with begin_write(parts.engine) as session:
        if wanted.role is not None:
            users.change_role(session, name, wanted.role, by=who.actor)
        if wanted.disabled is True:
            users.disable(session, name, by=who.actor, now=now())
        elif wanted.disabled is False:
            users.enable(session, name, by=who.actor)
    return ""


def _token(parts: PartsOf, who: Who, wanted: NewToken) -> str:
    with begin_write(parts.engine) as session:
        return api_tokens.add(session, wanted.name, wanted.scopes, life=timedelta(days=wanted.days), by=who.actor, now=now())


def _revoke(parts: PartsOf, who: Who, name: str) -> str:
    with begin_write(parts.engine) as session:
        api_tokens.revoke(session, name, by=who.actor, now=now())
    return ""


def _users(parts: PartsOf) -> list[UserRow]:
    with begin_read(parts.engine) as session:
        return [
            UserRow(row.name, Role(row.role), row.source, row.password_hash is not None, row.created_by, row.created_at, row.disabled_at)
            for row in users.listed(session)
        ]


def _tokens(parts: PartsOf) -> list[TokenRow]:
    with begin_read(parts.engine) as session:
        return [
            TokenRow(
                row.name,
                [Permission(one) for one in row.scopes],
                row.created_by,
                row.created_at,
                row.expires_at,
                row.used_at,
                row.revoked_at,
            )
            for row in api_tokens.listed(session)
        ]


def _done(request: Request, parts: PartsOf, act: Callable[[], str]) -> Response:
    """Do it and show the page again, with a secret that was made, or with what was wrong."""
    try:
        return _page(request, parts, secret=act())
    except UsageError as error:
        return _page(request, parts, 400, problem=str(error))


def _page(request: Request, parts: PartsOf, status: int = 200, *, secret: str = "", problem: str = "") -> Response:
    return page(
        request,
        "people.jinja",
        status,
        users=_users(parts),
        tokens=_tokens(parts),
        roles=list(Role),
        scopes=list(Permission),
        secret=secret,
        problem=problem,
    )
