"""The one way in for radiology reports: HL7, FHIR, DICOM SR and tables hand versions to a `ReportIntake`.

One transaction a message: what came, the versions, what each chain says now, its label, whose it is, and that a
reconciliation has to look. Killed before the commit nothing is there and nothing was acknowledged; the same message
again finds everything done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from ptx_node.db import audit, patients
from ptx_node.db import radiology_reports as reports
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.audit import NODE, AuditKind, Event, peer
from ptx_node.domain.radiology_report import Authorities, Examination, Held, PatientIdentity, ReportStatus, effective
from ptx_node.errors import PermanentError
from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from ptx_node.db.tables import RadiologyReport, RadiologyReportVersion
    from ptx_node.domain.radiology_report import Effective, ReportVersion, ReportVia
    from ptx_node.domain.truth import ReportLabel

log = get(__name__)


class Labeller(Protocol):
    """Reads what a report says of a pneumothorax; pure, and satisfied by `ptx_node.reports`."""

    def __call__(self, text: str, examination: Examination, /) -> ReportLabel:
        """The label of a text that is not empty."""
        ...


class Store(Protocol):
    """Where the bytes of messages are kept."""

    def put(self, relative_path: str, data: bytes) -> object:
        """Write one whole file durably; the same name again is replaced."""
        ...


class Verdict(StrEnum):
    """What became of a message: the closed list in `report_messages.verdict`."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By type, version, sender or content; `reason` says why. Sent again it is looked at again."""
    QUARANTINED = "quarantined"
    """It has no header that can be read: kept for a person."""
    IGNORED = "ignored"
    """It holds no report of a person; `reason` says what it is."""
    WAITING = "waiting"
    """Stored, and not looked at yet."""


class NotMergedError(PermanentError):
    """Two patients were to be parted that no message had joined."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came to a door.

    Attributes:
        control_id: what the sender calls it; with the digest, what it is known by.
        kind: the sender's own name of the kind, such as `ORU^R01`.
        path: where the bytes lie in the store; None where they are not kept.
    """

    via: ReportVia
    sender: str
    control_id: str
    sha256: str
    kind: str = ""
    path: str | None = None
    peer_address: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one version: `new` is False for one that was there; `parked` says why its patient is not known."""

    report_id: int
    new: bool
    parked: str | None


@dataclass(frozen=True, slots=True)
class Merge:
    """Two numbers that are one patient's, or (`undo`) are no longer. `prior` is the number that falls away."""

    prior: PatientIdentity
    surviving: PatientIdentity
    undo: bool = False


class ReportIntake:
    """Takes reports for one process; shared by its threads.

    Args:
        engine: opened in this process.
        store: keeps the bytes of messages.
        labeller: None leaves every report without a label.
        authorities: the site's names of those who give out patient numbers.
    """

    def __init__(self, engine: Engine, store: Store, *, labeller: Labeller | None, authorities: Authorities) -> None:
        self._engine = engine
        self._store = store
        self._labeller = labeller
        self._authorities = authorities

    def keep(self, via: ReportVia, sha256: str, data: bytes) -> str:
        """Keep the bytes of a message, durably; the same bytes have the same name. Returns the name in the store.

        Raises:
            StorageFullError: there is no room.
        """
        path = f"reports/{via}/{sha256[:2]}/{sha256}"
        self._store.put(path, data)
        return path

    def accepted_before(self, arrival: Arrival, *, acknowledgement: str = "") -> bool:
        """Whether the same message with the same bytes was accepted: then nothing is done again, but that it came again is kept.

        Raises:
            DatabaseUnavailableError: nothing is known; a retry may help.
        """
        with begin_read(self._engine) as session:
            found = reports.find_message(
                session, via=arrival.via, sender=arrival.sender, control_id=arrival.control_id, sha256=arrival.sha256
            )
        if found is None or found.verdict != Verdict.ACCEPTED:
            return False
        with begin_write(self._engine) as session:
            self._record(session, arrival, Verdict.ACCEPTED, acknowledgement)
        return True

    def take(self, arrival: Arrival, versions: Sequence[ReportVersion], *, acknowledgement: str = "", detail: str = "") -> list[Taken]:
        """Take every report of one message, in one transaction; in the order given.

        Raises:
            DatabaseUnavailableError: nothing was written, and nothing may be promised; a retry may help.
        """
        now = current_time()
        with begin_write(self._engine) as session:
            message_id = self._record(session, arrival, Verdict.ACCEPTED, acknowledgement, detail=detail or None)
            return self._take_in(session, versions, message_id=message_id, now=now)

    def begin(self, arrival: Arrival) -> int:
        """Write down that a file of many reports is taken in; the number for `take_more`.

        Raises:
            DatabaseUnavailableError: nothing was written; a retry may help.
        """
        with begin_write(self._engine) as session:
            return self._record(session, arrival, Verdict.ACCEPTED, "")

    def take_more(self, message_id: int, versions: Sequence[ReportVersion]) -> list[Taken]:
        """Take some of the reports of a file, in a transaction of their own; in the order given.

        Raises:
            DatabaseUnavailableError: none of them was written; the file may be taken in again.
        """
        with begin_write(self._engine) as session:
            return self._take_in(session, versions, message_id=message_id, now=current_time())

    def _take_in(self, session: Session, versions: Sequence[ReportVersion], *, message_id: int, now: datetime) -> list[Taken]:
        ours = [replace(one, patients=tuple(self._identities(one.patients))) for one in versions]
        # patients before reports, and each in one order everywhere, so that two doors never wait for each other
        known = [patients.register(session, identities, now=now) for identities in sorted({one.patients for one in ours})]
        patients.hold(session, {row.person_id for rows in known for row in rows})
        order = sorted(range(len(ours)), key=lambda n: (ours[n].source, ours[n].external_id, n))
        taken = {n: self._take_one(session, ours[n], message_id, now) for n in order}
        return [taken[n] for n in range(len(ours))]

    def merge(self, arrival: Arrival, merges: Sequence[Merge], *, acknowledgement: str = "") -> int:
        """Join or part patients as one message says; their reports are to be reconciled again. Returns how many people it touched.

        Raises:
            NotMergedError: two are to be parted that no message joined; nothing was written.
            DatabaseUnavailableError: nothing was written; a retry may help.
        """
        now = current_time()
        with begin_write(self._engine) as session:
            message_id = self._record(session, arrival, Verdict.ACCEPTED, acknowledgement)
            touched: set[int] = set()
            for one in merges:
                (prior,) = patients.register(session, [self._authorities.own(one.prior)], now=now)
                (surviving,) = patients.register(session, [self._authorities.own(one.surviving)], now=now)
                change = patients.unmerge if one.undo else patients.merge
                people = change(session, prior, surviving, message_id=message_id, now=now)
                if one.undo and not people:
                    raise NotMergedError("these two patients are not joined by any message")
                touched |= people
                detail = {"undo": one.undo, "prior_identifier": prior.id, "surviving_identifier": surviving.id, "message": message_id}
                audit.note(session, Event(AuditKind.MERGE, peer(arrival.sender, arrival.peer_address), detail))
            if touched:
                reports.place_again(session, touched, now=now)
        return len(touched)

    def refuse(self, arrival: Arrival, verdict: Verdict, *, acknowledgement: str, reason: str, detail: str) -> None:
        """Leave a trace of what was not taken, for people.

        Raises:
            DatabaseUnavailableError: nothing was written.
        """
        with begin_write(self._engine) as session:
            self._record(session, arrival, verdict, acknowledgement, reason=reason, detail=detail)
        log.warning("report message not taken", via=arrival.via, sender=arrival.sender, verdict=verdict, reason=reason)

    def _record(
        self,
        session: Session,
        arrival: Arrival,
        verdict: Verdict,
        acknowledgement: str,
        *,
        reason: str | None = None,
        detail: str | None = None,
    ) -> int:
        row = {
            "via": str(arrival.via),
            "sender": arrival.sender,
            "control_id": arrival.control_id,
            "sha256": arrival.sha256,
            "kind": arrival.kind,
            "verdict": str(verdict),
            "acknowledgement": acknowledgement,
            "reason": reason,
            "detail": detail,
            "path": arrival.path,
            "peer_address": arrival.peer_address,
            "received_at": current_time(),
        }
        message_id = reports.record_message(session, row)
        told = {name: row[name] for name in ("via", "control_id", "sha256", "kind", "verdict", "acknowledgement", "reason")}
        kind = AuditKind.RECEIPT if verdict is Verdict.ACCEPTED else AuditKind.REFUSAL
        audit.note(session, Event(kind, peer(arrival.sender, arrival.peer_address), {"stage": "report", "message": message_id, **told}))
        return message_id

    def _identities(self, given: Sequence[PatientIdentity]) -> list[PatientIdentity]:
        """The site's names for them, each once, those without a number left out."""
        return [one for one in dict.fromkeys(self._authorities.own(one) for one in given) if one.value]

    def _take_one(self, session: Session, version: ReportVersion, message_id: int | None, now: datetime) -> Taken:
        report, made = reports.chain(session, version, now=now)
        now = current_time()  # with the chain locked, so that times follow the order of arrival
        before = [] if made else list(reports.versions(session, report.id))
        if any(one.content_sha256 == version.content_sha256 for one in before):
            return Taken(report.id, new=False, parked=report.parked)
        rows = [*before, reports.add_version(session, report.id, version, number=len(before) + 1, message_id=message_id, now=now)]
        told = effective([_held(row) for row in rows])
        counting = [rows[number - 1] for number in told.orders]
        seen_before, patients_before = _seen(report), _patients(before, report)
        changed = reports.settle(report, counting, told)
        if made or seen_before != _seen(report):
            self._label(session, report, told, counting[-1], now)
        if made or patients_before != counting[0].patients:
            changed |= reports.place(session, report, [PatientIdentity(*one) for one in counting[0].patients], now=now, new=made)
        if made or changed:
            reports.touch(report, now=now)
        session.flush()
        return Taken(report.id, new=True, parked=report.parked)

    def _label(self, session: Session, report: RadiologyReport, told: Effective, newest: RadiologyReportVersion, now: datetime) -> None:
        """Label the text as it stands now. Without text there is no label, which is not the same as negative."""
        if not report.readable or told.status is ReportStatus.WITHDRAWN:
            report.label_id = reports.persons_label(session, report.id)
            return
        if self._labeller is not None:
            label = self._labeller(told.text, examination_of(report))
            label_id = reports.add_label(session, report, label, version_id=newest.id, now=now)
            audit.note(session, label_event(label_id, report, newest.id, label))


def label_event(label_id: int, report: RadiologyReport, version_id: int, label: ReportLabel) -> Event:
    """What the audit trail keeps of a label that the rules gave."""
    detail = {
        "label": label_id,
        "report": report.id,
        "version": version_id,
        "text_sha256": report.text_sha256,
        "value": str(label.value),
        "rule": label.rule,
        "labeller": label.labeller,
    }
    return Event(AuditKind.LABEL, NODE, detail)


def _held(row: RadiologyReportVersion) -> Held:
    return Held(row.number, ReportStatus(row.status), row.issued_at or row.received_at, row.text)


def _seen(report: RadiologyReport) -> tuple[str, Examination]:
    """What a label is made of."""
    return report.text_sha256, examination_of(report)


def _patients(rows: Sequence[RadiologyReportVersion], report: RadiologyReport) -> object:
    return next((row.patients for row in rows if report.version_ids and row.id == report.version_ids[0]), None)


def examination_of(report: RadiologyReport) -> Examination:
    """What a report is of, as it stands."""
    return Examination(report.accession_number, report.study_instance_uid, report.modality, report.procedure_code, report.procedure_text)
