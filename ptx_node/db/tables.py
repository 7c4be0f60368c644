"""Every table of the node (SQLAlchemy 2, typed). A change here comes with an Alembic revision; the tests compare the two.

Times are aware UTC. Text states hold the values of the enumerations in `ptx_node.domain`.
Patient names are stored nowhere; `patient_id` is, because reports are matched on it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, DateTime, ForeignKey, Index, Integer, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from ptx_node.db.append_only import guard
from ptx_node.domain.job import AGEING_S


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python; `timestamptz` on PostgreSQL, naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, which would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"a naive time reached the database: {value.isoformat()}"
            raise ValueError(msg)
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give the zone back to SQLite's naive text."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """Base of all tables, with fixed names for constraints so that Alembic can drop them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this name from the class
        datetime: UtcDateTime,
        date: Date,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


Id = BigInteger().with_variant(Integer, "sqlite")


class Instance(Table):
    """One acknowledged instance. Written in the transaction that precedes the success status.

    `sop_instance_uid` is as sent, even if invalid (`uid_problem` then says why) and unique: it is the identity.
    `routed_at` is null until the enqueue stage has looked at it, which makes this row that stage's queue. So does
    `registered_at` for the stage that knows patients, which sets `patient_identifier_id` (null: no Patient ID).
    """

    __tablename__ = "instances"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(Text, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(Text)
    series_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    study_instance_uid: Mapped[str] = mapped_column(Text)
    transfer_syntax_uid: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text)
    issuer_of_patient_id: Mapped[str] = mapped_column(Text)
    accession_number: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    uid_problem: Mapped[str | None] = mapped_column(Text)
    via: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    calling_ae: Mapped[str] = mapped_column(Text)
    called_ae: Mapped[str] = mapped_column(Text)
    peer_address: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(index=True)
    routed_at: Mapped[datetime | None]
    route_outcome: Mapped[str | None] = mapped_column(Text)
    route_detail: Mapped[str | None] = mapped_column(Text)
    registered_at: Mapped[datetime | None]
    patient_identifier_id: Mapped[int | None] = mapped_column(Id, index=True)


Index("ix_instances_unrouted", Instance.id, sqlite_where=Instance.routed_at.is_(None), postgresql_where=Instance.routed_at.is_(None))
Index(
    "ix_instances_unregistered",
    Instance.id,
    sqlite_where=Instance.registered_at.is_(None),
    postgresql_where=Instance.registered_at.is_(None),
)


class Conflict(Table):
    """An instance whose SOP Instance UID was already here with other bytes: kept aside, never overwriting."""

    __tablename__ = "conflicts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    path: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    stored_sha256: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(Text)
    calling_ae: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("sop_instance_uid", "sha256"),)


class Refusal(Table):
    """An instance or association that was refused: what was answered and why. Best effort, for people."""

    __tablename__ = "refusals"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(Text)
    sop_class_uid: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    via: Mapped[str] = mapped_column(Text)
    calling_ae: Mapped[str] = mapped_column(Text)
    peer_address: Mapped[str] = mapped_column(Text)
    refused_at: Mapped[datetime] = mapped_column(index=True)


class Collection(Table):
    """The instances of one series or study that one rule is waiting to complete. Closed when its job is queued."""

    __tablename__ = "collections"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    rule: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    level_uid: Mapped[str] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(Integer)
    study_instance_uid: Mapped[str] = mapped_column(Text)
    instance_count: Mapped[int] = mapped_column(Integer)
    expected_count: Mapped[int | None] = mapped_column(Integer)
    first_instance_at: Mapped[datetime]
    last_instance_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    closed_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("rule", "level_uid", "generation"),)


class CollectionInstance(Table):
    """An instance in a collection, with what eligibility said of it; copied to the job's inputs on closing."""

    __tablename__ = "collection_instances"

    collection_id: Mapped[int] = mapped_column(Id, ForeignKey("collections.id"), primary_key=True)
    instance_id: Mapped[int] = mapped_column(Id, ForeignKey("instances.id"), primary_key=True)
    eligible: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)


def _rank(context: DefaultExecutionContext) -> datetime:
    values: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]
    queued_at: datetime = values["queued_at"]
    return queued_at - timedelta(seconds=AGEING_S * values["priority"])


class Job(Table):
    """Work for one rule on one instance, series or study: a row with a lease. See `ptx_node.domain.job`.

    `rank_at` is the order of the queue: `queued_at` brought forward by `AGEING_S` a priority point, so that
    an index serves priority with ageing. `idempotency_key` (rule, level uid, generation) makes a job exist once, whoever asks twice.
    `destinations` is the rule's policy at the time of queueing: `[{"name": "pacs", "kinds": ["seg", "sr"]}]`.
    """

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(Text, unique=True)
    rule: Mapped[str] = mapped_column(Text, index=True)
    model: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    level_uid: Mapped[str] = mapped_column(Text)
    study_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    destinations: Mapped[list[Any]]
    report_failed: Mapped[bool]
    report_not_eligible: Mapped[bool]
    priority: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    cause: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    not_before_at: Mapped[datetime | None]
    superseded_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("jobs.id"))
    first_instance_at: Mapped[datetime]
    last_instance_at: Mapped[datetime]
    complete_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    rank_at: Mapped[datetime] = mapped_column(default=_rank)
    started_at: Mapped[datetime | None]
    inferred_at: Mapped[datetime | None]
    encoded_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    forward_ms: Mapped[float | None]

    __table_args__ = (Index("ix_jobs_state_rank_at", "state", "rank_at"),)


class JobInput(Table):
    """An instance that a job reads; `eligible` and `reason` are filled when the job is queued."""

    __tablename__ = "job_inputs"

    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id"), primary_key=True)
    instance_id: Mapped[int] = mapped_column(Id, ForeignKey("instances.id"), primary_key=True, index=True)
    eligible: Mapped[bool]
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)


class Retrieval(Table):
    """A study wanted from an archive: a row with a lease. See `ptx_node.domain.retrieval` and `ptx_node.pipeline.retrieve`.

    `why` is a cohort's name, or "by hand"; one reason wants a study once. `modalities` (empty: all) are those of the wanted series;
    `patient_id` and its issuer (empty: any) are whose it must be.
    `expected_count` is what the archive says it has of them (null: it does not say), `received_count` what is in `instances`.
    """

    __tablename__ = "retrievals"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    archive: Mapped[str] = mapped_column(Text)
    study_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    why: Mapped[str] = mapped_column(Text)
    modalities: Mapped[list[Any]]
    patient_id: Mapped[str] = mapped_column(Text)
    issuer_of_patient_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    not_before_at: Mapped[datetime | None]
    expected_count: Mapped[int | None] = mapped_column(Integer)
    received_count: Mapped[int] = mapped_column(Integer)
    method: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    wanted_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("archive", "study_instance_uid", "why"),
        Index("ix_retrievals_archive_state", "archive", "state"),
        Index("ix_retrievals_archive_started_at", "archive", "started_at"),
    )


class FindingRow(Table):
    """What the model said of one radiograph or one CT series, under one job. See `ptx_node.domain.finding`."""

    __tablename__ = "findings"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id"), index=True)
    study_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    series_instance_uid: Mapped[str] = mapped_column(Text)
    sop_instance_uids: Mapped[list[Any]]
    input_digest: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    probability: Mapped[float | None]
    threshold: Mapped[float | None]
    laterality: Mapped[str | None] = mapped_column(Text)
    area_mm2: Mapped[float | None]
    volume_ml: Mapped[float | None]
    spacing_reason: Mapped[str | None] = mapped_column(Text)
    model_manufacturer: Mapped[str] = mapped_column(Text)
    model_name: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[str] = mapped_column(String(64))
    device_uid: Mapped[str] = mapped_column(Text)
    inferred_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("job_id", "input_digest"),)


class Result(Table):
    """One SEG, SR or SC instance on disk. Its SOP Instance UID is derived, so a re-run finds this row again."""

    __tablename__ = "results"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    finding_id: Mapped[int] = mapped_column(Id, ForeignKey("findings.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    sop_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    study_instance_uid: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    encoded_at: Mapped[datetime]


class Delivery(Table):
    """One result on its way to one destination: its own retries, its own deadline, its own proof of arrival."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    result_id: Mapped[int] = mapped_column(Id, ForeignKey("results.id"), index=True)
    job_id: Mapped[int] = mapped_column(Id, ForeignKey("jobs.id"), index=True)
    destination: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    status: Mapped[str | None] = mapped_column(Text)
    warning: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(Text)
    commitment_transaction_uid: Mapped[str | None] = mapped_column(String(64), index=True)
    proof: Mapped[str | None] = mapped_column(Text)
    resends: Mapped[int] = mapped_column(Integer, default=0)
    queued_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("result_id", "destination"),
        Index("ix_deliveries_destination_state", "destination", "state", "next_attempt_at"),
    )


class DestinationState(Table):
    """A destination that a person, or a limit, has suspended: deliveries wait, nothing is lost.

    `failures` in a row to reach it at all, and `retry_at` before which it is not tried, keep a dead peer cheap.
    """

    __tablename__ = "destination_states"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    suspended: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(Integer, default=0)
    retry_at: Mapped[datetime | None]


class CommitmentRequest(Table):
    """A Storage Commitment request that a peer made of us (PS3.4 J): answered on a new association, retried, durable."""

    __tablename__ = "commitment_requests"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(String(64), unique=True)
    calling_ae: Mapped[str] = mapped_column(Text)
    called_ae: Mapped[str] = mapped_column(Text)
    peer_address: Mapped[str] = mapped_column(Text)
    references: Mapped[list[Any]]
    attempts: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[datetime]
    requested_at: Mapped[datetime]
    reported_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)


class Person(Table):
    """One patient, whatever numbers name them. Holds nothing of the person: the numbers point here."""

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created_at: Mapped[datetime]


class PatientIdentifier(Table):
    """One number of a patient. `origin_person_id` never changes; `person_id` follows the merges that hold now.

    `authority` is the site's own name of who gave the number out, folded to lower case; `type` is a value of HL7 table
    0203, empty for a DICOM Patient ID. `imaged_at`: since when an instance with this number is here; null while none is.
    """

    __tablename__ = "patient_identifiers"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    authority: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    origin_person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"), index=True)
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"), index=True)
    imaged_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("value", "authority", "type"),)


class PatientMerge(Table):
    """Two patients that a message said are one (ADT^A40). Never removed: `undone_at` says that they are two again.

    The people are those that the numbers had when they came (`origin_person_id`), so that merges can be undone in any order.
    """

    __tablename__ = "patient_merges"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    prior_person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"), index=True)
    surviving_person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"), index=True)
    message_id: Mapped[int | None] = mapped_column(Id, ForeignKey("report_messages.id"))
    merged_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    undone_by_message_id: Mapped[int | None] = mapped_column(Id, ForeignKey("report_messages.id"))


class ReportMessage(Table):
    """What came to a door for radiology reports, and what was answered: an HL7 message, a FHIR request, an SR instance, a file.

    `control_id` is MSH-10, the resource's identity, the SOP Instance UID or the file's name; with `sha256` of the bytes it
    makes sending again harmless. `path` is where the bytes lie in the store; null where they are not kept there.
    """

    __tablename__ = "report_messages"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    via: Mapped[str] = mapped_column(Text)
    sender: Mapped[str] = mapped_column(Text)
    control_id: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(Text)
    acknowledgement: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(Text)
    peer_address: Mapped[str] = mapped_column(Text)
    times_received: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (UniqueConstraint("via", "sender", "control_id", "sha256"),)


Index(
    "ix_report_messages_waiting",
    ReportMessage.id,
    sqlite_where=ReportMessage.verdict == "waiting",
    postgresql_where=ReportMessage.verdict == "waiting",
)


class RadiologyReport(Table):
    """A report of one source as it stands now: a chain of versions. See `ptx_node.domain.radiology_report.effective`.

    `parked` says why no patient is known for it yet; then `identifier_id` is null. `label_id` is the label that counts: a
    person's before the machine's. `changed_at` is when anything that a reconciliation looks at last changed, and
    `reconcile_needed` that none has looked since.
    """

    __tablename__ = "radiology_reports"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    version_ids: Mapped[list[Any]]
    text_sha256: Mapped[str] = mapped_column(String(64))
    readable: Mapped[bool]
    examined_at: Mapped[datetime | None]
    examined_on: Mapped[date | None] = mapped_column(index=True)
    accession_number: Mapped[str] = mapped_column(Text, index=True)
    study_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    modality: Mapped[str] = mapped_column(Text)
    procedure_code: Mapped[str] = mapped_column(Text)
    procedure_text: Mapped[str] = mapped_column(Text)
    identifier_id: Mapped[int | None] = mapped_column(Id, ForeignKey("patient_identifiers.id"), index=True)
    parked: Mapped[str | None] = mapped_column(Text)
    label_id: Mapped[int | None] = mapped_column(Id)
    reconcile_needed: Mapped[bool]
    changed_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("source", "external_id"),)


Index(
    "ix_radiology_reports_unreconciled",
    RadiologyReport.examined_on,
    RadiologyReport.id,
    sqlite_where=text("reconcile_needed"),
    postgresql_where=text("reconcile_needed"),
)


class RadiologyReportVersion(Table):
    """One version of a report, as sent: only ever added. `patients` is `[[authority, type, value], …]`, the site's names."""

    __tablename__ = "radiology_report_versions"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    report_id: Mapped[int] = mapped_column(Id, ForeignKey("radiology_reports.id"))
    message_id: Mapped[int | None] = mapped_column(Id, ForeignKey("report_messages.id"))
    number: Mapped[int] = mapped_column(Integer)
    content_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(Text)
    patients: Mapped[list[Any]]
    issued_at: Mapped[datetime | None]
    examined_at: Mapped[datetime | None]
    examined_on: Mapped[date | None]
    accession_number: Mapped[str] = mapped_column(Text)
    study_instance_uid: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(Text)
    procedure_code: Mapped[str] = mapped_column(Text)
    procedure_text: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    flags: Mapped[list[Any]]
    received_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("report_id", "content_sha256"), UniqueConstraint("report_id", "number", name="uq_report_number"))


class ParkedPatient(Table):
    """A number for which a report waits: who comes with it un-parks the report."""

    __tablename__ = "parked_patients"

    report_id: Mapped[int] = mapped_column(Id, ForeignKey("radiology_reports.id"), primary_key=True)
    identifier_id: Mapped[int] = mapped_column(Id, ForeignKey("patient_identifiers.id"), primary_key=True, index=True)


class ReportLabelRow(Table):
    """What a report says of a pneumothorax: by the rules (`reviewer` null) or by a person. Only ever added.

    Offsets count characters of the text that `text_sha256` is of: the effective text of the chain at that moment.
    """

    __tablename__ = "report_labels"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    report_id: Mapped[int] = mapped_column(Id, ForeignKey("radiology_reports.id"), index=True)
    version_id: Mapped[int] = mapped_column(Id, ForeignKey("radiology_report_versions.id"))
    text_sha256: Mapped[str] = mapped_column(String(64))
    value: Mapped[str] = mapped_column(Text)
    laterality: Mapped[str | None] = mapped_column(Text)
    size: Mapped[str] = mapped_column(Text)
    depth_mm: Mapped[float | None]
    drain: Mapped[bool]
    sentence_start: Mapped[int | None] = mapped_column(Integer)
    sentence_end: Mapped[int | None] = mapped_column(Integer)
    evidence_start: Mapped[int | None] = mapped_column(Integer)
    evidence_end: Mapped[int | None] = mapped_column(Integer)
    rule: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    labeller: Mapped[str] = mapped_column(Text)
    reviewer: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    needs_review: Mapped[bool]
    review: Mapped[list[Any]]
    decided_at: Mapped[datetime]


class ExaminationRow(Table):
    """When, of whom and with what the images of one finding were made. See `ptx_node.domain.examination`.

    `instance_id` is an image of the finding, through which its patient is found. `examined_on` is the local day.
    `reconcile_needed`: no reconciliation has looked at it yet.
    """

    __tablename__ = "examinations"

    finding_id: Mapped[int] = mapped_column(Id, ForeignKey("findings.id"), primary_key=True, autoincrement=False)
    instance_id: Mapped[int] = mapped_column(Id, ForeignKey("instances.id"), index=True)
    modality: Mapped[str] = mapped_column(Text)
    examined_at: Mapped[datetime | None]
    examined_on: Mapped[date | None] = mapped_column(index=True)
    patient_sex: Mapped[str] = mapped_column(Text)
    patient_age_years: Mapped[float | None]
    view_position: Mapped[str] = mapped_column(Text)
    manufacturer: Mapped[str] = mapped_column(Text)
    manufacturer_model_name: Mapped[str] = mapped_column(Text)
    station_name: Mapped[str] = mapped_column(Text)
    bits_stored: Mapped[int | None] = mapped_column(Integer)
    exposure_index: Mapped[float | None]
    reconcile_needed: Mapped[bool]


Index(
    "ix_examinations_unreconciled",
    ExaminationRow.examined_on,
    ExaminationRow.finding_id,
    sqlite_where=text("reconcile_needed"),
    postgresql_where=text("reconcile_needed"),
)


class PairRow(Table):
    """A finding and a CT report of the same patient and local day. See `ptx_node.domain.reconciliation`.

    Only `superseded_at` is ever changed: what a pair said before a correction can be read for ever. `label_id` is the label that counted,
    `interval_s` the time from the image to the CT; `secondary_reason` is null for the primary pair, which the figures count.
    """

    __tablename__ = "pairs"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    finding_id: Mapped[int] = mapped_column(Id, ForeignKey("findings.id"), index=True)
    report_id: Mapped[int] = mapped_column(Id, ForeignKey("radiology_reports.id"), index=True)
    label_id: Mapped[int] = mapped_column(Id, ForeignKey("report_labels.id"))
    agreement: Mapped[str] = mapped_column(Text)
    interval_s: Mapped[float | None]
    secondary_reason: Mapped[str | None] = mapped_column(Text)
    reconciled_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


Index(
    "uq_pairs_standing",
    PairRow.finding_id,
    PairRow.report_id,
    unique=True,
    sqlite_where=text("superseded_at IS NULL"),
    postgresql_where=text("superseded_at IS NULL"),
)


class UnmatchedRow(Table):
    """A finding or a report that stands without a partner, and why. Only `superseded_at` is ever changed."""

    __tablename__ = "unmatched"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    finding_id: Mapped[int | None] = mapped_column(Id, ForeignKey("findings.id"), index=True)
    report_id: Mapped[int | None] = mapped_column(Id, ForeignKey("radiology_reports.id"), index=True)
    reason: Mapped[str] = mapped_column(Text)
    reconciled_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]


class TruthRow(Table):
    """What a reader says of an image, a series, a study or an accession number. Only ever added; `content_sha256` makes it exist once.

    `kind` is `reader` (a label) or `mask` (a SEG, which lies at `path` in the store). The newest of a reader counts: by `read_at`, else
    `imported_at`. Nothing says here whether the image is known: whoever asks joins, so that a reading waits for its image.
    """

    __tablename__ = "truths"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    reader: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    patient_authority: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    laterality: Mapped[str | None] = mapped_column(Text)
    size: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float | None]
    read_at: Mapped[datetime | None]
    content_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    path: Mapped[str | None] = mapped_column(Text)
    file: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    imported_by: Mapped[str] = mapped_column(Text)
    imported_at: Mapped[datetime]

    __table_args__ = (Index("ix_truths_name", "name", "level"),)


class MaskFigure(Table):
    """A reader's mask held against one finding: its area on the image's grid, and Dice with the node's own mask.

    A figure that there is not has its `reason`: `both_empty`, `no_spacing`, `of_a_series`, `other_size`, `unreadable`, `no_own_mask`.
    """

    __tablename__ = "mask_figures"

    truth_id: Mapped[int] = mapped_column(Id, ForeignKey("truths.id"), primary_key=True, autoincrement=False)
    finding_id: Mapped[int] = mapped_column(Id, ForeignKey("findings.id"), primary_key=True, autoincrement=False, index=True)
    area_mm2: Mapped[float | None]
    area_reason: Mapped[str | None] = mapped_column(Text)
    dice: Mapped[float | None]
    dice_reason: Mapped[str | None] = mapped_column(Text)
    measured_at: Mapped[datetime]


class Cohort(Table):
    """A retrospective cohort as it was asked for. See `ptx_node.domain.cohort`.

    `settings_sha256` and `asked_by` are of the moment at which it was begun, as is everything about the model.
    """

    __tablename__ = "cohorts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    since: Mapped[date]
    until: Mapped[date]
    choice: Mapped[str] = mapped_column(Text)
    wanted: Mapped[int | None] = mapped_column(Integer)
    seed: Mapped[int] = mapped_column(BigInteger)
    archive: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[str] = mapped_column(String(64))
    device_uid: Mapped[str] = mapped_column(Text)
    threshold: Mapped[float]
    interval_s: Mapped[float | None]
    after_too: Mapped[bool]
    settings_sha256: Mapped[str] = mapped_column(String(64))
    asked_by: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class CohortMember(Table):
    """A radiology report of a cohort's period: who is looked for, in which order, and what became of it.

    Group (`positive`), label and `turn` are those of the moment at which the cohort was begun and never change; the person follows merges
    until the cohort is complete. `exclusion` is of the closed list of `ptx_node.domain.cohort`, `code` the coded reason below it, where
    there is one. A patient is worked on, and counted, once.
    """

    __tablename__ = "cohort_members"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    cohort_id: Mapped[int] = mapped_column(Id, ForeignKey("cohorts.id"))
    report_id: Mapped[int] = mapped_column(Id, ForeignKey("radiology_reports.id"), index=True)
    label_id: Mapped[int | None] = mapped_column(Id, ForeignKey("report_labels.id"))
    label: Mapped[str | None] = mapped_column(Text)
    positive: Mapped[bool | None]
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    examined_on: Mapped[date]
    turn: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    exclusion: Mapped[str | None] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    study_instance_uids: Mapped[list[Any]]
    instance_id: Mapped[int | None] = mapped_column(Id, ForeignKey("instances.id"))
    interval_s: Mapped[float | None]
    job_id: Mapped[int | None] = mapped_column(Id, ForeignKey("jobs.id"))
    finding_id: Mapped[int | None] = mapped_column(Id, ForeignKey("findings.id"), index=True)
    changed_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("cohort_id", "report_id"), Index("ix_cohort_members_state", "cohort_id", "state"))


_IN_WORK = text("state IN ('fetching', 'reading', 'counted')")
Index(
    "uq_cohort_members_patient",
    CohortMember.cohort_id,
    CohortMember.person_id,
    unique=True,
    sqlite_where=_IN_WORK,
    postgresql_where=_IN_WORK,
)


class Heartbeat(Table):
    """A process of the node that says it lives. Silence is how a lost worker is noticed."""

    __tablename__ = "heartbeats"

    process: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]


class AuditEvent(Table):
    """One row of the audit trail, hashed with the one before; never changed, never removed. See `ptx_node.domain.audit`.

    `body` is what `sha256` is of; `recorded_at` and `kind` repeat it for queries. `sequence` begins at 1 and has no gap.
    """

    __tablename__ = "audit_events"

    sequence: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))


guard(AuditEvent.__table__, "sequence")

# What the dashboard's pages ask of the large tables.
Index("ix_instances_study_instance_uid", Instance.study_instance_uid, Instance.received_at)
Index("ix_findings_outcome", FindingRow.outcome)
Index("ix_audit_events_kind", AuditEvent.kind, AuditEvent.sequence)
_DOUBTFUL = text("needs_review")
Index("ix_report_labels_doubtful", ReportLabelRow.report_id, sqlite_where=_DOUBTFUL, postgresql_where=_DOUBTFUL)
_BY_A_PERSON = text("reviewer IS NOT NULL")
Index("ix_report_labels_by_a_person", ReportLabelRow.report_id, sqlite_where=_BY_A_PERSON, postgresql_where=_BY_A_PERSON)

# What dashboards and the exporter ask for (`ptx_node.db.views`, `ptx_node.db.events`): the newest rows of each kind, and what is open now.
Index("ix_instances_source_received_at", Instance.source, Instance.received_at)
Index("ix_report_messages_sender_received_at", ReportMessage.sender, ReportMessage.received_at)
Index("ix_jobs_queued_at", Job.queued_at)
Index("ix_jobs_inferred_at", Job.inferred_at)
Index("ix_jobs_accepted_at", Job.accepted_at)
Index("ix_jobs_committed_at", Job.committed_at)
Index("ix_findings_inferred_at", FindingRow.inferred_at)
Index("ix_deliveries_queued_at", Delivery.queued_at)
_OPEN = text("state IN ('waiting', 'sending')")
Index("ix_deliveries_open", Delivery.destination, Delivery.queued_at, sqlite_where=_OPEN, postgresql_where=_OPEN)
_NOT_ELIGIBLE = text("NOT eligible")
Index("ix_job_inputs_not_eligible", JobInput.job_id, sqlite_where=_NOT_ELIGIBLE, postgresql_where=_NOT_ELIGIBLE)
_COLLECTING = text("closed_at IS NULL")
Index("ix_collections_open", Collection.first_instance_at, sqlite_where=_COLLECTING, postgresql_where=_COLLECTING)
_PARKED = text("parked IS NOT NULL")
Index("ix_radiology_reports_parked", RadiologyReport.created_at, sqlite_where=_PARKED, postgresql_where=_PARKED)
_STANDING = text("superseded_at IS NULL")
Index("ix_unmatched_standing", UnmatchedRow.reconciled_at, sqlite_where=_STANDING, postgresql_where=_STANDING)
