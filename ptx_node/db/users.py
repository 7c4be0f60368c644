"""People who may come in, and the one-time links by which they set a password. Every change is an event of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ptx_node.db import audit
from ptx_node.db.access_tables import LoginLink, User, WebSession
from ptx_node.db.secret_text import kept, new_secret
from ptx_node.domain.access import Role, folded, name_problem
from ptx_node.domain.audit_events import decision
from ptx_node.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

LINK_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a one-time link opens. `name` is None for the first administrator, who chooses it.

    Attributes:
        link_id: the row of the link.
    """

    link_id: int
    user_id: int | None
    name: str | None


def find(session: Session, name: str) -> User | None:
    """The user of this name, however it is written."""
    return session.scalar(select(User).where(User.name == folded(name)))


def wanted(session: Session, name: str) -> User:
    """The user of this name.

    Raises:
        UsageError: there is none.
    """
    user = find(session, name)
    if user is None:
        raise UsageError(f"there is no user {folded(name)!r}. See: ptx users list")
    return user


def listed(session: Session) -> Sequence[User]:
    """Everybody, by name."""
    return session.scalars(select(User).order_by(User.name)).all()


def add(session: Session, name: str, role: Role, *, by: str, now: datetime) -> User:
    """A local user without a password, who comes in by a one-time link.

    Raises:
        UsageError: the name cannot be one, or is taken.
    """
    plain = folded(name)
    if problem := name_problem(plain):
        raise UsageError(f"{name!r} cannot be a user's name: {problem}")
    if find(session, plain) is not None:
        raise UsageError(
            f"there is a user {plain!r} already: change the role with `ptx users role`, or give a new link with `ptx users link`"
        )
    user = _new(session, plain, role, source="local", by=by, now=now)
    audit.note(session, decision(by, "add user", user=plain, role=role.value))
    return user


def known_elsewhere(session: Session, subject: str, name: str, role: Role, *, source: str, now: datetime) -> User:
    """The user whom a provider or a proxy vouches for, made or given the role that it says now.

    A local user of the same name is somebody else: the new one gets a number behind the name.
    """
    user = session.scalar(select(User).where(User.subject == subject))
    if user is None:
        plain = folded(name)
        plain = plain if name_problem(plain) is None else f"{source}-user"
        number, free = 1, plain
        while find(session, free) is not None:
            number += 1
            free = f"{plain[:60]}-{number}"
        user = _new(session, free, role, source=source, by=source, now=now)
        user.subject = subject
        audit.note(session, decision(f"user {free}", "add user", user=free, role=role.value, source=source))
    elif user.role != role:
        audit.note(session, decision(f"user {user.name}", "change role", user=user.name, role=role.value, before=user.role, source=source))
        user.role = role.value
    session.flush()
    return user


def _new(session: Session, name: str, role: Role, *, source: str, by: str, now: datetime) -> User:
    user = User(name=name, role=role.value, source=source, created_by=by, created_at=now)
    session.add(user)
    session.flush()
    return user


def change_role(session: Session, name: str, role: Role, *, by: str) -> None:
    """Give a user another role; it counts from the next request on.

    Raises:
        UsageError: there is no such user, or it is the last administrator.
    """
    user = wanted(session, name)
    if role is not Role.ADMINISTRATOR:
        _keep_an_administrator(session, user)
    audit.note(session, decision(by, "change role", user=user.name, role=role.value, before=user.role))
    user.role = role.value


def disable(session: Session, name: str, *, by: str, now: datetime) -> None:
    """Let a user in no more: the password, the sessions and the links end. What they did stays.

    Raises:
        UsageError: there is no such user, or it is the last administrator.
    """
    user = wanted(session, name)
    _keep_an_administrator(session, user)
    user.disabled_at = user.disabled_at or now
    end_sessions(session, user.id, now=now)
    session.execute(update(LoginLink).where(LoginLink.user_id == user.id, LoginLink.used_at.is_(None)).values(used_at=now))
    audit.note(session, decision(by, "disable user", user=user.name))


def enable(session: Session, name: str, *, by: str) -> None:
    """Let a disabled user in again.

    Raises:
        UsageError: there is no such user.
    """
    user = wanted(session, name)
    user.disabled_at = None
    audit.note(session, decision(by, "enable user", user=user.name))


def end_sessions(session: Session, user_id: int, *, now: datetime, but: str = "") -> None:
    """End a user's sessions, but for one (its hash)."""
    mine = (WebSession.user_id == user_id, WebSession.ended_at.is_(None), WebSession.sha256 != but)
    session.execute(update(WebSession).where(*mine).values(ended_at=now))


def set_password(session: Session, user: User, password_hash: str, *, now: datetime) -> None:
    """Keep the hash of a new password and end what was signed in with the old one."""
    user.password_hash, user.password_at = password_hash, now
    end_sessions(session, user.id, now=now)
    audit.note(session, decision(f"user {user.name}", "set password", user=user.name))


def _keep_an_administrator(session: Session, user: User) -> None:
    if user.role == Role.ADMINISTRATOR and user.disabled_at is None and _administrators(session) == 1:
        raise UsageError(f"{user.name} is the only administrator: name another one first with `ptx users role`")


def _administrators(session: Session) -> int:
    """How many there are; they stay so until this transaction ends, so that two cannot each remove the other at once."""
    active = (User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None))
    return len(session.scalars(select(User.id).where(*active).order_by(User.id).with_for_update()).all())


def needs_first(session: Session) -> bool:
    """Whether nobody can administer the node yet: there is no administrator who has ever set a password or come from elsewhere."""
    ready = (User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None), User.password_hash.is_not(None) | (User.source != "local"))
    return session.scalar(select(User.id).where(*ready).limit(1)) is None


def first_link(session: Session, *, by: str, now: datetime) -> str | None:
    """A one-time link's secret for the first administrator, None when there is one. An earlier one that was not used ends."""
    if not needs_first(session):
        return None
    unused = (LoginLink.user_id.is_(None), LoginLink.used_at.is_(None))
    session.execute(update(LoginLink).where(*unused).values(used_at=now))
    return _link(session, None, by=by, now=now)


def link(session: Session, name: str, *, by: str, now: datetime) -> str:
    """The secret of a one-time link by which this user sets a new password. Earlier ones that were not used end.

    Raises:
        UsageError: there is no such user, or it is disabled or not local.
    """
    user = wanted(session, name)
    if user.disabled_at is not None:
        raise UsageError(f"{user.name} is disabled: `ptx users enable {user.name}` first")
    if user.source != "local":
        raise UsageError(f"{user.name} comes from {user.source} and has no password here")
    session.execute(update(LoginLink).where(LoginLink.user_id == user.id, LoginLink.used_at.is_(None)).values(used_at=now))
    audit.note(session, decision(by, "give link", user=user.name))
    return _link(session, user.id, by=by, now=now)


def _link(session: Session, user_id: int | None, *, by: str, now: datetime) -> str:
    secret = new_secret()
    session.add(LoginLink(sha256=kept(secret), user_id=user_id, created_by=by, created_at=now, expires_at=now + LINK_LIFE))
    return secret


def invitation(session: Session, secret: str, *, now: datetime) -> Invitation | None:
    """What an unused link opens; None when it is unknown, used or too old."""
    open_link = (LoginLink.sha256 == kept(secret), LoginLink.used_at.is_(None), LoginLink.expires_at > now)
    found = session.scalar(select(LoginLink).where(*open_link))
    if found is None:
        return None
    user = session.get(User, found.user_id) if found.user_id else None
    if user is None and not needs_first(session):
        return None
    return Invitation(found.id, found.user_id, user.name if user else None)


def accept(session: Session, opened: Invitation, name: str, password_hash: str, *, now: datetime) -> User | None:
    """Use a link up and set the password; None when somebody else has used it meanwhile.

    Raises:
        UsageError: the first administrator's name cannot be one, or is taken.
    """
    used = update(LoginLink).where(LoginLink.id == opened.link_id, LoginLink.used_at.is_(None)).values(used_at=now)
    if session.connection().execute(used).rowcount != 1:
        return None
    if opened.user_id is None:
        user = add(session, name, Role.ADMINISTRATOR, by="one-time link", now=now)
    else:
        user = session.get_one(User, opened.user_id)
    set_password(session, user, password_hash, now=now)
    return user
