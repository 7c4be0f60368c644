"""A webhook: one signed POST a notice. The library's ways to fail become our errors here, once.

Neither the secret nor the address leaves this module: many services take a secret as part of the path, so that a message names the host
alone. No redirect is followed, and no proxy of the environment is used.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from ptx_node.errors import ConfigurationError, DestinationRefusedError, DestinationUnavailableError
from ptx_node.outbound.association import TlsClient

if TYPE_CHECKING:
    import ssl

    from ptx_node.domain.notice import Notice
    from ptx_node.outbound.notice_text import NoticeText

NOT_THIS_ONE = (400, 409, 413, 415, 422)
"""Answers that are about this body; every other one is about the receiver."""


@dataclass(frozen=True, slots=True, repr=False)
class WebhookAddress:
    """Where a webhook is, and the key of its signature. `timeout_s` bounds each step: connecting, sending, the answer."""

    url: str
    secret: str
    timeout_s: float = 10.0
    tls: TlsClient | None = None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a full stop and the body, in lower-case hexadecimal."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """A receiver of notices by HTTP. Safe for several threads; a connection is opened for each notice, since they are few.

    Raises:
        ConfigurationError: the address is none.
    """

    recipients = ("",)

    def __init__(self, name: str, address: WebhookAddress, text: NoticeText) -> None:
        self.name = name
        self._address, self._text = address, text
        try:
            self._url = httpx.URL(address.url)
        except httpx.InvalidURL:
            raise ConfigurationError(f"the address of the webhook {name} is none that can be called") from None
        self._context: ssl.SSLContext | bool | None = None

    def tell(self, notice: Notice, recipient: str) -> None:  # noqa: ARG002 - a webhook has one
        """Send one notice; returns when the receiver has answered 2xx.

        Raises:
            DestinationUnavailableError: no connection, no answer, or one that is not about this notice; later may help.
            DestinationRefusedError: the receiver does not take this notice.
        """
        body, timestamp = self._text.webhook(notice), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Ptx-Notice-Id": notice.notice_id,
            "Ptx-Timestamp": timestamp,
            "Ptx-Signature": f"v1={signature(self._address.secret, timestamp, body)}",
        }
        self._judge(self._post(body, headers))

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """The status; nobody reads what else the receiver says, however long it is."""
        one = self._address
        if self._context is None:  # read once: the system's authorities are many
            self._context = False if self._url.scheme == "http" else (one.tls or TlsClient()).context()
        try:
            with (
                httpx.Client(verify=self._context, timeout=one.timeout_s, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", self._url, content=body, headers=headers) as response,
            ):
                return response.status_code
        except (httpx.HTTPError, OSError) as error:
            reason = type(error).__name__
            # from None: the library's error holds the request, and with it the address and the signature
            raise DestinationUnavailableError(f"the webhook {self.name} at {self._url.host} does not answer ({reason})") from None

    def _judge(self, status: int) -> None:
        if httpx.codes.is_success(status):
            return
        said = f"the webhook {self.name} at {self._url.host} answered HTTP {status}"
        if status in NOT_THIS_ONE:
            raise DestinationRefusedError(f"{said}: it does not take this notice. See notifications.templates for the form of its body")
        if httpx.codes.is_redirect(status):
            raise DestinationUnavailableError(f"{said}, a redirect, which is not followed. Give the address where it leads to")
        if status in (401, 403, 404, 405, 410):
            raise DestinationUnavailableError(f"{said}. Check its address and secret in notifications.receivers")
        raise DestinationUnavailableError(said)
