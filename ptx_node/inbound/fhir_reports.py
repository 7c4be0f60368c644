"""DiagnosticReport of FHIR R4 and R5 to report versions: a resource alone, or in a Bundle beside what it refers to.

Only what is used is checked, by hand: status, subject, text. What is wrong is said with the place in FHIRPath.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ptx_node.domain.examination import Examined
from ptx_node.domain.radiology_report import Examination, PatientIdentity, ReportFlag, ReportStatus, ReportVersion, storable
from ptx_node.errors import PermanentError
from ptx_node.inbound.attached_text import document_text, text_of_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

STATUSES: Mapping[str, ReportStatus] = {
    **dict.fromkeys(("registered", "partial", "preliminary"), ReportStatus.PRELIMINARY),
    "final": ReportStatus.FINAL,
    **dict.fromkeys(("amended", "corrected", "modified"), ReportStatus.CORRECTED),
    "appended": ReportStatus.CORRECTED,
    **dict.fromkeys(("cancelled", "entered-in-error"), ReportStatus.WITHDRAWN),
}
"""`appended` sends the whole again with its addendum, so it stands for the whole. `unknown` is preliminary, and flagged."""
UNKNOWN = "unknown"
DICOM_UID = "urn:dicom:uid"
OID = "urn:oid:"
ACCESSION = "ACSN"

Resource = dict[str, Any]


class FhirError(PermanentError):
    """A resource cannot be a report. `code` is of FHIR's issue types, `where` an expression such as `DiagnosticReport.status`."""

    def __init__(self, code: str, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.code = code
        self.where = where
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Found:
    """One DiagnosticReport of a file or request: its place, and the version or what is wrong with it."""

    where: str
    version: ReportVersion | None = None
    error: FhirError | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What the resource does not say: the source's name, and the site's zone for a time without an offset."""

    source: str
    zone: ZoneInfo


def reports(content: object, site: Site) -> list[Found]:
    """Every DiagnosticReport of a resource or a Bundle, in order, each by itself.

    Raises:
        FhirError: it is neither a DiagnosticReport nor a Bundle.
    """
    if not isinstance(content, dict) or content.get("resourceType") not in ("DiagnosticReport", "Bundle"):
        raise FhirError("structure", "resourceType", "only DiagnosticReport and Bundle are taken")
    if content["resourceType"] == "DiagnosticReport":
        return [_found(content, "DiagnosticReport", {}, site)]
    entries = [entry for entry in _list(content, "entry") if isinstance(entry, dict)]
    beside: dict[str, Resource] = {}
    for entry in entries:
        resource = entry.get("resource")
        if isinstance(resource, dict):
            names = (entry.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}")
            beside |= {name: resource for name in names if isinstance(name, str)}
    return [
        _found(entry["resource"], f"Bundle.entry[{number}].resource", beside, site)
        for number, entry in enumerate(entries)
        if isinstance(entry.get("resource"), dict) and entry["resource"].get("resourceType") == "DiagnosticReport"
    ]


def _found(resource: Resource, where: str, beside: Mapping[str, Resource], site: Site) -> Found:
    try:
        return Found(where, version=_Report(resource, where, beside, site).version())
    except FhirError as error:
        return Found(where, error=error)


class _Report:
    """One DiagnosticReport with what it refers to."""

    def __init__(self, resource: Resource, where: str, beside: Mapping[str, Resource], site: Site) -> None:
        self._resource = resource
        self._where = where
        self._site = site
        self._beside = dict(beside)
        for one in _dicts(resource, "contained"):
            self._beside[f"#{one.get('id')}"] = one

    def version(self) -> ReportVersion:
        """The version that the resource is.

        Raises:
            FhirError: status, subject, identity or text are missing or wrong.
        """
        said = _string(self._resource, "status")
        if said not in STATUSES and said != UNKNOWN:
            raise FhirError("value" if said else "required", f"{self._where}.status", f"{said!r} is no status of a DiagnosticReport")
        status = STATUSES.get(said, ReportStatus.PRELIMINARY)
        flags = {ReportFlag.STATUS_UNKNOWN} if said == UNKNOWN else set()
        text, documents = self._text()
        if status is ReportStatus.WITHDRAWN:
            text, documents = "", set()
        elif not text and not documents:
            raise FhirError("required", f"{self._where}.presentedForm", "there is no text: presentedForm, text, conclusion or result")
        when = self._examined()
        return ReportVersion(
            source=self._site.source,
            external_id=self._external_id(),
            status=status,
            patients=self._patients(),
            examination=self._examination(),
            examined=when,
            issued_at=self._time("issued").at,
            text=text,
            flags=frozenset(flags | documents | ({ReportFlag.TIME_AMBIGUOUS} if when.ambiguous else set())),
        )

    def _external_id(self) -> str:
        for identifier in _dicts(self._resource, "identifier"):
            if (value := _string(identifier, "value")) and ACCESSION not in _codes(identifier.get("type")):
                return f"{_string(identifier, 'system')}|{value}".strip("|")
        if identity := _string(self._resource, "id"):
            return f"DiagnosticReport/{identity}"
        raise FhirError("required", f"{self._where}.identifier", "the report has neither an identifier nor an id")

    def _patients(self) -> tuple[PatientIdentity, ...]:
        subject = self._resource.get("subject")
        subject = subject if isinstance(subject, dict) else {}
        patient = self._target(subject)
        identifiers = [*_dicts(patient, "identifier"), *([subject["identifier"]] if isinstance(subject.get("identifier"), dict) else [])]
        found = [
            PatientIdentity(_string(one, "system"), next(iter(_codes(one.get("type"))), ""), _string(one, "value"))
            for one in identifiers
            if _string(one, "value") and _string(one, "use") != "old"
        ]
        if not found:
            raise FhirError(
                "required", f"{self._where}.subject", "the patient's identifiers are neither in the reference nor in the bundle"
            )
        return tuple(found)

    def _target(self, reference: object) -> Resource:
        """What a reference points to, if it came along."""
        name = _string(reference, "reference") if isinstance(reference, dict) else ""
        found = self._beside.get(name)
        if found is None and name:
            found = self._beside.get("/".join(name.split("/")[-2:]))
        return found or {}

    def _examination(self) -> Examination:
        studies = [self._target(one) for name in ("imagingStudy", "study") for one in _dicts(self._resource, name)]
        direct = [one["identifier"] for name in ("imagingStudy", "study") for one in _dicts(self._resource, name) if "identifier" in one]
        identifiers = [one for study in studies for one in _dicts(study, "identifier")] + [one for one in direct if isinstance(one, dict)]
        code = self._resource.get("code")
        coding = next(iter(_dicts(code, "coding")), {}) if isinstance(code, dict) else {}
        text = (_string(code, "text") if isinstance(code, dict) else "") or _string(coding, "display")
        return Examination(
            accession_number=self._accession(identifiers),
            study_instance_uid=next((_uid(one) for one in identifiers if _string(one, "system") == DICOM_UID), ""),
            modality=self._modality(studies),
            procedure_code=_string(coding, "code"),
            procedure_text=text,
        )

    def _accession(self, study_identifiers: list[Resource]) -> str:
        orders = [one for based in _dicts(self._resource, "basedOn") for one in self._order_identifiers(based)]
        for one in [*_dicts(self._resource, "identifier"), *study_identifiers, *orders]:
            if ACCESSION in _codes(one.get("type")):
                return _string(one, "value")
        return ""

    def _order_identifiers(self, reference: Resource) -> list[Resource]:
        direct = reference.get("identifier")
        return [*_dicts(self._target(reference), "identifier"), *([direct] if isinstance(direct, dict) else [])]

    def _modality(self, studies: list[Resource]) -> str:
        """Of the study (a Coding in R4, a CodeableConcept in R5), else the report's category."""
        for study in studies:
            for one in (*_dicts(study, "modality"), *_dicts(study, "series")):
                of = one.get("modality", one)
                for coding in [*_dicts(of, "coding"), *([of] if isinstance(of, dict) else [])]:
                    if value := _string(coding, "code"):
                        return value
        categories = [code for one in _dicts(self._resource, "category") for code in _codes(one)]
        return next((code for code in categories if code not in ("RAD", "imaging", "LP29684-5")), categories[0] if categories else "")

    def _examined(self) -> Examined:
        if "effectiveDateTime" in self._resource:
            return self._time("effectiveDateTime")
        period = self._resource.get("effectivePeriod")
        if isinstance(period, dict) and period.get("start") is not None:
            return self._moment(_string(period, "start"), "effectivePeriod.start")
        return Examined()

    def _time(self, name: str) -> Examined:
        value = _string(self._resource, name)
        return self._moment(value, name) if value else Examined()

    def _moment(self, value: str, name: str) -> Examined:
        """A dateTime; years and months alone say nothing of a day."""
        if len(value) < len("2026-03-01"):
            return Examined()
        try:
            if len(value) == len("2026-03-01"):
                return Examined(None, date.fromisoformat(value))
            return Examined.local(datetime.fromisoformat(value), self._site.zone)
        except (ValueError, OverflowError):
            raise FhirError("value", f"{self._where}.{name}", "is no dateTime") from None

    def _text(self) -> tuple[str, set[ReportFlag]]:
        """Attached text; else the narrative, else what the results say; with the conclusion, where that does not say it already."""
        texts, flags = self._attached()
        narrative = self._resource.get("text")
        if not texts and isinstance(narrative, dict) and _string(narrative, "div"):
            texts = [text_of_html(_string(narrative, "div"))]
        if not texts:
            results = (self._target(one) for one in _dicts(self._resource, "result"))
            texts = [value for one in results if (value := _string(one, "valueString"))]
        conclusion = _string(self._resource, "conclusion").strip()
        if conclusion and " ".join(conclusion.split()) not in " ".join(" ".join(texts).split()):
            texts.append(f"IMPRESSION:\n{conclusion}" if texts else conclusion)
        text = storable("\n\n".join(text for text in texts if text.strip())).strip("\n")
        return text, {flag for flag in flags if not text or flag is ReportFlag.CHARSET_DOUBTFUL}

    def _attached(self) -> tuple[list[str], set[ReportFlag]]:
        texts, flags = list[str](), set[ReportFlag]()
        for number, form in enumerate(_dicts(self._resource, "presentedForm")):
            media_type, _, parameters = _string(form, "contentType").lower().partition(";")
            charset = parameters.partition("charset=")[2].strip(' "')
            if not (encoded := _string(form, "data")):
                flags.add(ReportFlag.PDF_WITHOUT_TEXT if "pdf" in media_type else ReportFlag.DOCUMENT_WITHOUT_TEXT)
                continue
            try:
                data = base64.b64decode("".join(encoded.split()), validate=True)
            except (binascii.Error, ValueError):
                raise FhirError("value", f"{self._where}.presentedForm[{number}].data", "is not valid base64") from None
            text, flag = document_text(data, media_type.strip(), charset=charset or "utf-8")
            texts += [text] if text and text not in texts else []
            flags |= {flag} if flag else set()
        return texts, flags


def _string(of: object, name: str) -> str:
    value = of.get(name) if isinstance(of, dict) else None
    return storable(value).strip() if isinstance(value, str) else ""


def _list(of: object, name: str) -> list[Any]:
    value = of.get(name) if isinstance(of, dict) else None
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _dicts(of: object, name: str) -> Iterator[Resource]:
    return (one for one in _list(of, name) if isinstance(one, dict))


def _codes(concept: object) -> list[str]:
    return [code for one in _dicts(concept, "coding") if (code := _string(one, "code"))]


def _uid(identifier: Resource) -> str:
    return _string(identifier, "value").removeprefix(OID)
