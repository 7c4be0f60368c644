"""Performance: does it still do here what it did? Every model against the truth of a period, in the figures of the auditors' export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from ptx_node.dashboard import performance_plots
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import day
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db.cases import Period
from ptx_node.db.newest import last_examined, newest
from ptx_node.db.session import begin_read, now
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.reading import TruthKind
from ptx_node.domain.study import simulated_site
from ptx_node.validation import wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ptx_node.dashboard.computing import Answer, Computing
    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["performance"])

PAGE = Page("Performance", "/performance", Permission.STATUS, (router, api))

Viewer = Annotated[Who, needs(Permission.STATUS)]
Watcher = Annotated[Who, needs(Permission.STATUS, background=True)]

USUAL = timedelta(days=90)
NEEDED = ("scipy", "pyarrow")
KINDS = {TruthKind.REPORT: "radiology reports of the day", TruthKind.READER: "labels of readers", TruthKind.MASK: "masks of readers"}
HEADLINES = (
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
    ("positive_predictive_value", "Positive predictive value"),
    ("negative_predictive_value", "Negative predictive value"),
    ("prevalence", "Prevalence of these cases"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for. `model` is the key of one in the figures, such as `m1`."""

    since: date
    until: date
    truth: TruthKind
    model: str


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of a period, or word of their being made.

    Attributes:
        made_at: from the rows of this moment.
        working: they are being made; ask again in a few seconds.
        figures: as `metrics.json` of an export of the same period.
        flow: images that came, and where they stopped, in numbers.
    """

    since: date
    until: date
    truth: TruthKind
    made_at: datetime | None
    working: bool
    problem: str
    figures: dict[str, Any] | None
    flow: dict[str, Any] | None


def _asked(
    parts: PartsOf,
    since: Annotated[str, Query(max_length=40)] = "",
    until: Annotated[str, Query(max_length=40)] = "",
    truth: TruthKind = TruthKind.REPORT,
    model: Annotated[str, Query(max_length=20)] = "",
) -> Asked:
    today = now().astimezone(parts.node.zone).date()
    last = day(until, "until") or today
    first = day(since, "since") or last - USUAL
    if first > last:
        raise HTTPException(422, f"the period ends on {last}, before it begins on {first}")
    return Asked(first, last, truth, model)


AskedFor = Annotated[Asked, Depends(_asked)]


@router.get("/performance")
def performance(request: Request, parts: PartsOf, who: Viewer, asked: AskedFor) -> Response:
    """The page."""
    return _page(request, parts, who, asked, "performance.jinja")


@router.get("/performance/part")
def performance_part(request: Request, parts: PartsOf, who: Watcher, asked: AskedFor) -> Response:
    """What changes of it: asked again while the figures are being made."""
    return _page(request, parts, who, asked, "performance_part.jinja")


@api.get("/performance")
def performance_as_json(request: Request, parts: PartsOf, _who: Watcher, asked: AskedFor) -> Performance:
    """Every figure of the models against the truth of a period; `working` where they are not ready yet."""
    answer = _ask(request, parts, asked)
    made = answer.value or {}
    told = (answer.made_at, answer.working, answer.problem, made.get("figures"), made.get("flow"))
    return Performance(asked.since, asked.until, asked.truth, *told)


def missing() -> list[str]:
    """Libraries without which no figure can be made on this machine."""
    return [name for name in NEEDED if find_spec(name) is None]


def _ask(request: Request, parts: Parts, asked: Asked) -> Answer:
    lacking = missing()
    if lacking:
        raise HTTPException(
            503,
            f"Figures need {' and '.join(lacking)}, which this machine's dashboard does not have: pip install 'ptx-node[export]'. "
            "Until then `ptx export` makes them on a machine that has.",
        )
    from ptx_node.validation import performance as figures  # noqa: PLC0415 - scipy is not on every machine

    computing: Computing = request.app.state.computing
    with begin_read(parts.engine) as session:
        signature = newest(session)
    period = Period(asked.since, asked.until, parts.node.zone)
    node = parts.node
    wanted = figures.Asked(period, asked.truth, node.export_names, node.smallest_cell, node.promise, simulated_site(node.site))
    url = parts.engine.url.render_as_string(hide_password=False)
    return computing.ask((asked.since, asked.until, asked.truth), signature, figures.work, url, wanted)


def _elsewhere(parts: Parts, who: Who, asked: Asked, answer: Answer) -> date | None:
    """Where a period is empty, the newest day of which there is something: images may be old, and clocks wrong. Auditors see no days."""
    if answer.value is None or answer.value["figures"]["models"] or not who.may(Permission.PATIENTS):
        return None
    with begin_read(parts.engine) as session:
        newest_day = last_examined(session)
    return None if newest_day is None or asked.since <= newest_day <= asked.until else newest_day


def _page(request: Request, parts: Parts, who: Who, asked: Asked, template: str) -> Response:
    answer = _ask(request, parts, asked)
    models: Mapping[str, Any] = answer.value["figures"]["models"] if answer.value else {}
    key = asked.model if asked.model in models else max(models, key=lambda one: models[one]["counts"]["counted"]["value"] or 0, default="")
    chosen = models.get(key)
    return page(
        request,
        template,
        asked=asked,
        answer=answer,
        elsewhere=_elsewhere(parts, who, asked, answer),
        models=models,
        comparisons=answer.value["figures"]["comparisons"] if answer.value else [],
        key=key,
        model=chosen,
        roc=performance_plots.roc(chosen) if chosen else None,
        periods=performance_plots.periods(chosen) if chosen else None,
        watches=performance_plots.watches(chosen) if chosen else [],
        truths=KINDS,
        headlines=HEADLINES,
        wording=wording,
        smallest_cell=parts.node.smallest_cell,
    )
