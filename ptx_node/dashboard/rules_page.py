"""Rules: what each has matched today, and what a changed rule file would do with the newest studies, before it goes live.

The text is checked as `ptx rules check` checks the configuration; it is kept nowhere.
"""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, Field

from ptx_node.dashboard.description import BUSY
from ptx_node.dashboard.entry import needs
from ptx_node.dashboard.page import Page
from ptx_node.dashboard.parts import PartsOf
from ptx_node.dashboard.show import page
from ptx_node.db import audit, rule_activity, study_search
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.study_search import StudyFound, Wanted
from ptx_node.domain.access import Permission, Who
from ptx_node.domain.audit_events import looked
from ptx_node.domain.conditions import tests_of
from ptx_node.domain.decision import Policy
from ptx_node.domain.routing import Rule, parse_rules
from ptx_node.domain.rule_check import Problem, Severity, check_rules
from ptx_node.errors import ConfigurationError, UsageError
from ptx_node.pipeline.replay import Reading, Replayed, replay

if TYPE_CHECKING:
    from ptx_node.dashboard.parts import Parts

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["rules"])

PAGE = Page("Rules", "/rules", Permission.RULES, (router, api))

Trier = Annotated[Who, needs(Permission.RULES)]

LONGEST_TEXT = 200_000
MOST_RULES = 500
MOST_STUDIES = 500

_one_at_a_time = threading.Lock()


class RuleText(BaseModel):
    """A rule file: TOML with `[[rules]]`; other tables of `ptx.toml` may stand in it and are not looked at."""

    text: str = Field(max_length=LONGEST_TEXT)


class Wish(RuleText):
    """A rule file, and over how many of the newest studies."""

    studies: int = Field(default=50, ge=1, le=MOST_STUDIES)


@dataclass(frozen=True, slots=True)
class RuleShown:
    """A rule and its jobs since midnight by state; one that is in no configuration any more has done something all the same."""

    name: str
    model: str
    enabled: bool
    here: bool
    conditions: list[str]
    trigger: str
    priority: int
    destinations: list[str]
    jobs: dict[str, int]
    collecting: int


@dataclass(frozen=True, slots=True)
class Today:
    """The rules, what routing made of the images that came since midnight, and the rules as the configuration file has them."""

    since: datetime
    text: str
    rules: list[RuleShown]
    outcomes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong, or surprising, in a rule file. It can go live when no problem is an error."""

    rules: int
    usable: bool
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class StudyReplayed:
    """One study by its number: what happened, what would, and what is different, in words."""

    study: int
    modalities: list[str]
    senders: list[str]
    images: int
    looked: int
    unreadable: int
    before: list[Reading]
    after: list[Reading]
    changes: list[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A replay: `ended` says why it stopped before the last study; "" when it did not."""

    checked: Checked
    studies: list[StudyReplayed]
    changed: int
    ended: str


@router.get("/rules")
def rules(request: Request, parts: PartsOf, _who: Trier) -> Response:
    """The page."""
    return _page(request, parts)


@router.post("/rules/replay")
def try_rules(request: Request, parts: PartsOf, who: Trier, wish: Annotated[Wish, Form()]) -> Response:
    """The page with what these rules would do."""
    text = wish.text.replace("\r\n", "\n")
    try:
        return _page(request, parts, 200, wish=wish, text=text, answer=_replay(parts, who, text, wish.studies))
    except UsageError as error:
        return _page(request, parts, 400, wish=wish, text=text, problem=str(error))


@api.get("/rules")
def rules_as_json(parts: PartsOf, _who: Trier) -> Today:
    """The rules that are in force, and what each has done since midnight."""
    return _today(parts)


@api.post("/rules/check")
def check(parts: PartsOf, _who: Trier, wanted: RuleText) -> Checked:
    """What `ptx rules check` would say of this rule file."""
    return _checked(parts, _raw(wanted.text))


@api.post("/rules/replay", responses=BUSY)
def replay_as_json(parts: PartsOf, who: Trier, wanted: Wish) -> Answer:
    """What this rule file would do with the newest studies, beside what happened. Nothing is changed; one replay runs at a time."""
    return _replay(parts, who, wanted.text, wanted.studies)


def _raw(text: str) -> list[dict[str, Any]]:
    """The tables of a rule file.

    Raises:
        UsageError: it is not TOML, or has no such tables, or too many.
    """
    try:
        content = tomllib.loads(text)
    except ValueError as error:  # of its own kind, and Python's word for a number of thousands of digits
        raise UsageError(f"this is not TOML: {error}") from error
    except RecursionError:
        raise UsageError("this is nested deeper than any rule") from None
    found = content.get("rules", [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageError("rules are tables: each begins with [[rules]]")
    if len(found) > MOST_RULES:
        raise UsageError(f"{len(found)} rules are more than {MOST_RULES}")
    return found


def _checked(parts: Parts, raw: list[dict[str, Any]]) -> Checked:
    try:
        problems = list(check_rules(raw, parts.desk.rule_book.site))
    except RecursionError:
        raise UsageError("a condition is nested deeper than any rule") from None
    return Checked(len(raw), not any(one.severity is Severity.ERROR for one in problems), problems)


def _replay(parts: Parts, who: Who, text: str, count: int) -> Answer:
    book, raw = parts.desk.rule_book, _raw(text)
    checked = _checked(parts, raw)
    if not checked.usable or book.path is None:
        return Answer(checked, [], 0, "")
    try:
        policy = Policy(parse_rules(raw, book.site.keywords), book.requirements, book.device_uids)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error
    with _alone():
        with begin_read(parts.engine) as session:
            known = {one.study_instance_uid: one for one in study_search.search(session, Wanted(), count)}
        with begin_write(parts.engine) as session:  # a condition on a name or a birth date would tell who a patient is
            audit.note(session, looked(who.actor, "rules replay", list(known)))
        found = replay(parts.engine, book.path, policy, list(known))
    studies = [_study(known[one.study_instance_uid], one) for one in found.studies if one.looked]
    studies.sort(key=lambda one: not one.changes)  # what would be different first, each part the newest first
    return Answer(checked, studies, sum(bool(one.changes) for one in studies), found.ended)


def _study(known: StudyFound, one: Replayed) -> StudyReplayed:
    return StudyReplayed(
        known.number,
        known.modalities,
        known.senders,
        known.instances,
        one.looked,
        one.unreadable,
        list(one.before),
        list(one.after),
        list(one.changes),
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Headers are read by one replay at a time: images that arrive come first."""
    if not _one_at_a_time.acquire(blocking=False):
        raise HTTPException(429, "another replay is running: try again in half a minute", {"Retry-After": "30"})
    try:
        yield
    finally:
        _one_at_a_time.release()


def _today(parts: Parts) -> Today:
    zone = parts.node.zone
    since = datetime.combine(datetime.now(zone).date(), time(), zone)
    with begin_read(parts.engine) as session:
        done, outcomes = rule_activity.by_rule(session, since), rule_activity.by_outcome(session, since)
    shown = [_shown(rule, done.pop(rule.name, rule_activity.RuleDone())) for rule in parts.desk.rule_book.rules]
    gone = [
        RuleShown(
            name,
            "",
            enabled=False,
            here=False,
            conditions=[],
            trigger="",
            priority=0,
            destinations=[],
            jobs=one.jobs,
            collecting=one.collecting,
        )
        for name, one in sorted(done.items())
    ]
    return Today(since, parts.desk.rule_book.text, [*shown, *gone], outcomes)


def _shown(rule: Rule, done: rule_activity.RuleDone) -> RuleShown:
    conditions = [one.text for one in tests_of(rule.condition)] or ["every instance"]
    to = [f"{one.name} ({', '.join(one.kinds)})" if one.kinds else one.name for one in rule.destinations]
    return RuleShown(
        name=rule.name,
        model=rule.model,
        enabled=rule.enabled,
        here=True,
        conditions=conditions,
        trigger=str(rule.trigger),
        priority=rule.priority,
        destinations=to,
        jobs=done.jobs,
        collecting=done.collecting,
    )


def _page(
    request: Request,
    parts: Parts,
    status: int = 200,
    *,
    wish: Wish | None = None,
    text: str | None = None,
    answer: Answer | None = None,
    problem: str = "",
) -> Response:
    book = parts.desk.rule_book
    return page(
        request,
        "rules.jinja",
        status,
        today=_today(parts),
        text=book.text if text is None else text,
        studies=wish.studies if wish else 50,
        most=MOST_STUDIES,
        longest=LONGEST_TEXT,
        answer=answer,
        problem=problem,
    )
