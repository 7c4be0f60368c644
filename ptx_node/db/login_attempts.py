"""How often a sign-in may be tried: counted durably for each account and each address, before the password is looked at.

A try is counted as failed when it begins and forgiven when it succeeds, so that many at once cannot outrun the count.
The account need not exist: nobody learns from the limit whether it does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ptx_node.db.access_tables import LoginAttempts
from ptx_node.domain.access import folded

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

FORGIVEN_AFTER = timedelta(minutes=15)
"""Silence after which earlier failures do not count any more."""
LONGEST_BLOCK = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures are free; each further one doubles the wait, which begins with `first`."""

    free: int
    first: timedelta


ACCOUNT = Limit(5, timedelta(seconds=15))
ADDRESS = Limit(20, timedelta(seconds=15))


def keys(name: str, address: str) -> tuple[str, str]:
    """What is counted for a try: the account as typed, and the address (of IPv6 its /64, which one machine owns whole)."""
    return _key("account", folded(name)), _key("address", _network(address))


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _key(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).hexdigest()


def try_begins(session: Session, name: str, address: str, *, now: datetime) -> timedelta | None:
    """Count a try; how long to wait when it may not be made, None when it may. To be committed before the password is checked."""
    account, place = keys(name, address)
    rows = []
    for key in (place, account):  # in this order, here and below: nobody waits for another who waits for them
        row = _locked(session, key, now)
        if row.blocked_until and row.blocked_until > now:
            return row.blocked_until - now  # an address that is blocked adds no row for each name that it thinks of
        rows.append(row)
    for row, limit in zip(rows, (ADDRESS, ACCOUNT), strict=True):
        row.failures = 1 if now - row.last_at > FORGIVEN_AFTER + LONGEST_BLOCK else row.failures + 1
        row.last_at = now
        beyond = row.failures - limit.free
        row.blocked_until = now + min(limit.first * 2 ** min(beyond, 16), LONGEST_BLOCK) if beyond >= 0 else None
    return None


def try_succeeded(session: Session, name: str, address: str) -> None:
    """Forget the account's failures, and one of the address: others behind it may still be guessing."""
    account, place = keys(name, address)
    row = session.scalar(select(LoginAttempts).where(LoginAttempts.key == place).with_for_update())
    if row is not None:
        row.failures -= 1
        if row.failures < ADDRESS.free:
            row.blocked_until = None
    session.execute(delete(LoginAttempts).where(LoginAttempts.key == account))


def _locked(session: Session, key: str, now: datetime) -> LoginAttempts:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(LoginAttempts).values(key=key, failures=0, last_at=now).on_conflict_do_nothing())
    return session.scalars(select(LoginAttempts).where(LoginAttempts.key == key).with_for_update()).one()
