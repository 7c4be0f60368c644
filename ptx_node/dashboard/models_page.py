"""Models: cards, hashes, whether the weights are intact, and a site's own thresholds with their history, as `ptx thresholds` keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field

from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.given import Number
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db import thresholds
from ptx_node.db.session import begin_read
from ptx_node.domain.access import Permission, Who
from ptx_node.errors import UsageError
from ptx_node.validation import site_threshold
from ptx_node.validation.site_threshold import Of
from ptx_node.validation.statistics import Aim

if TYPE_CHECKING:
    from collections.abc import Callable

    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["models"])

PAGE = Page("Models", "/models", Permission.STATUS, (router, api))

Watcher = Annotated[Who, needs(Permission.STATUS)]
Administrator = Annotated[Who, needs(Permission.MODELS)]

LONGEST_NOTE = 1000
Why = Annotated[str, Field(min_length=1, max_length=LONGEST_NOTE)]


class Wish(BaseModel):
    """What a proposed threshold is for: the best sum of both (`youden`), or at least so much of one."""

    aim: Literal["youden", "sensitivity", "specificity"] = "youden"
    at_least: float = Field(default=0.9, ge=0, le=1)


class Threshold(BaseModel):
    """A threshold that nobody proposed, and why."""

    value: float = Field(ge=0, le=1)
    note: Why


class Note(BaseModel):
    """Why, for those who look later."""

    note: Why


@dataclass(frozen=True, slots=True)
class ModelShown:
    """A model of this node. `threshold` came with it, `in_force` counts now; `problem` says why it cannot be used."""

    name: str
    version: str
    manufacturer: str
    reads: str
    threshold: float | None
    in_force: float | None
    pixel_threshold: float | None
    weights_sha256: str
    device_uid: str
    intact: bool
    problem: str
    card: str


@dataclass(frozen=True, slots=True)
class StepShown:
    """One step in the life of a threshold. A proposal tells on how many patients it rests."""

    number: int
    action: str
    model: str
    weights_sha256: str
    value: float | None
    proposal: int | None
    patients: int | None
    decided_by: str
    note: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """The number of the step, and the threshold: null where a proposal had too few cases, or the model's own counts again."""

    number: int
    value: float | None


@router.get("/models")
def models(request: Request, parts: PartsOf, who: Watcher) -> Response:
    """The page."""
    return _page(request, parts, who)


@router.post("/models/{name}/propose")
def propose(request: Request, parts: PartsOf, who: Administrator, name: str, wish: Annotated[Wish, Form()]) -> Response:
    """Propose a threshold from the site's own truth."""

    def act() -> str:
        made = _propose(parts, who, name, wish)
        few = f"proposal {made.number} proposes nothing: too few patients with a known CT report"
        return few if made.value is None else f"proposal {made.number}: {made.value:.4g}. Nothing has changed until it is applied"

    return _done(request, parts, who, act)


@router.post("/models/proposals/{number}/apply")
def apply(request: Request, parts: PartsOf, who: Administrator, number: Number, form: Annotated[Note, Form()]) -> Response:
    """Use a proposed threshold from now on."""
    return _done(request, parts, who, lambda: f"{_apply(parts, who, number, form.note).value:.4g} counts from now on")


@router.post("/models/{name}/threshold")
def use(request: Request, parts: PartsOf, who: Administrator, name: str, form: Annotated[Threshold, Form()]) -> Response:
    """Use a threshold that nobody proposed."""
    return _done(request, parts, who, lambda: f"{name} calls positive at and above {_use(parts, who, name, form).value:.4g} from now on")


@router.post("/models/{name}/withdraw")
def withdraw(request: Request, parts: PartsOf, who: Administrator, name: str, form: Annotated[Note, Form()]) -> Response:
    """Go back to the threshold that came with the model."""

    def act() -> str:
        _withdraw(parts, who, name, form.note)
        return f"{name} uses the threshold that it came with again"

    return _done(request, parts, who, act)


@api.get("/models")
def list_models(parts: PartsOf, _who: Watcher) -> list[ModelShown]:
    """The models, their weights hashed now, with the threshold that counts."""
    return _models(parts)


@api.get("/thresholds")
def list_thresholds(parts: PartsOf, _who: Watcher) -> list[StepShown]:
    """Every proposal and decision, the newest first."""
    return _history(parts)


@api.post("/models/{name}/proposals", status_code=201)
def make_proposal(parts: PartsOf, who: Administrator, name: str, wanted: Wish) -> Made:
    """Propose a threshold from findings whose CT report is known. Nothing changes."""
    return _propose(parts, who, name, wanted)


@api.post("/proposals/{number}/apply", status_code=201)
def apply_proposal(parts: PartsOf, who: Administrator, number: Number, wanted: Note) -> Made:
    """Use a proposed threshold from now on; findings that were made before stay as they are."""
    return _apply(parts, who, number, wanted.note)


@api.post("/models/{name}/threshold", status_code=201)
def use_threshold(parts: PartsOf, who: Administrator, name: str, wanted: Threshold) -> Made:
    """Use a threshold that nobody proposed."""
    return _use(parts, who, name, wanted)


@api.post("/models/{name}/withdraw", status_code=201)
def withdraw_threshold(parts: PartsOf, who: Administrator, name: str, wanted: Note) -> Made:
    """Go back to the threshold that came with the model."""
    return _withdraw(parts, who, name, wanted.note)


def _propose(parts: Parts, who: Who, name: str, wish: Wish) -> Made:
    aim = Aim("youden") if wish.aim == "youden" else Aim(wish.aim, wish.at_least)
    made = site_threshold.propose(parts.engine, _of(parts, name), aim, by=who.actor)
    return Made(made.number, made.value)


def _apply(parts: Parts, who: Who, number: int, note: str) -> Made:
    made, _, value = site_threshold.apply(parts.engine, number, lambda name: _of(parts, name).weights_sha256, note=note, by=who.actor)
    return Made(made, value)


def _use(parts: Parts, who: Who, name: str, wanted: Threshold) -> Made:
    number = site_threshold.use(parts.engine, _of(parts, name), wanted.value, note=wanted.note, by=who.actor)
    return Made(number, wanted.value)


def _withdraw(parts: Parts, who: Who, name: str, note: str) -> Made:
    return Made(site_threshold.withdraw(parts.engine, _of(parts, name), note=note, by=who.actor), None)


def _of(parts: Parts, name: str) -> Of:
    """A model that can be used."""
    found = next((row for row in parts.desk.models() if row["name"] == name), None)
    if found is None:
        raise HTTPException(404, "this node has no model of this name")
    if not found["intact"]:
        raise UsageError(f"model {name} cannot be used: {found['problem']}")
    return Of(name, found["weights_sha256"])


def _models(parts: Parts) -> list[ModelShown]:
    with begin_read(parts.engine) as session:
        own = thresholds.in_force(session)
    return [_shown(row, own) for row in parts.desk.models()]


def _shown(row: dict[str, Any], own: dict[str, float]) -> ModelShown:
    weights = row.get("weights_sha256", "")
    came = row.get("threshold")
    return ModelShown(
        name=row["name"],
        version=row.get("version", ""),
        manufacturer=row.get("manufacturer", ""),
        reads=str(row.get("reads", "")),
        threshold=came,
        in_force=own.get(weights, came),
        pixel_threshold=row.get("pixel_threshold"),
        weights_sha256=weights,
        device_uid=row.get("device_uid", ""),
        intact=row["intact"],
        problem=row["problem"] or "",
        card=row["card"],
    )


def _history(parts: Parts) -> list[StepShown]:
    with begin_read(parts.engine) as session:
        found = thresholds.history(session)
    return [
        StepShown(
            one.number,
            one.action,
            one.model,
            one.weights_sha256,
            one.value,
            one.proposal,
            (one.evidence or {}).get("patients"),
            one.decided_by,
            one.note,
            one.decided_at,
        )
        for one in found
    ]


def _done(request: Request, parts: Parts, who: Who, act: Callable[[], str]) -> Response:
    """Do it and show the page again, with what was done or what was wrong."""
    try:
        return _page(request, parts, who, done=act())
    except UsageError as error:
        return _page(request, parts, who, 400, problem=str(error))


def _page(request: Request, parts: Parts, who: Who, status: int = 200, *, done: str = "", problem: str = "") -> Response:
    return page(
        request,
        "models.jinja",
        status,
        models=_models(parts),
        steps=_history(parts),
        done=done,
        problem=problem,
        decides=who.may(Permission.MODELS),
    )
