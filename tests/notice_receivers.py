"""Real servers that take notices: HTTP that answers, refuses, hangs or redirects; SMTP with and without TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "ptx", "a-password-that-nobody-logs"


@dataclass
class Taken:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """A webhook's other end. `status` is what it answers; 0: nothing.

    With `slow` it waits for `go_on` before it answers. `heard` is set when the caller has read the answer and has gone.
    """

    url: str = ""
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    slow: bool = False
    go_on: threading.Event = field(default_factory=threading.Event)
    heard: threading.Event = field(default_factory=threading.Event)

    def bodies(self) -> list[bytes]:
        return [one.body for one in self.taken]


@contextmanager
def running_hook(tls: tuple[Path, Path] | None = None) -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.taken.append(Taken(self.path, dict(self.headers), body))
            hook.came.set()
            if hook.status == 0 or hook.slow:
                hook.go_on.wait(60)
            if hook.status == 0:
                return
            self.send_response(hook.status)
            for name, value in hook.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.wfile.flush()
            if hook.slow and self.rfile.read(1) == b"":
                hook.heard.set()

        def log_message(self, *words: Any) -> None:
            """Say nothing on standard error."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *words: Any) -> None:
            """A client that does not like our certificate is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    hook.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/hooks/a-secret-in-the-path"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        hook.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Post:
    """A mail server's other end: what it took, and how it answers."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 2.0.0 taken"
    drops_at_quit: bool = False

    def to(self, recipient: str) -> list[EmailMessage]:
        return [one for one in self.taken if one["To"] == recipient]


@contextmanager
def running_post(tls: tuple[Path, Path] | None = None, *, implicit: bool = False, asks: bool = False) -> Iterator[Post]:
    """An SMTP server: plain, with STARTTLS (`tls`), or TLS from the first byte (`implicit`); `asks` for user and password."""
    post = Post()

    class Handler:
        async def handle_RCPT(  # noqa: N802 - the library's name
            self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
        ) -> str:
            if address in post.refused:
                return post.refused[address]
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 OK"

        async def handle_DATA(  # noqa: N802 - the library's name
            self, server: SMTP, session: Session, envelope: Envelope
        ) -> str:
            if post.data_answer.startswith("2"):
                content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
                message = message_from_bytes(content, policy=policy.default)
                assert isinstance(message, EmailMessage)
                post.raw.append(content)
                post.taken.append(message)
                post.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
            return post.data_answer

        async def handle_QUIT(  # noqa: N802 - the library's name
            self, server: SMTP, session: Session, envelope: Envelope
        ) -> str:
            if post.drops_at_quit and server.transport is not None:
                server.transport.abort()
            return "221 2.0.0 bye"

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        post.signed_in += [data.login.decode()] if right else []
        # a server that says back what it was told: nobody may log it
        return AuthResult(success=right, handled=right, message=None if right else f"535 5.7.8 no: {data.password.decode()}")

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0, "ready_timeout": 60, "server_hostname": "localhost"}
    if implicit:
        options["ssl_context"] = context
    elif context is not None:
        options |= {"tls_context": context, "require_starttls": True}
    if asks:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": not implicit}
    controller = _Controller(Handler(), **options)
    controller.start()
    try:
        post.port = controller.port
        yield post
    finally:
        controller.stop()


class _Controller(Controller):
    """On a port that the system chooses: the library greets itself on the one that it was given."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
