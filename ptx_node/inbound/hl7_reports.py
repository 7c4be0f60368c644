"""ORU^R01 to report versions, and the patient messages to merges: what a message says, by the sender's field mapping."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import Examination, ReportFlag, ReportStatus, ReportVersion, storable
from ptx_node.errors import PermanentError
from ptx_node.inbound.attached_text import document_text
from ptx_node.inbound.hl7_fields import OBSERVATION_CODE, examined, first_value, identities
from ptx_node.pipeline.report_intake import Merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ptx_node.domain.radiology_report import PatientIdentity
    from ptx_node.inbound.hl7_message import Message, Segment
    from ptx_node.settings import Hl7Sender

TEXT_TYPES = frozenset({"TX", "FT", "ST"})
STATUSES: Mapping[str, ReportStatus] = {
    **dict.fromkeys(("P", "R", "A", "I", "O", "S"), ReportStatus.PRELIMINARY),
    "F": ReportStatus.FINAL,
    "C": ReportStatus.CORRECTED,
    **dict.fromkeys(("X", "D", "W"), ReportStatus.WITHDRAWN),
}
"""Tables 0123 (OBR-25) and 0085 (OBX-11). "A" (some results available) is what some systems send for an addendum: a sender's setting."""
RETRACTED = frozenset({"D", "W", "X"})
HEADINGS: Mapping[str, str] = {"IMP": "IMPRESSION:", "ADT": "ADDENDUM:", "REC": "RECOMMENDATION:"}
"""Suffixes of OBX-3 for the parts of a report (chapter 7, table 0396 note); the description (GDT) needs no heading."""
DATA_COMPONENT = 5
MERGES = frozenset({"A40", "A34", "A18"})
LINK, UNLINK = "A24", "A37"
_TWO = 2


class ContentError(PermanentError):
    """A message says too little or the wrong thing. `code` is of table 0357, `where` a place such as `PID^1^3`."""

    def __init__(self, code: int, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.code = code
        self.where = where
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Group:
    """One report of a message: its PID, and from its ORC and OBR to the next."""

    number: int
    patient: Segment | None
    segments: tuple[Segment, ...]


@dataclass(slots=True)
class _Text:
    """The text of one report while it is put together."""

    lines: list[str] = field(default_factory=list)
    flags: set[ReportFlag] = field(default_factory=set)
    part: str = ""
    observations: int = 0

    def add(self, part: str, text: str) -> None:
        if part != self.part and part in HEADINGS and not text.upper().lstrip().startswith(HEADINGS[part][:-1]):
            self.lines += ["", HEADINGS[part]] if self.lines else [HEADINGS[part]]
        self.part = part
        self.lines.append(text)

    def whole(self) -> str:
        return storable("\n".join(self.lines)).strip("\n")


def reports(message: Message, sender: Hl7Sender, site_zone: ZoneInfo) -> list[ReportVersion]:
    """The reports of an ORU^R01.

    Groups of the message without any observation, as some systems send for further procedures of one report, are left out.

    Raises:
        ContentError: there is no OBR, a report has no identity, no patient or no text, or an encoded document is broken.
    """
    groups = list(_groups(message))
    if not groups:
        raise ContentError(100, "OBR^1", "there is no OBR segment, so there is no report")
    found: dict[str, ReportVersion] = {}
    for group in groups:
        version = _version(message, group, sender, site_zone)
        if version is not None:
            earlier = found.get(version.external_id)
            found[version.external_id] = _together(earlier, version) if earlier else version
    if not found:
        raise ContentError(101, "OBX^1^5", "no OBX segment holds text (TX, FT, ST) or a document (ED)")
    return list(found.values())


def _together(first: ReportVersion, second: ReportVersion) -> ReportVersion:
    """One report that a message tells under several OBR is one text."""
    texts = [text for text in (first.text, second.text) if text]
    return replace(first, text="\n\n".join(dict.fromkeys(texts)), flags=first.flags | second.flags)


def merges(message: Message, event: str, sender: Hl7Sender) -> list[Merge]:
    """The merges of an ADT^A40 (A34, A18), the link of an A24, or the parting of an A37.

    Raises:
        ContentError: a patient of the pair is missing.
    """
    people = [segment for segment in message.segments if segment.name in ("PID", "MRG")]
    if event in MERGES:
        pairs = [(people[n - 1], one) for n, one in enumerate(people) if n and one.name == "MRG" and people[n - 1].name == "PID"]
    else:
        patients = [one for one in people if one.name == "PID"]
        pairs = [(patients[0], patients[1])] if len(patients) >= _TWO else []
    if not pairs:
        raise ContentError(100, "MRG^1" if event in MERGES else "PID^2", "the message does not name two patients")
    found = []
    for pid, other in pairs:
        surviving = _patients(message, pid, sender)
        prior = identities(message, other, 1, authority=sender.authority) if other.name == "MRG" else _patients(message, other, sender)
        if not surviving or not prior:
            raise ContentError(101, "PID^1^3" if not surviving else f"{other.name}^1^1", "there is no patient number")
        found += [Merge(one, _counterpart(one, surviving), undo=event == UNLINK) for one in prior]
    return found


def _counterpart(prior: PatientIdentity, surviving: Sequence[PatientIdentity]) -> PatientIdentity:
    """The number that takes the place of another: of the same kind where there is one."""
    alike = [one for one in surviving if (one.authority, one.type) == (prior.authority, prior.type)]
    return (alike or [one for one in surviving if one.authority == prior.authority] or list(surviving))[0]


def _groups(message: Message) -> Iterator[Group]:
    patient: Segment | None = None
    order: list[Segment] = []
    number = 0
    for segment in message.segments[1:]:
        starts_order = segment.name == "ORC" or (segment.name == "OBR" and any(one.name == "OBR" for one in order))
        if (segment.name == "PID" or starts_order) and any(one.name == "OBR" for one in order):
            number += 1
            yield Group(number, patient, tuple(order))
            order = []
        if segment.name == "PID":
            patient, order = segment, []
        else:
            order.append(segment)
    if any(one.name == "OBR" for one in order):
        yield Group(number + 1, patient, tuple(order))


def _patients(message: Message, pid: Segment | None, sender: Hl7Sender) -> tuple[PatientIdentity, ...]:
    """PID-3, else the older PID-2."""
    return identities(message, pid, 3, authority=sender.authority) or identities(message, pid, 2, authority=sender.authority)


def _version(message: Message, group: Group, sender: Hl7Sender, site_zone: ZoneInfo) -> ReportVersion | None:
    fields, segments = sender.fields, group.segments
    zone = ZoneInfo(sender.time_zone) if sender.time_zone else site_zone
    read = _read_text(message, group)
    status, known = _status(message, segments, sender)
    if not read.observations and status is not ReportStatus.WITHDRAWN:
        return None
    external_id = first_value(message, segments, fields.report)
    if not external_id:
        raise ContentError(101, f"OBR^{group.number}^3", "the report has no number to know it by (fields.report)")
    patients = _patients(message, group.patient, sender)
    if not patients:
        raise ContentError(101, "PID^1^3", "there is no patient number")
    when, time_flags = _examined(first_value(message, segments, fields.examined_at), zone, site_zone)
    flags = read.flags | time_flags
    flags |= {ReportFlag.CHARSET_DOUBTFUL} if message.doubtful else set()
    flags |= set() if known else {ReportFlag.STATUS_UNKNOWN}
    return ReportVersion(
        source=sender.name,
        external_id=external_id,
        status=status,
        patients=patients,
        examination=_examination(message, segments, sender),
        examined=when,
        issued_at=_aware(first_value(message, segments, fields.issued_at), zone),
        text="" if status is ReportStatus.WITHDRAWN else read.whole(),
        flags=frozenset(flags),
    )


def _examination(message: Message, segments: Sequence[Segment], sender: Hl7Sender) -> Examination:
    fields = sender.fields
    return Examination(
        accession_number=first_value(message, segments, fields.accession),
        study_instance_uid=first_value(message, segments, fields.study_uid),
        modality=first_value(message, segments, fields.modality),
        procedure_code=first_value(message, segments, fields.procedure),
        procedure_text=first_value(message, segments, fields.procedure_text),
    )


def _examined(value: str, zone: ZoneInfo, site_zone: ZoneInfo) -> tuple[Examined, set[ReportFlag]]:
    if not value:
        return Examined(), set()
    when = examined(value, zone, site_zone)
    if when is None:
        return Examined(), {ReportFlag.TIME_UNREADABLE}
    return when, {ReportFlag.TIME_AMBIGUOUS} if when.ambiguous else set()


def _aware(value: str, zone: ZoneInfo) -> datetime | None:
    when = examined(value, zone, zone)
    return when.at if when else None


def _status(message: Message, segments: Sequence[Segment], sender: Hl7Sender) -> tuple[ReportStatus, bool]:
    """The report's status, and whether it is one that is known. Where OBR has none, that of the observations that tell text."""
    value = first_value(message, segments, sender.fields.status).upper()
    if not value:
        told = {message.value(one, 11).upper() for one in segments if one.name == "OBX" and message.value(one, 2) in {*TEXT_TYPES, "ED"}}
        value = told.pop() if len(told) == 1 else ""
    if value in sender.statuses:
        return ReportStatus(sender.statuses[value]), True
    return STATUSES.get(value, ReportStatus.PRELIMINARY), value in STATUSES


def _read_text(message: Message, group: Group) -> _Text:
    read, documents = _Text(), set[ReportFlag]()
    names_study = {"113014", "121181"}
    for segment in group.segments:
        if segment.name != "OBX" or message.value(segment, 11).upper() in RETRACTED:
            continue
        kind = message.value(segment, 2).upper()
        if message.value(segment, OBSERVATION_CODE) in names_study or kind not in {*TEXT_TYPES, "ED"}:
            continue
        read.observations += 1
        part = message.value(segment, OBSERVATION_CODE, 1, 2) or message.value(segment, OBSERVATION_CODE, 2, 2)
        if kind == "ED":
            text, flag = _document(message, segment, group.number)
            if flag is not None:
                (read.flags if text else documents).add(flag)
        else:
            # delimiters that the sender did not escape belong to the text, since TX, FT and ST have no components
            text = "\n".join(message.text(one) for one in message.repetitions(segment, 5))
        if text or kind != "ED":
            read.add(part.upper(), text)
    if not read.whole().strip():
        read.flags |= documents
    return read


def _document(message: Message, segment: Segment, number: int) -> tuple[str, ReportFlag | None]:
    """An encapsulated document (ED): its text where it is text or HTML, else what it is.

    Raises:
        ContentError: its encoding is broken or unknown: then nobody knows what it says.
    """
    components = message.components(segment.raw(5))
    kind, subtype, encoding = (message.part(segment.raw(5), n).upper() for n in (2, 3, 4))
    raw = message.text(message.delimiters.component.join(components[DATA_COMPONENT - 1 :]))
    where = f"OBX^{number}^5"
    if encoding == "BASE64":
        try:
            data = base64.b64decode("".join(raw.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ContentError(102, where, "the document is not valid base64") from None
    elif encoding == "HEX":
        try:
            data = bytes.fromhex(raw)
        except ValueError:
            raise ContentError(102, where, "the document is not valid hexadecimal") from None
    elif encoding in ("", "A"):
        data = raw.encode()
    else:
        raise ContentError(102, where, "the document is encoded neither in Base64 nor Hex nor as A")
    return document_text(data, f"{kind}/{subtype}".lower(), charset=message.codec)
