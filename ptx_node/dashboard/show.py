"""Templates and what every page's template is given: who asks, which pages they may see, times and numbers in words for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from starlette.responses import HTMLResponse

from ptx_node import __version__
from ptx_node.dashboard.entry import csrf_word
from ptx_node.dashboard.parts import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request
    from jinja2.runtime import Context

HERE = Path(__file__).parent
NOTHING = "\u2013"
MINUTE, HOUR, DAY = 60, 3600, 86400


def make_environment() -> Environment:
    """The templates; everything that is put into them is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(span=span, number=number, size=size, moment=moment, day=day, clock=clock, ago=ago, data=data)
    return made


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page, or the part of one that a template names."""
    who = getattr(request.state, "who", None)
    environment: Environment = request.app.state.environment
    told = {
        "who": who,
        "menu": [one for one in request.app.state.pages if who is not None and one.menu and who.may(one.permission)],
        "path": request.url.path,
        "csrf": csrf_word(request),
        "site": parts_of(request).node.site,
        "zone": parts_of(request).node.zone,
        "version": __version__,
        "now": datetime.now(UTC),
    }
    return HTMLResponse(environment.get_template(template).render(told | values), status)


def span(seconds: float | None) -> str:
    """A time span in two units at most: `0.42 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 10:  # noqa: PLR2004 - below, a digit after the point tells something
        return f"{seconds:.2g} s" if seconds >= 0.01 else "0 s"  # noqa: PLR2004
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def number(value: float | None) -> str:
    """A number with thin spaces between thousands."""
    return NOTHING if value is None else f"{value:,}".replace(",", "\u202f")


def size(value: float) -> str:
    """Bytes in the unit that leaves three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 - the SI's step
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


@pass_context
def moment(context: Context, value: datetime | None) -> str:
    """Day and time in the site's zone."""
    return NOTHING if value is None else value.astimezone(context["zone"]).strftime("%Y-%m-%d %H:%M:%S")


@pass_context
def day(context: Context, value: datetime | None) -> str:
    """The day in the site's zone."""
    return NOTHING if value is None else value.astimezone(context["zone"]).strftime("%Y-%m-%d")


@pass_context
def clock(context: Context, value: datetime | None) -> str:
    """Time of day in the site's zone."""
    return NOTHING if value is None else value.astimezone(context["zone"]).strftime("%H:%M:%S")


@pass_context
def ago(context: Context, value: datetime | None) -> str:
    """How long ago, in whole seconds at least."""
    return NOTHING if value is None else span(max(0, round((context["now"] - value).total_seconds())))


def data(value: Any) -> str:
    """JSON for a data attribute; the template escapes it."""
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)


def bare(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a query without those that say nothing, for addresses."""
    return {name: value for name, value in values.items() if value not in (None, "", ())}
