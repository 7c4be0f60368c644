"""The dashboard as a role of the node: its terms from the settings, and its server."""

from __future__ import annotations

import gc
import logging
import os
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ptx_node.dashboard import health
from ptx_node.dashboard.app import create_app
from ptx_node.dashboard.pages import PAGES
from ptx_node.dashboard.parts import NodeFacts, Oidc, Parts, Proxy, Terms
from ptx_node.db import heartbeats, schema
from ptx_node.db.web_sessions import Lifetimes
from ptx_node.domain.access import Role
from ptx_node.domain.promise import Promise
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.errors import ConfigurationError
from ptx_node.inbound.http_door import server
from ptx_node.log import get
from ptx_node.wiring.dashboard_address import base_url
from ptx_node.wiring.desk import make_desk
from ptx_node.wiring.door_certificates import EVERYWHERE, warn_of_certificate
from ptx_node.wiring.export_worker import working
from ptx_node.wiring.monitoring import make_exporter, make_probe
from ptx_node.wiring.node import open_database, tls_paths

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ptx_node.settings import Settings

log = get(__name__)

SHUTDOWN_S = 5


def terms(settings: Settings) -> Terms:
    """On which terms people come in.

    Raises:
        ConfigurationError: the settings would send passwords in clear over a network, or contradict each other.
    """
    dashboard, address = settings.dashboard, base_url(settings)
    if dashboard.host in EVERYWHERE and not dashboard.base_url:
        raise ConfigurationError("dashboard.base_url: say by which address people reach the dashboard, such as https://ptx.example.org")
    outside = dashboard.host in EVERYWHERE or not _loopback(dashboard.host)
    if outside and urlsplit(address).scheme != "https":
        raise ConfigurationError(
            f"dashboard.host is {dashboard.host}: passwords would cross the network in clear. Give it a certificate ([tls]), "
            "or name in dashboard.base_url the https address of the proxy in front of it"
        )
    for one in dashboard.proxy.addresses:
        try:
            ip_network(one, strict=False)
        except ValueError:
            raise ConfigurationError(f"dashboard.proxy.addresses: {one!r} is no address or network") from None
    if dashboard.proxy.user_header and not dashboard.proxy.addresses:
        raise ConfigurationError("dashboard.proxy.user_header: name the proxy's addresses too, else anybody could write this header")
    if dashboard.oidc.issuer and not dashboard.oidc.client_id:
        raise ConfigurationError("dashboard.oidc.client_id: the provider knows the dashboard by a name")
    hosts = {(urlsplit(address).hostname or "").lower(), "localhost", "127.0.0.1", "::1"}
    return Terms(
        base_url=address,
        hosts=frozenset(hosts | ({dashboard.host.lower()} - set(EVERYWHERE))),
        life=Lifetimes(timedelta(minutes=dashboard.idle_minutes), timedelta(hours=dashboard.session_hours)),
        oidc=_oidc(settings),
        proxy=Proxy(
            dashboard.proxy.addresses,
            dashboard.proxy.user_header,
            dashboard.proxy.roles_header,
            {value: Role(role) for value, role in dashboard.proxy.roles.items()},
        ),
    )


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _oidc(settings: Settings) -> Oidc | None:
    oidc = settings.dashboard.oidc
    if not oidc.issuer:
        return None
    return Oidc(
        oidc.issuer,
        oidc.client_id,
        oidc.client_secret.get_secret_value() if oidc.client_secret else None,
        oidc.scopes,
        oidc.name_claim,
        oidc.roles_claim,
        {value: Role(role) for value, role in oidc.roles.items()},
        oidc.label,
    )


def make_parts(settings: Settings, engine: Engine) -> Parts:
    """What the pages are given."""
    secret = settings.export.secret
    node = NodeFacts(
        site=settings.node.site,
        zone=ZoneInfo(settings.node.time_zone),
        store_folder=settings.store_folder,
        watermark_bytes=settings.store.watermark_bytes,
        destinations=tuple(one.name for one in settings.destinations),
        pseudonyms=Pseudonyms(secret.get_secret_value().encode(), "dashboard") if secret else None,
        deadlines_s={one.name: one.retry.deadline_s for one in settings.destinations},
        export_names=Pseudonyms(secret.get_secret_value().encode(), keep_weekdays=settings.export.keep_weekdays) if secret else None,
        smallest_cell=settings.export.smallest_cell,
        promise=Promise(**settings.promised.model_dump()),
    )
    return Parts(engine, node, terms(settings), make_desk(settings))


def serve(settings: Settings) -> int:
    """Run the dashboard until SIGTERM; the exit code.

    Raises:
        ConfigurationError: it is switched off, or the settings would let passwords be read.
    """
    dashboard = settings.dashboard
    if not dashboard.enabled:
        raise ConfigurationError("the dashboard is switched off: dashboard.enabled")
    os.nice(dashboard.nice)  # what arrives, is read and is delivered comes before those who look
    engine = open_database(settings, pool_size=10, query_timeout_s=dashboard.query_timeout_s)
    schema.require_latest(engine)
    monitoring = health.page(make_probe(settings, engine), make_exporter(settings, engine))
    files = tls_paths(dashboard.tls, settings)
    warn_of_certificate(settings, "dashboard")
    app = create_app(make_parts(settings, engine), (*PAGES, monitoring))
    # Whose word counts on where a request came from is said in dashboard.proxy, and looked at there.
    web = server(app, dashboard.host, dashboard.port, files, shutdown_s=SHUTDOWN_S, proxy_headers=False)
    logging.getLogger("uvicorn.error").addFilter(_without_trace)
    log.info("dashboard listens", host=dashboard.host, port=dashboard.port, tls=files.certificate is not None, address=base_url(settings))
    gc.collect()
    gc.freeze()  # else each full collection looks through all that was loaded, and a page in a few waits 150 ms for it
    with heartbeats.beating(engine, "dashboard"), working(settings, engine):
        web.run()
    return 0


def _without_trace(record: logging.LogRecord) -> bool:
    """The error page has logged what failed; the server would print it once more."""
    return not (record.exc_info and record.getMessage().startswith("Exception in ASGI application"))
