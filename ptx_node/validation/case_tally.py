"""Counts of a case table while it is written: its flow charts and its exclusions. Everybody who came in is in one of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptx_node.domain.reading import TruthKind
from ptx_node.domain.reconciliation import Agreement
from ptx_node.validation.exclusions import REPORT_WORDS, WORDS, Exclusion
from ptx_node.validation.flow import Flow, Left, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BOXES: Mapping[str, str] = {
    "received": "images that came in the period (a CT series is one), once for each job that was to read them",
    "read": "images that a model was given",
    "answered": "images with an answer, positive or negative",
    "verified": "images of which it is said what is true",
    "counted": "images with an answer and a truth that decides",
}
VERIFIED: Mapping[TruthKind, str] = {
    TruthKind.REPORT: "images with a CT report of the same patient and day that counts for them",
    TruthKind.READER: "images that a reader has labelled",
    TruthKind.MASK: "images on which a reader has drawn",
}
ENDS: Mapping[str, str] = {
    Agreement.TRUE_POSITIVE: "called positive, and a pneumothorax",
    Agreement.FALSE_POSITIVE: "called positive, and no pneumothorax",
    Agreement.FALSE_NEGATIVE: "called negative, and a pneumothorax",
    Agreement.TRUE_NEGATIVE: "called negative, and no pneumothorax",
}
NO_ANSWER = frozenset(
    {
        Exclusion.COMMISSIONING,
        Exclusion.FETCHED,
        Exclusion.SUPERSEDED,
        Exclusion.NOT_ELIGIBLE,
        Exclusion.FAILED,
        Exclusion.READ_AGAIN,
    }
)
"""With a finding, and no answer that counts."""


@dataclass(frozen=True, slots=True, order=True)
class Leaving:
    """Images that leave one box for one reason; `reason` empty: they are counted, `detail` then is their cell of the 2x2 table."""

    box: str
    kind: str
    model: str
    reason: str
    detail: str


@dataclass(slots=True)
class Tally:
    """Adds up; `unread` and `row` for each image, or for some at once."""

    kind: TruthKind = TruthKind.REPORT
    counts: Counter[Leaving] = field(default_factory=Counter)
    reports: Mapping[str, int] = field(default_factory=dict)

    def unread(self, kind: str, reason: Exclusion, detail: str, count: int) -> None:
        """Images without a finding."""
        self.counts[Leaving("received", kind, "", reason, detail)] += count

    def row(self, row: Mapping[str, str]) -> None:
        """A row of the case table."""
        reason = row["exclusion"]
        if not reason:
            box, detail = "counted", row["agreement"]
        elif reason in NO_ANSWER:
            box, detail = "read", row["outcome_reason"]
        else:
            box, detail = ("verified" if reason == Exclusion.LABEL_UNDECIDED else "answered"), row["label"]
        self.counts[Leaving(box, row["kind"], row["model"], reason, detail)] += 1

    def flow(self, model: str | None = None) -> Flow:
        """Of everything that came; of one model's findings alone, where it is named."""
        mine = {one: count for one, count in self.counts.items() if model is None or one.model == model}
        boxes = [name for name in BOXES if model is None or name != "received"]
        steps, below = [], sum(mine.values())
        for name in boxes:
            left = Counter[str]()
            for one, count in mine.items():
                if one.box == name and one.reason:
                    left[one.reason] += count
            leaving = tuple(Left(str(why), WORDS[why], left[why]) for why in Exclusion if left[why])
            steps.append(Step(name, VERIFIED[self.kind] if name == "verified" else BOXES[name], below, leaving))
            below -= left.total()
        cells = Counter[str]()
        for one, count in mine.items():
            if not one.reason:
                cells[one.detail] += count
        return Flow(tuple(steps), tuple(Step(str(name), words, cells[name]) for name, words in ENDS.items()))

    def exclusions(self) -> Iterator[dict[str, str]]:
        """The rows of exclusions.csv, in the order of the chart."""
        places = {name: place for place, name in enumerate(BOXES)}
        order = {str(one): place for place, one in enumerate(Exclusion)}
        for one in sorted((one for one in self.counts if one.reason), key=lambda one: (places[one.box], order[one.reason], one)):
            words = WORDS[Exclusion(one.reason)]
            yield _line(one.box, one.kind, one.model, one.reason, one.detail, words, self.counts[one])
        for reason, words in REPORT_WORDS.items():
            if self.reports.get(reason):
                yield _line("reports", "report", "", str(reason), "", words, self.reports[reason])


def _line(*cells: str | int) -> dict[str, str]:
    names = ("step", "kind", "model", "reason", "detail", "words", "count")
    return dict(zip(names, map(str, cells), strict=True))
