"""Reports whose label is another labeller's than today's are labelled again: in portions, each one transaction, so that a kill loses none.

What a person said counts on. Where the rules of today say the very same, the older label counts on, too, and no pair of a reconciliation
changes; that they were asked is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.db import audit, relabelling
from ptx_node.db import radiology_reports as reports
from ptx_node.db.report_review import text_of
from ptx_node.db.session import begin_write
from ptx_node.db.session import now as current_time
from ptx_node.pipeline.report_intake import examination_of, label_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.tables import RadiologyReport
    from ptx_node.pipeline.report_intake import Labeller

PORTION = 200
"""Reports in one transaction."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A report of which the rules say something else now. `counts` is False where a person has decided.

    `before` is None where the report had no label.
    """

    report_id: int
    source: str
    external_id: str
    before: str | None
    after: str
    rule: str
    needs_review: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class Portion:
    """What one transaction did: reports labelled, and those of which the label says something else."""

    labelled: int
    changed: tuple[Changed, ...]


def relabel(engine: Engine, labeller: Labeller, version: str, *, until: Callable[[], bool] = lambda: False) -> Iterator[Portion]:
    """Label what was not labelled by `version` yet; gives each portion when it is committed, and stops early when `until()`.

    Raises:
        DatabaseUnavailableError: the portions before are done; call again.
    """
    last = 0
    while not until():
        with begin_write(engine) as session:
            found = relabelling.outdated(session, version, after=last, limit=PORTION)
            changed = [one for report in found if (one := _label(session, report, labeller)) is not None]
        if not found:
            break
        last = found[-1].id
        yield Portion(len(found), tuple(changed))


def _label(session: Session, report: RadiologyReport, labeller: Labeller) -> Changed | None:
    now = current_time()
    newest = relabelling.machine_label(session, report.id)
    before, counting = relabelling.meaning(newest), report.label_id
    label = labeller(text_of(session, report), examination_of(report))
    number = reports.add_label(session, report, label, version_id=report.version_ids[-1], now=now)
    audit.note(session, label_event(number, report, report.version_ids[-1], label))
    after = relabelling.meaning(relabelling.machine_label(session, report.id))
    by_person = report.label_id != number
    if before == after:
        report.label_id = counting
        session.flush()
        return None
    if not by_person:
        reports.touch(report, now=now)
        session.flush()
    old = None if newest is None else newest.value
    return Changed(report.id, report.source, report.external_id, old, str(label.value), label.rule, label.needs_review, not by_person)
