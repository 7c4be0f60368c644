"""The daily look: each model's last days against its reference, figure by figure; what lasts becomes an alarm, once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ptx_node.db import audit, watching
from ptx_node.db.embeddings import EMBEDDING
from ptx_node.db.observed import Days, Observed, Stream, first_day, observed, streams
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.domain.audit import NODE
from ptx_node.domain.audit_events import decision
from ptx_node.log import get
from ptx_node.validation.drift import Compared, Limits, compare_numbers, compare_values, lasting
from ptx_node.validation.embedding_drift import compare_embeddings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

log = get(__name__)

CATCH_UP = timedelta(days=31)
"""Days that a node which was off looks at afterwards, at most."""


def _yes(*, what: bool | None) -> str | None:
    return None if what is None else "yes" if what else "no"


NUMBERS: Mapping[str, Callable[[Observed], float | None]] = {
    "probability": lambda one: one.probability,
    "mask_size": lambda one: one.size,
    "exposure_index": lambda one: one.exposure_index,
}
"""Figures whose distribution is compared; None of an answer that has none."""
VALUES: Mapping[str, Callable[[Observed], str | None]] = {
    "positive_rate": lambda one: _yes(what=one.positive),
    "mask_and_class": lambda one: _yes(what=one.mask),
    "view": lambda one: one.view or "not stated",
    "manufacturer": lambda one: one.manufacturer or "not stated",
    "bits_stored": lambda one: "not stated" if one.bits_stored is None else str(one.bits_stored),
    "age": lambda one: one.age_band or "not stated",
    "sex": lambda one: one.sex or "not stated",
    "source": lambda one: one.source,
}
"""Figures whose values are counted."""
FIGURES = (*NUMBERS, *VALUES, EMBEDDING)


@dataclass(frozen=True, slots=True)
class Terms:
    """How the watch looks.

    Attributes:
        window_days: of one window; windows follow each other without sharing a day.
        persistence: windows in a row that have to be unlike the reference.
        reference_days: from a model's first answer on, where no days are given.
        reference: days that the site chose; None: the model's first ones.
    """

    zone: ZoneInfo
    window_days: int = 7
    persistence: int = 2
    reference_days: int = 28
    reference: Days | None = None
    limits: Limits = field(default_factory=Limits)


def compare(figure: str, reference: Sequence[Observed], window: Sequence[Observed], limits: Limits) -> Compared:
    """One figure of two samples."""
    if figure in NUMBERS:
        number = NUMBERS[figure]
        before, after = ([told for row in rows if (told := number(row)) is not None] for rows in (reference, window))
        return compare_numbers(before, after, limits)
    if figure == EMBEDDING:
        seen, sees = ([row.embedding for row in rows if row.embedding is not None] for rows in (reference, window))
        return compare_embeddings(seen, sees, limits)
    value = VALUES[figure]
    counts = [Counter(said for row in rows if (said := value(row)) is not None) for rows in (reference, window)]
    return compare_values(counts[0], counts[1], limits)


def look(engine: Engine, terms: Terms, *, until: Callable[[], bool] = lambda: False) -> int:
    """Look at every day that ended and was not looked at yet; how many alarms were raised. May be asked any time, by any number.

    Raises:
        DatabaseUnavailableError: a retry may help; days that were done stay done.
    """
    yesterday = now().astimezone(terms.zone).date() - timedelta(days=1)
    with begin_read(engine) as session:
        last = watching.last_look(session)
    day = max(last + timedelta(days=1), yesterday - CATCH_UP) if last else yesterday
    raised = 0
    while day <= yesterday and not until():
        raised += look_at(engine, terms, day)
        day += timedelta(days=1)
    return raised


def look_at(engine: Engine, terms: Terms, day: date) -> int:
    """One look: the window that ends with this day; how many alarms were raised."""
    length = timedelta(days=terms.window_days)
    windows = [Days(day - length * (back + 1) + timedelta(days=1), day - length * back) for back in reversed(range(terms.persistence))]
    raised = 0
    with begin_read(engine) as session:
        models = streams(session, terms.zone, windows[-1])
    for stream in models:
        with begin_read(engine) as session:
            found = _Looking(session, terms, stream, windows).figures()
        with begin_write(engine) as session:
            moment = now()
            watching.add_looks(session, [_row(stream, one, day) | {"looked_at": moment} for one in found])
            for one in found:
                raised += _alarm(session, terms, stream, one, windows)
    return raised


@dataclass(frozen=True, slots=True)
class _Found:
    """A figure in each window, the newest last, and its reference."""

    figure: str
    reference: Days
    compared: list[Compared]


class _Looking:
    """One model's windows and references, each read once."""

    def __init__(self, session: Session, terms: Terms, stream: Stream, windows: Sequence[Days]) -> None:
        self._session, self._terms, self._stream, self._windows = session, terms, stream, windows
        self._read: dict[Days, list[Observed]] = {}
        self._renewed = watching.new_normal(session, stream.weights_sha256)
        self._first = first_day(session, terms.zone, stream)
        self._first_embedded = first_day(session, terms.zone, stream, embedded=True)

    def figures(self) -> list[_Found]:
        found = []
        for figure in FIGURES:
            reference = self._reference(figure)
            if reference is None:
                continue
            apart = [one for one in self._windows if one.since > reference.until]
            if not apart:
                continue
            compared = [compare(figure, self._of(reference), self._of(one), self._terms.limits) for one in apart]
            if compared[-1].reference_count or compared[-1].window_count:
                found.append(_Found(figure, reference, compared))
        return found

    def _reference(self, figure: str) -> Days | None:
        """The days to compare with; a change that was meant began a new one.

        Embeddings began to be kept, or were forgotten, when the model had long been answering: their first days are their own.
        """
        length = timedelta(days=self._terms.reference_days - 1)
        first, chosen = self._first_embedded if figure == EMBEDDING else self._first, self._terms.reference
        if figure in self._renewed:
            first = self._renewed[figure][1]
        elif chosen is not None and (figure != EMBEDDING or (first is not None and first <= chosen.until)):
            return chosen
        return None if first is None else Days(first, first + length)

    def _of(self, days: Days) -> list[Observed]:
        if days not in self._read:
            self._read[days] = observed(self._session, self._terms.zone, days, self._stream)
        return self._read[days]


def _row(stream: Stream, found: _Found, day: date) -> dict[str, Any]:
    one = found.compared[-1]
    return {
        "weights_sha256": stream.weights_sha256,
        "model_name": stream.model_name,
        "model_version": stream.model_version,
        "figure": found.figure,
        "day": day,
        "method": one.method,
        "reference_count": one.reference_count,
        "window_count": one.window_count,
        "statistic": _finite(one.statistic),
        "p_value": _finite(one.p_value),
        "effect": _finite(one.effect),
        "crossed": one.crossed,
        "detail": {
            "reference_since": found.reference.since.isoformat(),
            "reference_until": found.reference.until.isoformat(),
            "places": list(one.places),
            "reference": list(one.reference),
            "window": list(one.window),
            **one.drawn,
        },
    }


def _alarm(session: Session, terms: Terms, stream: Stream, found: _Found, windows: Sequence[Days]) -> int:
    """Raise an alarm where the change lasts, and none has told of it."""
    if not lasting(found.compared, terms.persistence):
        return 0
    last = watching.last_alarm(session, watching.DRIFT, found.figure, stream.weights_sha256)
    if last is not None and (last.acknowledged_at is None or not watching.quiet_since(session, stream, found.figure, last.day)):
        return 0
    one, first, day = found.compared[-1], windows[0].since, windows[-1].until
    detail = {
        "since": first.isoformat(),
        "until": day.isoformat(),
        "p_value": one.p_value,
        "effect": one.effect,
        "window": one.window_count,
    }
    words = (
        f"unlike the reference of {found.reference.since} to {found.reference.until} in each of the last {terms.persistence} "
        f"windows of {terms.window_days} days"
    )
    number = watching.raise_alarm(session, watching.DRIFT, found.figure, stream, day=day, words=words, detail=detail, now=now())
    if number is None:
        return 0
    audit.note(session, decision(NODE, "drift alarm", alarm=number, figure=found.figure, weights_sha256=stream.weights_sha256, **detail))
    log.warning("answers drift", figure=found.figure, model=stream.model_name, alarm=number, **detail)
    return 1


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
