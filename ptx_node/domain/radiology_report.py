"""The radiologist's report as the node keeps it: versions of a chain, and which of them counts. No file, no network.

A chain is one report of one source (`source`, `external_id`). Its versions are only ever added; `effective` says what
the chain means now, whatever the order they came in.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    from ptx_node.domain.examination import Examined

ADDENDUM_HEADING = "ADDENDUM:"
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class ReportVia(StrEnum):
    """How a report came."""

    HL7 = "hl7"
    FHIR = "fhir"
    DICOM_SR = "dicom_sr"
    TABLE = "table"


class ReportStatus(StrEnum):
    """What a version is to its chain."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    ADDENDUM = "addendum"
    WITHDRAWN = "withdrawn"


class ReportFlag(StrEnum):
    """What a person should know of a version before believing it: the closed list."""

    CHARSET_DOUBTFUL = "charset_doubtful"
    """The text did not fit the character set it named, or named none and was read as windows-1252."""
    PDF_WITHOUT_TEXT = "pdf_without_text"
    """There is a PDF and no text: stored, and never labelled, least of all as negative."""
    DOCUMENT_WITHOUT_TEXT = "document_without_text"
    """As with the PDF, for another kind of document that is not read."""
    TIME_AMBIGUOUS = "time_ambiguous"
    """The local time of the examination is in the hour that summer time repeats or leaves out."""
    TIME_UNREADABLE = "time_unreadable"
    """A time of the examination was given that cannot be read."""
    END_MISSING = "end_missing"
    """The message ended with a whole segment but without its end block: more may have been meant to come."""
    STATUS_UNKNOWN = "status_unknown"
    """The sender's status is none that is known, and was taken as preliminary."""


class ReportParked(StrEnum):
    """Why it is not known whose a report is: the closed list. It stays, and is looked at again when something changes."""

    UNKNOWN_PATIENT = "unknown_patient"
    """No image of any of its numbers is here yet."""
    AMBIGUOUS_PATIENT = "ambiguous_patient"
    """Its numbers are those of several people of whom images are here."""
    NO_PATIENT = "no_patient"
    """It names no number of a patient."""


@dataclass(frozen=True, slots=True, order=True)
class PatientIdentity:
    """One number of a patient: who gave it out, of which kind (HL7 table 0203, empty where unsaid), and the number.

    `value` without `authority` is a number whose giver is not named; the site's default stands for it on the way in.
    """

    authority: str
    type: str
    value: str


PATIENT_NUMBER_TYPES = frozenset({"", "MR", "PI", "PT", "PE", "IPP"})
"""Types of HL7 table 0203 that mean "the number of the patient here", which is what a DICOM Patient ID is, without a type."""


def same_kind(one: str, other: str) -> bool:
    """Whether two types may name the same number: a visit or account number is never a Patient ID."""
    return one == other or ({one, other} <= PATIENT_NUMBER_TYPES and "" in (one, other))


@dataclass(frozen=True, slots=True)
class Authorities:
    """The site's own names of those who give out patient numbers.

    Attributes:
        default: who gave out a number that comes without its authority, as most DICOM Patient IDs do.
        aliases: other systems' names, folded to lower case -> the site's name.
    """

    default: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)

    def own(self, identity: PatientIdentity) -> PatientIdentity:
        """An identity as every source would have written it."""
        name = identity.authority.strip().casefold().removeprefix("urn:oid:") or self.default.strip().casefold()
        name = self.aliases.get(name, name).strip().casefold()
        return PatientIdentity(storable(name), storable(identity.type.strip().upper()), storable(identity.value.strip()))


@dataclass(frozen=True, slots=True)
class Examination:
    """What was reported on; empty where the source does not say.

    `modality` and `procedure_code` are the sender's own words.
    """

    accession_number: str = ""
    study_instance_uid: str = ""
    modality: str = ""
    procedure_code: str = ""
    procedure_text: str = ""


@dataclass(frozen=True, slots=True)
class ReportVersion:
    """One version of a report as one source sent it.

    Attributes:
        source: the site's name for the sender.
        external_id: what the source knows the report by; with `source`, the chain.
        patients: every identity given, in the order given.
        examined: when the examination was, not when the message was.
        issued_at: when the source says that this version was made; orders versions. None where unsaid.
        text: as sent, lines ended by LF; empty where there is none to read.
    """

    source: str
    external_id: str
    status: ReportStatus
    patients: tuple[PatientIdentity, ...]
    examination: Examination
    examined: Examined
    issued_at: datetime | None
    text: str
    flags: frozenset[ReportFlag] = frozenset()

    @property
    def content_sha256(self) -> str:
        """Digest of what the version says: the same report sent again has the same, whatever envelope it came in."""
        said = [
            self.status,
            [[one.authority, one.type, one.value] for one in self.patients],
            [getattr(self.examination, name) for name in Examination.__slots__],
            _iso(self.examined.at),
            _iso(self.examined.on),
            _iso(self.issued_at),
            self.text,
        ]
        return hashlib.sha256(json.dumps(said).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Held:
    """A version as a chain holds it; `order` is the order of arrival, `stamped_at` when issued, else when it came."""

    order: int
    status: ReportStatus
    stamped_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What a chain says now.

    Attributes:
        orders: `Held.order` of the versions that make it, the report itself first.
        status: of the last of them.
        text: empty if the report is withdrawn, or if a part of it is a document that is not read.
    """

    orders: tuple[int, ...]
    status: ReportStatus
    text: str


def effective(versions: Sequence[Held]) -> Effective:
    """Which versions of a chain count, and the text that they make together.

    A preliminary report never beats a final, corrected or withdrawn one, however late it comes; among these the newest counts.
    Addenda are appended: those after the report that counts, and those before it where it is no correction and does
    not contain them already. An addendum that repeats the report stands for both.

    Raises:
        ValueError: there is no version.
    """
    if not versions:
        raise ValueError("a chain has at least one version")
    reports = [one for one in versions if one.status is not ReportStatus.ADDENDUM]
    base = max(reports, key=_rank, default=None)
    if base is not None and base.status is ReportStatus.WITHDRAWN:
        return Effective((base.order,), ReportStatus.WITHDRAWN, "")
    addenda = [one for one in versions if one.status is ReportStatus.ADDENDUM and (base is None or _counts(one, base))]
    addenda.sort(key=lambda one: (one.stamped_at, one.order))
    parts: list[Held] = [] if base is None else [base]
    for one in addenda:
        if parts and _contains(one.text, parts[-1].text):
            parts[-1] = one
        elif not any(_contains(part.text, one.text) for part in parts):
            parts.append(one)
    unread = any(not part.text.strip() for part in parts)  # what is not read may say the opposite of what is
    return Effective(tuple(part.order for part in parts), parts[-1].status, "" if unread else joined(part.text for part in parts))


def joined(texts: Iterable[str]) -> str:
    """A report and its addenda as one text; each addendum begins with a heading, so that no earlier section goes on."""
    first, *others = texts
    return "".join([first, *(f"\n\n{'' if _headed(text) else ADDENDUM_HEADING + chr(10)}{text}" for text in others)])


def storable(text: str) -> str:
    """Text that every database takes and any encoding can write: line ends as LF, NUL and lone surrogates replaced."""
    return _NOT_STORABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _rank(one: Held) -> tuple[bool, datetime, int]:
    return one.status is not ReportStatus.PRELIMINARY, one.stamped_at, one.order


def _counts(addendum: Held, base: Held) -> bool:
    """Whether an addendum belongs to the report that counts. A correction is a new whole: what came before is in it."""
    later = (addendum.stamped_at, addendum.order) > (base.stamped_at, base.order)
    return later or base.status is not ReportStatus.CORRECTED


def _contains(whole: str, part: str) -> bool:
    words = " ".join(part.split())
    return bool(words) and words in " ".join(whole.split())


def _headed(text: str) -> bool:
    return text.lstrip().casefold().startswith(("addendum", "additif", "complément"))


def _iso(moment: datetime | date | None) -> str | None:
    return None if moment is None else moment.isoformat()
