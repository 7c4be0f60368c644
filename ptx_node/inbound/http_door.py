"""What the HTTP doors share: who may come in, where a request came from, and the server, which the dashboard has, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import uvicorn
from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from ptx_node import log
from ptx_node.errors import DatabaseUnavailableError
from ptx_node.inbound.bearer import may_enter
from ptx_node.inbound.tls import tls_context
from ptx_node.settings import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp

logger = log.get(__name__)

RETRY_AFTER_S = 60
SHUTDOWN_S = 10
PLAIN = TlsFiles()
"""No TLS."""


class HttpDoor(Protocol):
    """Who may come in.

    Attributes:
        bearer_tokens: any of these opens it.
        scoped: whether an `Authorization` header carries a token of the node with this door's scope.
        client_certificates: TLS has checked a client certificate on every connection; no token is needed then.
    """

    @property
    def bearer_tokens(self) -> tuple[str, ...]: ...  # noqa: D102 - see above
    @property
    def scoped(self) -> Callable[[str], bool]: ...  # noqa: D102
    @property
    def client_certificates(self) -> bool: ...  # noqa: D102


def authorised(door: HttpDoor, name: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets nobody else in; `name` of the door is for the log."""

    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "")
        if may_enter(given, door.bearer_tokens, client_certificates=door.client_certificates):
            return
        try:
            known = await run_in_threadpool(door.scoped, given)
        except DatabaseUnavailableError as error:
            raise HTTPException(503, "the node cannot look tokens up now: send again later", {"Retry-After": str(RETRY_AFTER_S)}) from error
        if not known:
            logger.warning("request without a valid token", door=name, peer_address=peer_address(request))
            raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})

    return check


def peer_address(request: Request) -> str:
    """Of the client; empty where the server does not know it."""
    return request.client.host if request.client else ""


def server(
    app: ASGIApp,
    host: str,
    port: int,
    files: TlsFiles = PLAIN,
    *,
    shutdown_s: int = SHUTDOWN_S,
    proxy_headers: bool = True,
) -> uvicorn.Server:
    """A server for an application.

    Args:
        app: the application.
        host: the address it listens on.
        port: and the port.
        files: without a certificate: plain; with `trusted` client certificates are demanded.
        shutdown_s: how long requests on their way may take to finish.
        proxy_headers: believe a proxy on this machine where a request came from.

    Raises:
        ConfigurationError: a file cannot be read, or is no certificate.
    """
    tls = tls_context(files)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=proxy_headers,
        timeout_graceful_shutdown=shutdown_s,
        ssl_certfile=files.certificate,
        ssl_keyfile=files.private_key,
    )
    config.load()
    config.ssl = tls  # the server's own would offer the oldest ciphers only
    return uvicorn.Server(config)
