"""The reconcile stage: findings meet the CT reports of the same patient and the same local day.

Looks at what changed, in portions of one transaction each: a kill loses the portion that was open, and the next run does it. What was
found before and is the same now is left as it is; what changed is superseded, never overwritten.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ptx_node.db import reconciliation as rows
from ptx_node.db.session import begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.finding import Outcome
from ptx_node.domain.radiology_report import ReportParked, ReportStatus
from ptx_node.domain.reconciliation import Answered, Pair, Reported, Unmatched, is_ct, pair, pair_series
from ptx_node.domain.truth import LabelValue
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.reconciliation import Day, Read, Told

log = get(__name__)

PORTION = 4000
"""Findings, and as many reports, in one transaction."""
CT = "CT"
ANSWERED = frozenset({Outcome.POSITIVE, Outcome.NEGATIVE})


@dataclass(slots=True)
class Reconciled:
    """What a run did: findings and reports looked at, rows written and rows superseded."""

    findings: int = 0
    reports: int = 0
    written: int = 0
    superseded: int = 0

    def __add__(self, other: Reconciled) -> Reconciled:
        """Of two portions together."""
        return Reconciled(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def reconcile(engine: Engine, *, everything: bool = False, until: Callable[[], bool] = lambda: False) -> Reconciled:
    """Look at all that waits, or at everything there is; stops early between portions when `until()`.

    Raises:
        DatabaseUnavailableError: the portions before are done; call again.
    """
    if everything:
        with begin_write(engine) as session:
            rows.mark_everything(session)
    total = Reconciled()
    while not until():
        with begin_write(engine) as session:
            done = _portion(session)
        total += done
        if not done.findings and not done.reports:
            break
    if total.written or total.superseded:
        log.info("findings were held against reports", **{name: getattr(total, name) for name in Reconciled.__slots__})
    return total


def _portion(session: Session) -> Reconciled:
    rows.only_one(session)
    findings, reports = rows.waiting(session, PORTION)
    if not findings and not reports:
        return Reconciled()
    # Whoever was a partner until now may lose one: his day is looked at too.
    before = rows.standing_pairs(session, findings, reports)
    reads = {one.finding_id: one for one in rows.findings(session, {*findings, *(row.finding_id for row in before)})}
    tells = {one.report_id: one for one in rows.reports(session, {*reports, *(row.report_id for row in before)})}
    days = {day for one in reads.values() if (day := one.day)} | {day for one in tells.values() if (day := one.day)}
    reads |= {one.finding_id: one for one in rows.findings_of_days(session, days, known=reads)}
    tells |= {one.report_id: one for one in rows.reports_of_days(session, days, known=tells)}
    written, superseded = _write(session, judge(reads.values(), tells.values()), reads, tells)
    rows.looked_at(session, findings, reports)
    return Reconciled(len(findings), len(reports), written, superseded)


@dataclass(frozen=True, slots=True)
class Judged:
    """What holds of some findings and reports: pairs by (finding, report), and why the others stand alone."""

    pairs: dict[tuple[int, int], Pair] = field(default_factory=dict)
    findings_alone: dict[int, Unmatched] = field(default_factory=dict)
    reports_alone: dict[int, Unmatched] = field(default_factory=dict)


def judge(reads: Iterable[Read], tells: Iterable[Told]) -> Judged:
    """Pair whole days: every finding and every report of each day that occurs has to be there. Pure."""
    found = Judged()
    days: dict[Day, tuple[list[Read], list[Told]]] = defaultdict(lambda: ([], []))
    for read in reads:
        if not read.superseded:  # the newer job's finding stands for it
            reason, day = _why_alone(read), read.day
            if reason is not None or day is None:
                found.findings_alone[read.finding_id] = reason or Unmatched.NO_EXAMINATION_DATE
            else:
                days[day][0].append(read)
    for told in tells:
        reason, day = why_not_counted(told), told.day
        if reason is not None or day is None:
            found.reports_alone[told.report_id] = reason or Unmatched.NO_EXAMINATION_DATE
        else:
            days[day][1].append(told)
    for of_day, told_of_day in days.values():
        reported = [Reported(one.report_id, LabelValue(one.label), one.examined_at, _names(one)) for one in told_of_day if one.label]
        radiographs = [_answered(one) for one in of_day if one.modality != CT]
        series = [_answered(one) for one in of_day if one.modality == CT]
        pairs = [*pair(radiographs, reported), *pair_series(series, reported)]
        found.pairs.update({(one.finding_id, one.report_id): one for one in pairs})
        if not reported:
            found.findings_alone.update({one.finding_id: Unmatched.NO_REPORT_THAT_DAY for one in of_day})
        if not of_day:
            found.reports_alone.update({one.report_id: Unmatched.NO_RADIOGRAPH_THAT_DAY for one in told_of_day})
    return found


def _why_alone(read: Read) -> Unmatched | None:
    if read.outcome not in ANSWERED:
        return Unmatched.NOT_ANSWERED
    return Unmatched.PATIENT_UNKNOWN if read.person_id is None else None


def why_not_counted(told: Told, *, whose: bool = True) -> Unmatched | None:
    """The first thing that is in the way of a report; without `whose` it may be anybody's."""
    ambiguous = told.parked == ReportParked.AMBIGUOUS_PATIENT
    in_the_way = (
        (told.status == ReportStatus.WITHDRAWN, Unmatched.WITHDRAWN),
        (not is_ct(told.modality, told.procedure_text), Unmatched.NOT_CT),
        (whose and told.person_id is None, Unmatched.ISSUER_AMBIGUOUS if ambiguous else Unmatched.PATIENT_UNKNOWN),
        (told.status == ReportStatus.PRELIMINARY, Unmatched.PRELIMINARY),
        (not told.readable, Unmatched.NO_TEXT),
        (told.label is None, Unmatched.NOT_LABELLED),
        (told.label == LabelValue.NOT_COVERED, Unmatched.NOT_COVERED),
    )
    return next((reason for there, reason in in_the_way if there), None)


def _answered(read: Read) -> Answered:
    return Answered(read.finding_id, read.device_uid, read.outcome == Outcome.POSITIVE, read.examined_at, _names(read))


def _names(one: Read | Told) -> frozenset[str]:
    return frozenset(name for name in (one.study_instance_uid, one.accession_number) if name)


def _write(session: Session, found: Judged, reads: Mapping[int, Read], tells: Mapping[int, Told]) -> tuple[int, int]:
    """Bring the rows of these findings and reports to what was found; how many were written, how many superseded."""
    now = current_time()
    new_pairs = {
        key: {
            "finding_id": one.finding_id,
            "report_id": one.report_id,
            "label_id": tells[one.report_id].label_id,
            "agreement": str(one.agreement),
            "interval_s": one.interval_s,
            "secondary_reason": None if one.secondary_reason is None else str(one.secondary_reason),
        }
        for key, one in found.pairs.items()
    }
    new_alone: dict[tuple[int | None, int | None], dict[str, int | str | None]] = {
        **{(one, None): {"finding_id": one, "report_id": None, "reason": str(why)} for one, why in found.findings_alone.items()},
        **{(None, one): {"finding_id": None, "report_id": one, "reason": str(why)} for one, why in found.reports_alone.items()},
    }
    outdated_pairs, outdated_alone = [], []
    for row in rows.standing_pairs(session, reads, tells):
        wanted = new_pairs.get((row.finding_id, row.report_id))
        if wanted is not None and all(getattr(row, name) == value for name, value in wanted.items()):
            del new_pairs[row.finding_id, row.report_id]
        else:
            outdated_pairs.append(row.id)
    for alone in rows.standing_unmatched(session, reads, tells):
        stands = new_alone.get((alone.finding_id, alone.report_id))
        if stands is not None and stands["reason"] == alone.reason:
            del new_alone[alone.finding_id, alone.report_id]
        else:
            outdated_alone.append(alone.id)
    rows.supersede(session, outdated_pairs, outdated_alone, now=now)
    rows.add(session, list(new_pairs.values()), list(new_alone.values()), now=now)
    return len(new_pairs) + len(new_alone), len(outdated_pairs) + len(outdated_alone)
