"""Who is told what goes wrong, from the settings: receivers for the scheduler and for `ptx notify`."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo

from ptx_node.db.heartbeats import process_name
from ptx_node.db.notices import Pace, Wanted
from ptx_node.domain.notice import NoticeKind
from ptx_node.errors import ConfigurationError
from ptx_node.pipeline import audit_watch, notice_look
from ptx_node.pipeline.deliver import Policy
from ptx_node.pipeline.notice_look import Bounds
from ptx_node.pipeline.notify import tell_due
from ptx_node.settings import MailReceiver, WebhookReceiver
from ptx_node.wiring.node import make_tls

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from ptx_node.outbound.notice_text import NoticeText
    from ptx_node.pipeline.notify import Receiver
    from ptx_node.settings import NoticeReceiver, Settings

AUDIT_INTERVAL_S = 60.0
TELL_INTERVAL_S = 5.0
LEASE_S = 60.0


def in_the_background(settings: Settings, engine: Engine, stop: threading.Event) -> Iterator[tuple[str, Callable[[], object], float]]:
    """For the scheduler: a name, a look, and how often to look. Each receiver has one of its own, so that none waits for another.

    Raises:
        ConfigurationError: a receiver is wrong, or jinja2 is not installed.
    """
    yield "audit trail", lambda: audit_watch.look(engine), AUDIT_INTERVAL_S
    if not settings.notifications.receivers:
        return
    wanted, pace, bounds = make_wanted(settings), make_pace(settings), make_bounds(settings)
    yield "notices", lambda: notice_look.look(engine, bounds, wanted, pace), settings.notifications.interval_s
    for one in settings.notifications.receivers:
        tell = partial(
            tell_due, engine, make_receiver(one, settings), owner=process_name("notices"), policy=_policy(one), until=stop.is_set
        )
        yield f"notices to {one.name}", tell, TELL_INTERVAL_S


def make_receiver(one: NoticeReceiver, settings: Settings) -> Receiver:
    """The adapter of one receiver; nothing is connected yet.

    Raises:
        ConfigurationError: a file of it is missing, or jinja2 is not installed.
    """
    text, tls = _make_text(settings), make_tls(one.tls, settings)
    if tls is not None:
        tls.context()  # a wrong file is said now, not when something goes wrong
    match one:
        case WebhookReceiver():
            from ptx_node.outbound.webhook import Webhook, WebhookAddress  # noqa: PLC0415 - beside the other one

            return Webhook(one.name, WebhookAddress(one.url.get_secret_value(), one.secret.get_secret_value(), one.timeout_s, tls), text)
        case MailReceiver():
            from ptx_node.outbound.mail import Mail, MailServer  # noqa: PLC0415 - as above

            password = one.password.get_secret_value() if one.password else ""
            server = MailServer(one.host, one.port, one.security, one.username, password, one.timeout_s, tls)
            return Mail(one.name, server, one.sender, one.recipients, text)
        case _:
            assert_never(one)


def make_wanted(settings: Settings) -> tuple[Wanted, ...]:
    """Each recipient of each receiver."""
    return tuple(
        Wanted(one.name, recipient, frozenset(map(NoticeKind, one.kinds)), deadline_of(one), one.identifiers)
        for one in settings.notifications.receivers
        for recipient in (one.recipients if isinstance(one, MailReceiver) else ("",))
    )


def make_pace(settings: Settings) -> Pace:
    """How often people are told."""
    return Pace(timedelta(hours=settings.notifications.repeat_hours), timedelta(minutes=settings.notifications.calm_minutes))


def make_bounds(settings: Settings) -> Bounds:
    """From when on something is worth a notice."""
    chosen = settings.notifications
    return Bounds(
        destinations=tuple(one.name for one in settings.destinations),
        backlog=timedelta(minutes=chosen.backlog_minutes),
        waiting=timedelta(minutes=chosen.waiting_minutes),
        silent_reports=timedelta(hours=chosen.silent_reports_hours),
        identifiers=any(one.identifiers for one in chosen.receivers),
    )


def deadline_of(one: NoticeReceiver) -> timedelta:
    """How long a notice waits for this receiver."""
    return timedelta(seconds=one.retry.deadline_s)


def _policy(one: NoticeReceiver) -> Policy:
    return Policy(one.retry.first_delay_s, one.retry.max_delay_s, lease_s=LEASE_S)


def _make_text(settings: Settings) -> NoticeText:
    if find_spec("jinja2") is None:
        raise ConfigurationError("notifications.receivers need jinja2: install ptx-node[dashboard], or name no receivers")
    from ptx_node.outbound.notice_text import NoticeText  # noqa: PLC0415 - jinja2 is loaded where it is

    folder = settings.notifications.templates
    if folder is not None:
        folder = (settings.config_file.parent if settings.config_file else settings.home) / folder
        if not folder.is_dir():
            raise ConfigurationError(f"notifications.templates: {folder} is no folder")
    zone = ZoneInfo(settings.node.time_zone)
    return NoticeText(settings.node.site, zone, link=settings.dashboard.base_url, folder=folder)
