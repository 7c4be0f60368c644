"""The shell of every HTTP answer: security headers, hosts that are ours, no request from elsewhere, no body without end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse

from ptx_node.dashboard.entry import API, SAFE

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Message, Receive, Scope, Send

    from ptx_node.dashboard.parts import Terms

MOST_BODY_BYTES = 1_000_000
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would also hide the origin of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STRICT_TRANSPORT = "max-age=31536000"
TOO_LONG = (413, f"A request may have {MOST_BODY_BYTES} bytes.")
FOR_MACHINES = frozenset({"/livez", "/readyz", "/statusz", "/metrics"})
"""Probes and Prometheus ask by whatever address they have; a cookie of the dashboard's own name does not come with that."""


class Shell:
    """Around the whole application `inside`, its errors included."""

    def __init__(self, app: FastAPI, terms: Terms) -> None:
        self.inside = app
        self._terms = terms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.inside(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if self._terms.secure:
                    headers["Strict-Transport-Security"] = STRICT_TRANSPORT
            await send(message)

        problem = self._problem(scope["method"], scope["path"], Headers(scope=scope))
        if problem is not None:
            status, text = problem
            refused = JSONResponse({"detail": text}, status) if scope["path"].startswith(API) else PlainTextResponse(f"{text}\n", status)
            await refused(scope, receive, with_headers)
            return
        await self.inside(scope, _bounded(receive), with_headers)

    def _problem(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if path not in FOR_MACHINES and _name(host) not in self._terms.hosts:
            return 421, "This name is not the dashboard's: set dashboard.base_url to the address that people use."
        if method not in SAFE:
            origin = headers.get("origin")
            elsewhere = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
            if elsewhere or (origin is not None and urlsplit(origin).netloc.lower() != host.lower()):
                return 403, "This request comes from a page elsewhere."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return TOO_LONG
        return None


def _name(host: str) -> str:
    """The host's name without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _bounded(receive: Receive) -> Receive:
    """A body that tells no length is refused where it becomes too long."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BODY_BYTES:
            raise HTTPException(*TOO_LONG)
        return message

    return bounded
