"""Tokens of programs: made once, shown once, kept as a hash, with scopes and an end."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ptx_node.db import audit
from ptx_node.db.access_tables import ApiToken
from ptx_node.db.secret_text import kept, new_secret
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.access import TOKEN_NAME, Permission, Who, program
from ptx_node.domain.audit_events import decision
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

PREFIX = "ptx_"
"""So that a token which was published by mistake is recognised by those who search for such."""
KNOWN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43,200}}")
NOTICED_EVERY = timedelta(minutes=1)


def add(session: Session, name: str, scopes: Collection[Permission], *, life: timedelta, by: str, now: datetime) -> str:
    """A new token, which is shown now and never again.

    Raises:
        UsageError: the name cannot be one or is taken, or nothing is allowed with it.
    """
    token = new_secret(PREFIX)
    _add(session, name, scopes, token, life=life, by=by, now=now)
    return token


def add_known(session: Session, name: str, scopes: Collection[Permission], token: str, *, life: timedelta, by: str, now: datetime) -> bool:
    """Take a token that was made elsewhere, as by `deploy/new-secrets.sh`; False when this name has it already.

    Raises:
        UsageError: as of `add`, or nobody can be sure that this token cannot be guessed.
    """
    if not KNOWN.fullmatch(token):
        raise UsageError(
            f"a token made elsewhere is {PREFIX} and 43 to 200 random letters, digits, - and _: {PREFIX}$(openssl rand -hex 32)"
        )
    has = session.scalar(select(ApiToken).where(ApiToken.name == name))
    if has is not None and has.sha256 == kept(token) and has.revoked_at is None and has.expires_at > now:
        return False
    _add(session, name, scopes, token, life=life, by=by, now=now)
    return True


def _add(session: Session, name: str, scopes: Collection[Permission], token: str, *, life: timedelta, by: str, now: datetime) -> None:
    if not TOKEN_NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a token's name: small letters, digits, - and _, at most 63")
    if not scopes:
        raise UsageError("a token needs at least one scope")
    if session.scalar(select(ApiToken.id).where(ApiToken.name == name)) is not None:
        raise UsageError(f"there was a token {name!r} already: the trail names tokens, so choose another name")
    told = sorted(scope.value for scope in set(scopes))
    session.add(ApiToken(name=name, sha256=kept(token), scopes=told, created_by=by, created_at=now, expires_at=now + life))
    audit.note(session, decision(by, "add token", token=name, scopes=told, days=life.days))


def listed(session: Session) -> Sequence[ApiToken]:
    """All of them, by name."""
    return session.scalars(select(ApiToken).order_by(ApiToken.name)).all()


def revoke(session: Session, name: str, *, by: str, now: datetime) -> None:
    """End a token at once.

    Raises:
        UsageError: there is none of this name.
    """
    found = session.scalar(select(ApiToken).where(ApiToken.name == name))
    if found is None:
        raise UsageError(f"there is no token {name!r}. See: ptx tokens list")
    found.revoked_at = found.revoked_at or now
    audit.note(session, decision(by, "revoke token", token=name))


def opened_by_token(engine: Engine, scope: Permission) -> bool:
    """Whether some token opens this."""
    with begin_read(engine) as session:
        rows = session.scalars(select(ApiToken).where(ApiToken.revoked_at.is_(None), ApiToken.expires_at > now())).all()
    return any(scope in row.scopes for row in rows)


def holds(engine: Engine, authorization: str, scope: Permission) -> bool:
    """Whether an `Authorization` header carries a token of ours with this scope.

    Raises:
        DatabaseUnavailableError: nobody can be looked up now.
    """
    found = who(engine, authorization)
    return found is not None and found.may(scope)


def who(engine: Engine, authorization: str) -> Who | None:
    """The holder of a token in an `Authorization` header; None when it is not one of ours, ended, or too old.

    Raises:
        DatabaseUnavailableError: nobody can be looked up now.
    """
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token.startswith(PREFIX):
        return None
    moment = now()
    alive = (ApiToken.sha256 == kept(token), ApiToken.revoked_at.is_(None), ApiToken.expires_at > moment)
    with begin_read(engine) as session:
        found = session.scalar(select(ApiToken).where(*alive))
    if found is None:
        return None
    if found.used_at is None or moment - found.used_at > NOTICED_EVERY:
        with begin_write(engine) as session:
            session.execute(update(ApiToken).where(ApiToken.id == found.id).values(used_at=moment))
    return program(found.name, frozenset(Permission(scope) for scope in found.scopes))
