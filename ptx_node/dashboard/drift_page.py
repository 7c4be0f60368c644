"""Drift: is what comes, and what is answered, still what it was? The daily looks, and the alarms that a person settles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, Field

from ptx_node.dashboard.drift_plots import Row, course, distribution, rows, scatter
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import BEYOND, Number
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db import watching
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.watching import LONGEST_NOTE, SHOWN_DAYS, AlarmOutcome
from ptx_node.domain.access import Permission, Who
from ptx_node.errors import UsageError
from ptx_node.validation import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.dashboard.parts import Parts
    from ptx_node.dashboard.plots import Plot
    from ptx_node.db.watch_tables import DriftLook, WatchAlarm
    from ptx_node.db.watching import Course

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["drift"])

PAGE = Page("Drift", "/drift", Permission.STATUS, (router, api))

Viewer = Annotated[Who, needs(Permission.STATUS)]
Operator = Annotated[Who, needs(Permission.OPERATE)]

MOST_AT_ONCE = 200
NAMES = {
    "probability": "Distribution of the scores",
    "positive_rate": "Positive rate",
    "mask_size": "Size of the mask",
    "mask_and_class": "Positive answers with something drawn",
    "view": "View",
    "manufacturer": "Manufacturer",
    "bits_stored": "Bits stored",
    "age": "Age",
    "sex": "Sex",
    "source": "Source",
    "exposure_index": "Exposure index",
    "embedding": "What the network sees (embedding)",
}
"""Of the figures, in the order of the page."""
OUTCOMES = {
    AlarmOutcome.NEW_NORMAL: "a change that was meant: compare with the days since then",
    AlarmOutcome.CORRECTED: "a fault, found and put right",
    AlarmOutcome.NO_CAUSE: "looked for, no cause found",
    AlarmOutcome.FALSE_ALARM: "nothing had changed",
}


@dataclass(frozen=True, slots=True)
class Look:
    """One figure of one model in one window. `method` is empty where there were too few cases."""

    model_name: str
    model_version: str
    weights_sha256: str
    figure: str
    day: date
    method: str
    reference_count: int
    window_count: int
    statistic: float | None
    p_value: float | None
    effect: float | None
    crossed: bool
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person has to look at, or has settled."""

    id: int
    kind: str
    name: str
    model_name: str
    model_version: str
    day: date
    words: str
    detail: dict[str, Any]
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    outcome: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Drift:
    """The newest look of each figure, and the alarms, open ones first."""

    looks: list[Look]
    alarms: list[Alarm]


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure on the page: its newest look, drawn, and its course."""

    name: str
    look: DriftLook
    plot: Plot | None
    rows: list[Row]
    course: Plot | None
    scatter: Plot | None


class Settled(BaseModel):
    """What came of an alarm."""

    outcome: AlarmOutcome
    note: str = Field(min_length=1, max_length=LONGEST_NOTE)


@router.get("/drift")
def drift(request: Request, parts: PartsOf, who: Viewer) -> Response:
    """The page."""
    return _page(request, parts, who)


@router.post("/drift/acknowledge")
def acknowledge(
    request: Request,
    parts: PartsOf,
    who: Operator,
    alarm: Annotated[list[Annotated[int, Field(ge=1, lt=BEYOND)]], Form(max_length=MOST_AT_ONCE)],
    outcome: Annotated[AlarmOutcome, Form()],
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
) -> Response:
    """Settle alarms that have one cause, all or none, and show the page again."""
    numbers = sorted(set(alarm))
    try:
        _settle(parts, who, numbers, outcome, note)
    except UsageError as error:
        return _page(request, parts, who, 400, problem=str(error))
    told = ", ".join(map(str, numbers))
    return _page(request, parts, who, done=f"Alarm {told} is settled." if len(numbers) == 1 else f"Alarms {told} are settled.")


@api.get("/drift")
def drift_as_json(parts: PartsOf, _who: Viewer) -> Drift:
    """The newest look of each figure of each model, every open alarm, and the newest settled ones."""
    shown, alarms = _read(parts)
    return Drift([Look(**_values(Look, look)) for look, _ in shown], [Alarm(**_values(Alarm, one)) for one in alarms])


@api.get("/drift/looks")
def looks_as_json(parts: PartsOf, _who: Viewer) -> list[Look]:
    """Every look of the last 120 days, of each figure of each model the oldest first."""
    with begin_read(parts.engine) as session:
        last = watching.last_look(session)
        looks = watching.newest_looks(session, last - SHOWN_DAYS) if last else []
    return [Look(**_values(Look, one)) for one in looks]


@api.post("/alarms/{number}/acknowledge", status_code=204)
def acknowledge_by_program(parts: PartsOf, who: Operator, number: Number, settled: Settled) -> None:
    """Settle an alarm, once."""
    _settle(parts, who, [number], settled.outcome, settled.note)


def _settle(parts: Parts, who: Who, numbers: Sequence[int], outcome: AlarmOutcome, note: str) -> None:
    with begin_write(parts.engine) as session:
        for number in numbers:
            watching.acknowledge(session, number, outcome, note, by=who.actor, now=now())


def _read(parts: Parts) -> tuple[list[tuple[DriftLook, list[Course]]], list[WatchAlarm]]:
    """The newest look of each figure of each model with its course, and the alarms."""
    with begin_read(parts.engine) as session:
        last = watching.last_look(session)
        courses = [list(some) for _, some in groupby(watching.course(session, last - SHOWN_DAYS) if last else [], itemgetter(1, 2, 3, 4))]
        looks = watching.looks(session, [some[-1].id for some in courses])
        return [(looks[some[-1].id], some) for some in courses], watching.alarms(session)


def _values(kind: type[Look | Alarm], row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in kind.__slots__}


def _page(request: Request, parts: Parts, who: Who, status: int = 200, *, problem: str = "", done: str = "") -> Response:
    read, alarms = _read(parts)
    models: dict[tuple[str, str, str], dict[str, Shown]] = {}
    for look, told in read:
        name = NAMES.get(look.figure, look.figure)
        shown = Shown(name, look, distribution(look), rows(look), course(told, look), scatter(look))
        models.setdefault((look.model_name, look.model_version, look.weights_sha256), {})[look.figure] = shown
    order = {name: place for place, name in enumerate(NAMES)}
    return page(
        request,
        "drift.jinja",
        status,
        models={
            key: sorted(some.values(), key=lambda one: order.get(one.look.figure, len(order)))
            for key, some in sorted(models.items(), key=lambda one: -max(shown.look.window_count for shown in one[1].values()))
        },
        alarms=alarms,
        open_alarms=[one for one in alarms if one.acknowledged_at is None],
        names=NAMES,
        outcomes=OUTCOMES,
        wording=wording,
        may_settle=who.may(Permission.OPERATE),
        problem=problem,
        done=done,
        longest=LONGEST_NOTE,
    )
