"""Where the dashboard is, and the one-time link of its first administrator. Small: the web application is not loaded for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptx_node.db import users
from ptx_node.db.session import begin_write, now
from ptx_node.wiring.node import open_database

if TYPE_CHECKING:
    from ptx_node.settings import Settings


def base_url(settings: Settings) -> str:
    """The dashboard's address as people reach it."""
    dashboard = settings.dashboard
    scheme = "https" if dashboard.tls.certificate else "http"
    host = f"[{dashboard.host}]" if ":" in dashboard.host else dashboard.host
    return dashboard.base_url.rstrip("/") or f"{scheme}://{host}:{dashboard.port}"


def announcement(settings: Settings) -> list[str]:
    """What a person at this machine is told when the node starts: the dashboard's address, and the first administrator's link.

    Raises:
        DatabaseUnavailableError: it cannot be known now whether there is an administrator.
    """
    if not settings.dashboard.enabled:
        return []
    address = base_url(settings)
    engine = open_database(settings)
    with begin_write(engine) as session:
        secret = users.first_link(session, by="node", now=now())
    engine.dispose()
    if secret is None:
        return [f"dashboard: {address}"]
    return [f"dashboard: {address}", f"its first administrator, once and within a day: {address}/welcome/{secret}"]
