"""E-mail: one message a notice and recipient. With STARTTLS or TLS nothing is sent unless it holds; plain is what a setting asks for.

Server texts are not repeated: a server may say back what it was told, which may be a password.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError
from ptx_node.outbound.association import TlsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ptx_node.domain.notice import Notice
    from ptx_node.outbound.notice_text import NoticeText

ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?= |$)")
"""An enhanced status code (RFC 3463), which says more than the three digits."""
FOR_GOOD = 500

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """A server that takes our mail. `timeout_s` bounds each step."""

    host: str
    port: int
    security: Security = "starttls"
    username: str = ""
    password: str = ""
    timeout_s: float = 30.0
    tls: TlsClient | None = None


class Mail:
    """A receiver of notices by e-mail; each recipient gets a message of its own. Safe for several threads."""

    def __init__(self, name: str, server: MailServer, sender: str, recipients: tuple[str, ...], text: NoticeText) -> None:
        self.name = name
        self.recipients = recipients
        self._server, self._sender, self._text = server, sender, text

    def tell(self, notice: Notice, recipient: str) -> None:
        """Send one notice; returns when the server has taken it.

        Raises:
            DestinationUnavailableError: no connection, no TLS, no sign-in, or not now; later may help.
            DestinationRefusedError: the server does not take this message, or none for this recipient.
        """
        message = self._message(notice, recipient)
        with self._said(), self._connected() as smtp:
            smtp.send_message(message, self._sender, [recipient])
            # It is taken. A server that does not say good-bye must not have it sent again.
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()

    def _message(self, notice: Notice, recipient: str) -> EmailMessage:
        title, text, html = self._text.mail(notice)
        domain = self._sender.rpartition("@")[2]
        message = EmailMessage(policy=policy.SMTP)
        message["From"], message["To"], message["Subject"] = self._sender, recipient, f"[ptx-node] {title}"
        message["Date"] = format_datetime(notice.said_at)
        message["Message-ID"] = f"<{notice.notice_id}@{domain}>"
        message["References"] = f"<{notice.condition_id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Ptx-Notice-Id"] = notice.notice_id
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return message

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        one, name = self._server, socket.gethostname()
        context = None if one.security == "none" else (one.tls or TlsClient()).context()
        if one.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(one.host, one.port, local_hostname=name, timeout=one.timeout_s, context=context)
        else:
            smtp = smtplib.SMTP(one.host, one.port, local_hostname=name, timeout=one.timeout_s)
        try:
            if one.security == "starttls":
                smtp.starttls(context=context)
            if one.username:
                smtp.login(one.username, one.password)
            yield smtp
        finally:
            smtp.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """The library's errors as ours; from None, since they hold what the server said."""
        where = f"the mail server {self._server.host}:{self._server.port} of {self.name}"
        try:
            yield
        except smtplib.SMTPAuthenticationError as error:
            raise DestinationUnavailableError(f"{where} does not accept our user name and password ({error.smtp_code})") from None
        except smtplib.SMTPNotSupportedError:
            what = "STARTTLS" if self._server.security == "starttls" else "what is needed"
            raise DestinationUnavailableError(f"{where} does not offer {what}; nothing was sent") from None
        except smtplib.SMTPRecipientsRefused as error:
            said = "; ".join(_status(code, text) for code, text in error.recipients.values())
            raise DestinationRefusedError(f"{where} does not take mail for the recipient ({said})") from None
        except smtplib.SMTPDataError as error:
            kind = DestinationRefusedError if error.smtp_code >= FOR_GOOD else DestinationUnavailableError
            raise kind(f"{where} does not take the message ({_status(error.smtp_code, error.smtp_error)})") from None
        except smtplib.SMTPResponseException as error:
            raise DestinationUnavailableError(f"{where} refuses ({_status(error.smtp_code, error.smtp_error)})") from None
        except UnicodeError:
            raise DestinationUnavailableError(f"{where}: user name and password must be ASCII") from None
        except ssl.SSLError as error:
            raise DestinationUnavailableError(f"{where}: no TLS ({error.reason or type(error).__name__}); nothing was sent") from None
        except (smtplib.SMTPException, OSError) as error:
            raise DestinationUnavailableError(f"{where} does not answer ({type(error).__name__})") from None


def _status(code: int, text: bytes | str) -> str:
    """The code and the enhanced one, and none of the server's words."""
    enhanced = ENHANCED.match(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    return f"{code} {enhanced[0].decode()}" if enhanced else str(code)
