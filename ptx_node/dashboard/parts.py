"""What the pages are given: the database, the node's facts, and the terms on which people come in. Made by the wiring."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from ptx_node.dashboard.desk import Desk
from ptx_node.db.web_sessions import Lifetimes
from ptx_node.domain.promise import NO_PROMISE, Promise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from sqlalchemy import Engine

    from ptx_node.domain.access import Role
    from ptx_node.domain.pseudonym import Pseudonyms


@dataclass(frozen=True, slots=True)
class Oidc:
    """An OpenID provider and what its claims mean here. See `ptx_node.settings.OidcSettings`."""

    issuer: str
    client_id: str
    client_secret: str | None
    scopes: tuple[str, ...]
    name_claim: str
    roles_claim: str
    roles: dict[str, Role]
    label: str


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy in front: whose headers count, and which of them name a person. See `ptx_node.settings.ProxySettings`."""

    addresses: tuple[str, ...] = ()
    user_header: str = ""
    roles_header: str = ""
    roles: dict[str, Role] = field(default_factory=dict)

    def trusts(self, address: str) -> bool:
        """Whether a connection from this address is the proxy's."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in ip_network(one, strict=False) for one in self.addresses)


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms people come in.

    Attributes:
        base_url: as people reach the dashboard, without a slash at the end.
        hosts: names under which requests are answered; another one is a page elsewhere that points here.
    """

    base_url: str
    hosts: frozenset[str]
    life: Lifetimes = field(default_factory=Lifetimes)
    oidc: Oidc | None = None
    proxy: Proxy = Proxy()

    @property
    def secure(self) -> bool:
        """Whether people come by HTTPS, here or at the proxy."""
        return urlsplit(self.base_url).scheme == "https"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the pages tell of this node's settings."""

    site: str
    zone: ZoneInfo
    store_folder: Path
    watermark_bytes: int
    destinations: tuple[str, ...] = ()
    pseudonyms: Pseudonyms | None = None
    deadlines_s: Mapping[str, float] = field(default_factory=dict)
    """How long each destination is tried."""
    export_names: Pseudonyms | None = None
    """Those of an export without a name, whose figures the page Performance repeats to the last digit."""
    smallest_cell: int = 10
    promise: Promise = NO_PROMISE


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a page may use."""

    engine: Engine
    node: NodeFacts
    terms: Terms
    desk: Desk = field(default_factory=Desk)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]
"""A page's parameter of this type is given the parts."""


def parts_of(request: Request) -> Parts:
    """The parts, for code that has the request only."""
    return _parts(request)


def address_of(request: Request) -> str:
    """Where the request came from; behind our proxy what it says, else what was seen."""
    seen = request.client.host if request.client else ""
    told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if not told or not parts_of(request).terms.proxy.trusts(seen):
        return seen
    try:
        return str(ip_address(told))
    except ValueError:
        return seen
