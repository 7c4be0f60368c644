"""Which radiograph of the day stands for a patient: of what was fetched, by the rules of eligibility and of reconciliation, no others.

The chosen one becomes a job without destinations, which the node's own inference reads: its answer goes to the database, and to nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pydicom

from ptx_node.db import cohorts, collections
from ptx_node.db import reconciliation as rows
from ptx_node.db.reconciliation import Read
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.dicom.attributes import read_attributes
from ptx_node.dicom.examination import examination_of
from ptx_node.dicom.uids import input_digest
from ptx_node.domain.cohort import Exclusion, MemberState
from ptx_node.domain.decision import DEVICE_UID
from ptx_node.domain.eligibility import KEYWORDS, MODALITIES, eligibility
from ptx_node.domain.finding import Outcome
from ptx_node.domain.job import Cause, JobState, Trigger
from ptx_node.domain.radiology_report import ReportParked
from ptx_node.domain.reconciliation import Unmatched
from ptx_node.domain.retrieval import TERMINAL, RetrievalState
from ptx_node.errors import InputError, RetryableError
from ptx_node.pipeline.cohort_merges import follow
from ptx_node.pipeline.enqueue import pass_by
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.reconcile import judge

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.reconciliation import Told
    from ptx_node.db.tables import Cohort, CohortMember, Instance, Retrieval
    from ptx_node.domain.eligibility import Requirements
    from ptx_node.domain.examination import Examined
    from ptx_node.domain.radiology_report import Authorities
    from ptx_node.domain.reconciliation import Pair

LOWEST_PRIORITY = 0
"""What came today is read before what is of last year."""
NOT_PAIRED = (
    (Unmatched.ORDER_UNKNOWN, Exclusion.ORDER_UNKNOWN),
    (Unmatched.NOT_NEAREST, Exclusion.NEARER_TO_OTHER_CT),
    (Unmatched.NO_RADIOGRAPH_BEFORE, Exclusion.ONLY_AFTER_CT),
)
"""Why none of a report's pairs is primary, the first that applies."""


def modalities_of(requirements: Requirements) -> tuple[str, ...]:
    """The modalities of the images that a model reads."""
    return tuple(sorted(requirements.modalities or MODALITIES[requirements.reads]))


def rule_of(cohort: Cohort) -> str:
    """What the jobs of a cohort say instead of a routing rule."""
    return f"cohort {cohort.name}"


class Store(Protocol):
    """Where stored instances lie."""

    def path(self, relative: str) -> Path:
        """The file of a stored relative path."""
        ...


@dataclass(frozen=True, slots=True)
class _Image:
    """A radiograph: `examined` is None where its header cannot be read, `refusal` the coded reason why the model does not read it."""

    instance: Instance
    examined: Examined | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class _Out:
    why: Exclusion
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _Chosen:
    instance: Instance
    interval_s: float | None


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses for the members of one cohort whose studies are here.

    Args:
        requirements: of the model.
        own_device_uids: of the models here: what carries one is a result of theirs, not a radiograph.
        zone: of the site.
    """

    engine: Engine
    cohort: Cohort
    store: Store
    requirements: Requirements
    own_device_uids: Collection[str]
    authorities: Authorities
    zone: ZoneInfo

    def run(self) -> int:
        """Choose for everybody whose studies are settled; how many members went forward.

        Raises:
            DatabaseUnavailableError: call again.
            RetryableError: the store cannot be read; call again when it can.
        """
        follow(self.engine, self.cohort.id)
        with begin_read(self.engine) as session:
            fetching = cohorts.members_in(session, self.cohort.id, MemberState.FETCHING)
            wanted = cohorts.retrievals_of(session, self.cohort, (uid for one in fetching for uid in one.study_instance_uids))
        ready = [one for one in fetching if all(wanted[uid].state in TERMINAL for uid in one.study_instance_uids)]
        if ready:
            pass_by(self.engine, sorted({uid for one in ready for uid in one.study_instance_uids}))
            while register_new(self.engine, self.authorities):
                pass
        return sum(self._settle(one, [wanted[uid] for uid in one.study_instance_uids]) for one in ready)

    def _settle(self, member: CohortMember, fetched: Sequence[Retrieval]) -> bool:
        failed = next((row for row in fetched if row.state == RetrievalState.FAILED), None)
        if failed is not None:
            found: _Out | _Chosen | None = _Out(Exclusion.RETRIEVAL_FAILED, None, failed.error)
        else:
            found = self._look(member)
        if found is None:
            return False
        with begin_write(self.engine) as session:
            if isinstance(found, _Out):
                return cohorts.exclude(session, member, found.why, code=found.code, detail=found.detail, now=current_time())
            return self._read(session, member, found)

    def _look(self, member: CohortMember) -> _Out | _Chosen | None:
        """What the images of the day give; None while another process is just registering them."""
        with begin_read(self.engine) as session:
            (told,) = rows.reports(session, [member.report_id])
            images = cohorts.images_of(session, member.study_instance_uids, modalities_of(self.requirements))
            own = collections.own_results(session, [instance.sop_instance_uid for instance, _ in images])
            of_day = rows.reports_of_period(session, member.examined_on, member.examined_on, person_id=told.person_id)
        if any(instance.registered_at is None for instance, _ in images):
            return None
        if not images:
            return _Out(Exclusion.NO_RADIOGRAPH_THAT_DAY)
        if told.person_id is None:
            ambiguous = told.parked == ReportParked.AMBIGUOUS_PATIENT
            return _Out(Exclusion.PATIENT_AMBIGUOUS if ambiguous else Exclusion.OTHER_PATIENT)
        hers = [instance for instance, person in images if person == told.person_id and instance.sop_instance_uid not in own]
        if not hers:
            return _Out(Exclusion.OTHER_PATIENT)
        return self._choose(member, told.person_id, of_day, [image for instance in hers if (image := self._image(instance)) is not None])

    def _image(self, instance: Instance) -> _Image | None:
        """A radiograph by its header; None for what the node's own models wrote."""
        path = self.store.path(instance.path)
        try:
            attributes = read_attributes(path, KEYWORDS | {DEVICE_UID})
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        except InputError as error:
            return _Image(instance, None, error.reason)
        except FileNotFoundError:
            return _Image(instance, None, str(Cause.INPUT_MISSING))
        except OSError as error:
            raise RetryableError(f"the store cannot be read: {error.strerror}; check that its folder is mounted and readable") from error
        if any(value in self.own_device_uids for value in attributes.get(DEVICE_UID, ())):
            return None
        attributes.setdefault("TransferSyntaxUID", (instance.transfer_syntax_uid,))
        refusal = eligibility(attributes, self.requirements)
        return _Image(instance, examination_of([header], self.zone).examined, str(refusal.reason) if refusal else None)

    def _choose(self, member: CohortMember, person_id: int, of_day: Sequence[Told], images: Sequence[_Image]) -> _Out | _Chosen:
        """One of a patient's images of the day, by the rules that pair findings with reports.

        Images are numbered in the order of their UIDs, so that of two at the same moment the same one is taken each time.
        """
        images = [one for one in images if one.examined is None or one.examined.on == member.examined_on]
        readable = [(one.instance, one.examined) for one in images if one.refusal is None and one.examined is not None]
        if not readable:
            refusals = Counter(one.refusal for one in images)
            code = min(refusals, key=lambda reason: (-refusals[reason], str(reason)), default=None)
            return _Out(Exclusion.NOT_ELIGIBLE, code) if images else _Out(Exclusion.NO_RADIOGRAPH_THAT_DAY)
        reads = [
            Read(
                number,
                Outcome.NEGATIVE,  # any answer: who is chosen does not depend on it
                self.cohort.device_uid,
                instance.modality,
                examined.at,
                examined.on,
                instance.study_instance_uid,
                instance.accession_number,
                person_id,
                superseded=False,
            )
            for number, (instance, examined) in enumerate(readable)
        ]
        judged = judge(reads, of_day)
        mine = [pair for pair in judged.pairs.values() if pair.report_id == member.report_id]
        if not mine:
            return _Out(Exclusion.REPORT_CHANGED, judged.reports_alone.get(member.report_id))
        pair = self._pair(mine)
        return pair if isinstance(pair, _Out) else _Chosen(readable[pair.finding_id][0], pair.interval_s)

    def _pair(self, pairs: Sequence[Pair]) -> Pair | _Out:
        """The pair that counts; the reason of those that are nearest to counting where none does."""
        reasons = {one.secondary_reason for one in pairs}
        chosen = next((one for one in pairs if one.primary), None)
        if chosen is None and self.cohort.after_too and reasons == {Unmatched.NO_RADIOGRAPH_BEFORE}:
            chosen = min(pairs, key=lambda one: (-(one.interval_s or 0.0), one.finding_id))
        if chosen is None:
            return _Out(next(why for reason, why in NOT_PAIRED if reason in reasons))
        limit = self.cohort.interval_s
        if limit is None or (chosen.interval_s is not None and abs(chosen.interval_s) <= limit):
            return chosen
        return _Out(Exclusion.ORDER_UNKNOWN if chosen.interval_s is None else Exclusion.TOO_FAR_APART)

    def _read(self, session: Session, member: CohortMember, chosen: _Chosen) -> bool:
        """Have the chosen radiograph read, unless this very model has read it before."""
        instance, moment = chosen.instance, current_time()
        told = {"instance_id": instance.id, "interval_s": chosen.interval_s}
        known = cohorts.finding_by(session, self.cohort, input_digest(instance.study_instance_uid, [instance.sop_instance_uid]))
        if known is not None:
            return cohorts.advance(session, member, MemberState.COUNTED, now=moment, finding_id=known, **told)
        if not cohorts.advance(session, member, MemberState.READING, now=moment, **told):
            return False
        job = {
            "idempotency_key": f"{rule_of(self.cohort)}|{Trigger.INSTANCE}|{instance.sop_instance_uid}|1",
            "rule": rule_of(self.cohort),
            "model": self.cohort.model,
            "level": str(Trigger.INSTANCE),
            "level_uid": instance.sop_instance_uid,
            "study_instance_uid": instance.study_instance_uid,
            "destinations": [],
            "report_failed": False,
            "report_not_eligible": False,
            "priority": LOWEST_PRIORITY,
            "state": str(JobState.QUEUED),
            "attempts": 0,
            "first_instance_at": instance.received_at,
            "last_instance_at": instance.received_at,
            "complete_at": moment,
            "queued_at": moment,
        }
        new = collections.add_jobs(session, [job])
        collections.add_inputs(session, [{"job_id": number, "instance_id": instance.id, "eligible": True} for number in new.values()])
        # A member that waited again, since its patient was merged, finds the job of the first time.
        cohorts.give_job(session, member, *(new.values() or [cohorts.job_of(session, str(job["idempotency_key"]))]))
        return True
