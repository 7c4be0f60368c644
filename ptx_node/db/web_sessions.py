"""Sessions of browsers: begun at a sign-in, followed at each request, ended by silence, age, or a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from ptx_node.db.access_tables import LoginAttempts, LoginFlow, LoginLink, User, WebSession
from ptx_node.db.secret_text import kept, new_secret
from ptx_node.domain.access import Role, Who, person

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

NOTICED_EVERY = timedelta(seconds=30)
"""How exact `seen_at` is: a page with ten pictures writes one row, not ten."""
KEEP_ENDED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Alive:
    """A session that holds: whose it is, its row, how it began, and who the user is at the provider or proxy."""

    who: Who
    sha256: str
    how: str
    subject: str | None
    seen_at: datetime

    def to_be_noticed(self, now: datetime) -> bool:
        """Whether this request is worth a write."""
        return now - self.seen_at > NOTICED_EVERY


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lives: after the last request of a person, and in all."""

    idle: timedelta = timedelta(minutes=30)
    whole: timedelta = timedelta(hours=12)


def begin(session: Session, user_id: int, *, how: str, address: str, now: datetime, life: Lifetimes) -> str:
    """A new session's secret, for the cookie: always a new one, so that a cookie from before the sign-in is worth nothing."""
    secret = new_secret()
    session.add(
        WebSession(sha256=kept(secret), user_id=user_id, how=how, address=address, created_at=now, seen_at=now, expires_at=now + life.whole)
    )
    return secret


def who(session: Session, secret: str, *, now: datetime, life: Lifetimes) -> Alive | None:
    """Whose session this is; None when it is unknown, has ended, is too old or was silent for too long, or the user is disabled."""
    alive = (WebSession.ended_at.is_(None), WebSession.expires_at > now, WebSession.seen_at > now - life.idle, User.disabled_at.is_(None))
    query = select(WebSession, User).join(User, User.id == WebSession.user_id).where(WebSession.sha256 == kept(secret), *alive)
    found = session.execute(query).first()
    if found is None:
        return None
    row, user = found
    return Alive(person(user.id, user.name, Role(user.role)), row.sha256, row.how, user.subject, row.seen_at)


def notice(session: Session, sha256: str, *, now: datetime) -> None:
    """A person did something in this session."""
    session.execute(update(WebSession).where(WebSession.sha256 == sha256, WebSession.seen_at < now).values(seen_at=now))


def end(session: Session, secret: str, *, now: datetime) -> None:
    """End one session."""
    session.execute(update(WebSession).where(WebSession.sha256 == kept(secret), WebSession.ended_at.is_(None)).values(ended_at=now))


def forget(session: Session, *, now: datetime) -> None:
    """Remove what nobody can use any more: old sessions and links, sign-ins that were begun, counts of failures."""
    session.execute(delete(WebSession).where(WebSession.expires_at < now - KEEP_ENDED))
    session.execute(delete(LoginLink).where(LoginLink.expires_at < now - KEEP_ENDED))
    session.execute(delete(LoginFlow).where(LoginFlow.expires_at < now))
    session.execute(delete(LoginAttempts).where(LoginAttempts.last_at < now - timedelta(days=1)))
