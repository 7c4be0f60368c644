"""The live table of the demonstration: where each study is, and how long each step took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ptx_node.db.journey import Journey

POINT = "·"


@dataclass(frozen=True, slots=True)
class Expected:
    """One simulated study and what is true of it."""

    label: str
    study_instance_uid: str
    outcome: str
    laterality: str | None


def agrees(expected: Expected, journey: Journey) -> bool | None:
    """Whether the node's answer is the simulator's truth; None while there is no answer."""
    if not journey.finished:
        return None
    if expected.outcome == "not_eligible":
        return set(journey.outcomes) <= {"not_eligible"} and journey.jobs > 0
    return expected.outcome in journey.outcomes and (expected.laterality is None or expected.laterality in journey.lateralities)


def table(studies: Sequence[Expected], journeys: Mapping[str, Journey], sent_at: Mapping[str, datetime]) -> Table:
    """One line a study."""
    view = Table(title="simulated hospital → ptx-node → PACS", title_justify="left", header_style="bold")
    view.add_column("simulated study", no_wrap=True)
    for name in ("received", "queued", "inferred", "delivered", "proven"):
        view.add_column(name, justify="right", no_wrap=True)
    view.add_column("answer", no_wrap=True)
    view.add_column("truth", no_wrap=True)
    for study in studies:
        journey = journeys[study.study_instance_uid]
        begun = sent_at.get(study.study_instance_uid)
        times = (journey.received_at, journey.queued_at, journey.inferred_at, journey.accepted_at, journey.committed_at)
        steps = [_seconds(begun, moment) for moment in times]
        view.add_row(study.label, *steps, _answer(journey), _truth(study, journey))
    view.caption = "times since the study was sent; proven: the PACS committed to keep the results, or they were found there"
    view.caption_justify = "left"
    return view


def _seconds(begun: datetime | None, moment: datetime | None) -> str:
    return POINT if begun is None or moment is None else f"{max(0.0, (moment - begun).total_seconds()):.1f} s"


def _answer(journey: Journey) -> str:
    if not journey.outcomes:
        return ", ".join(dict.fromkeys(journey.reasons))
    probability = f" {max(journey.probabilities):.3f}" if journey.probabilities else ""
    side = f" {journey.lateralities[0]}" if journey.lateralities else ""
    if journey.reasons:
        return f"not read: {journey.reasons[0]}"
    return f"{journey.outcomes[0]}{side}{probability}"


def _truth(study: Expected, journey: Journey) -> str:
    words = "not to be read" if study.outcome == "not_eligible" else f"{study.outcome}{' ' + study.laterality if study.laterality else ''}"
    verdict = agrees(study, journey)
    return words if verdict is None else f"[green]{words} ✓[/green]" if verdict else f"[red]{words} ✗[/red]"
