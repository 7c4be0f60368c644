"""A notice in words: templates that ship, or the site's own of the same name. What comes from rows is escaped for where it is put.

A site's template that fails costs nobody a notice: the one that ships is used instead, and the log says so.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError, pass_context
from jinja2.sandbox import SandboxedEnvironment

from ptx_node.domain.notice import plain_name
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from jinja2 import Environment
    from jinja2.runtime import Context

    from ptx_node.domain.notice import Notice

log = get(__name__)

SHIPPED = Path(__file__).parent / "notices"
MINUTE, HOUR, DAY = 60, 3600, 86400

Text = TypeVar("Text")


class NoticeText:
    """Writes notices.

    Args:
        site: what the node calls itself.
        zone: of times for people.
        link: address of the dashboard; empty: none is told.
        folder: the site's templates, which count before those that ship; None: none.
    """

    def __init__(self, site: str, zone: ZoneInfo, *, link: str = "", folder: Path | None = None) -> None:
        self._site, self._zone, self._link = site, zone, link
        self._shipped = self._environment(None)
        self._chosen = self._environment(folder) if folder is not None else self._shipped

    def mail(self, notice: Notice) -> tuple[str, str, str]:
        """Title, text and HTML."""

        def write(chosen: Environment) -> tuple[str, str, str]:
            values = self._values(chosen, notice)
            text, html = (chosen.get_template(name).render(values) for name in ("mail.txt.jinja", "mail.html.jinja"))
            return values["title"], f"{text.strip()}\n", html

        return self._tried(notice, write)

    def webhook(self, notice: Notice) -> bytes:
        """The body: one JSON value in UTF-8."""

        def write(chosen: Environment) -> bytes:
            body = chosen.get_template("webhook.json.jinja").render(self._values(chosen, notice)).strip()
            json.loads(body)
            return body.encode()

        return self._tried(notice, write)

    def _tried(self, notice: Notice, write: Callable[[Environment], Text]) -> Text:
        try:
            return write(self._chosen)
        except (TemplateError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, OSError) as error:
            if self._chosen is self._shipped:
                raise
            log.warning("a template of the site failed; the one that ships is used", kind=notice.kind.value, error=str(error))
            return write(self._shipped)

    def _values(self, chosen: Environment, notice: Notice) -> dict[str, Any]:
        """What a template is given; times as ISO 8601, which the filters `moment` and `since` turn into words."""
        values: dict[str, Any] = {
            "notice_id": notice.notice_id,
            "condition_id": notice.condition_id,
            "kind": notice.kind.value,
            "step": notice.step.value,
            "subject": notice.subject,
            "facts": dict(notice.facts),
            "studies": [asdict(one) for one in notice.studies],
            "began_at": notice.began_at.isoformat(),
            "said_at": notice.said_at.isoformat(),
            "ended_at": notice.ended_at.isoformat() if notice.ended_at else None,
            "site": self._site,
            "link": self._link,
        }
        title, _, text = chosen.get_template(f"{notice.kind.value}.jinja").render(values).strip().partition("\n")
        return {**values, "title": plain_name(title), "text": text.strip()}

    def _environment(self, folder: Path | None) -> Environment:
        folders = [FileSystemLoader(one) for one in (folder, SHIPPED) if one is not None]
        made = SandboxedEnvironment(
            loader=ChoiceLoader(folders),
            autoescape=lambda name: name is not None and ".html." in name,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters.update(moment=self._moment, since=_since)
        return made

    def _moment(self, told: str) -> str:
        """A time of the site: `2026-11-21 14:05 Europe/Paris`."""
        return f"{datetime.fromisoformat(told).astimezone(self._zone):%Y-%m-%d %H:%M} {self._zone.key}"


@pass_context
def _since(context: Context, told: str) -> str:
    """How long before the notice that was, in two units at most."""
    seconds = int((datetime.fromisoformat(context["said_at"]) - datetime.fromisoformat(told)).total_seconds())
    if seconds >= DAY:
        return f"{seconds // DAY} d {seconds % DAY // HOUR} h"
    return f"{seconds // HOUR} h {seconds % HOUR // MINUTE} min" if seconds >= HOUR else f"{max(seconds, 0) // MINUTE} min"
