"""Questions to an archive and its answers, the same for C-FIND and QIDO-RS: attributes by keyword, as text, before anything is believed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from ptx_node.domain.retrieval import FoundSeries, FoundStudy
from ptx_node.errors import DestinationRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ptx_node.domain.retrieval import StudyQuery

STUDY_KEYS = (
    "StudyDate",
    "AccessionNumber",
    "ModalitiesInStudy",
    "PatientID",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "NumberOfStudyRelatedInstances",
)
"""No patient's name is asked for: what is not known cannot be told on."""
SERIES_KEYS = ("Modality", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances")

Attributes = dict[str, tuple[str, ...]]
"""Keyword -> values; absent and empty ones are left out."""


def questions(query: StudyQuery) -> list[dict[str, str]]:
    """Matching keys by keyword; one question a modality, since many archives match a single one only.

    The issuer is asked for, but not matched by: archives that do not know it would answer nothing.
    """
    keys = {
        "PatientID": query.patient_id,
        "AccessionNumber": query.accession_number,
        "StudyInstanceUID": query.study_instance_uid,
        "StudyDate": _range(query.since, query.until),
    }
    asked = {keyword: value for keyword, value in keys.items() if value}
    return [asked | {"ModalitiesInStudy": modality} for modality in query.modalities] or [asked]


def _range(since: date | None, until: date | None) -> str:
    """Range matching (PS3.4 C.2.2.2.5): either end may be open."""
    if since is None and until is None:
        return ""
    if since == until:
        return f"{since:%Y%m%d}"
    return f"{since:%Y%m%d}-{until:%Y%m%d}" if since and until else f"{since:%Y%m%d}-" if since else f"-{until:%Y%m%d}"


def studies_of(answers: Iterable[Attributes], archive: str) -> list[FoundStudy]:
    """Answers on the level of studies.

    Raises:
        DestinationRefusedError: an answer names no study.
    """
    found = []
    for answer in answers:
        uid = _one(answer, "StudyInstanceUID")
        if not uid:
            raise DestinationRefusedError(f"{archive} answered a query without a Study Instance UID")
        found.append(
            FoundStudy(
                uid,
                _one(answer, "PatientID"),
                _one(answer, "IssuerOfPatientID"),
                _one(answer, "AccessionNumber"),
                _date(_one(answer, "StudyDate")),
                answer.get("ModalitiesInStudy"),
                _count(answer, "NumberOfStudyRelatedInstances"),
            )
        )
    return found


def series_of(answers: Iterable[Attributes], archive: str, study_instance_uid: str) -> list[FoundSeries]:
    """Answers on the level of series, each once; those of another study, which were not asked for, are left out.

    Raises:
        DestinationRefusedError: an answer names no series.
    """
    found: dict[str, FoundSeries] = {}
    for answer in answers:
        uid = _one(answer, "SeriesInstanceUID")
        if not uid:
            raise DestinationRefusedError(f"{archive} answered a query without a Series Instance UID")
        if _one(answer, "StudyInstanceUID") in ("", study_instance_uid):
            found.setdefault(uid, FoundSeries(uid, _one(answer, "Modality"), _count(answer, "NumberOfSeriesRelatedInstances")))
    return list(found.values())


def as_attributes(values: Mapping[str, Sequence[object]]) -> Attributes:
    """Values as text, without padding and without empty ones."""
    texts = {keyword: tuple(text for value in several if (text := str(value).strip("\0 "))) for keyword, several in values.items()}
    return {keyword: several for keyword, several in texts.items() if several}


def _one(answer: Attributes, keyword: str) -> str:
    return answer.get(keyword, ("",))[0]


def _count(answer: Attributes, keyword: str) -> int | None:
    """A count that was answered; 0 and what is no number mean that the archive does not count."""
    text = _one(answer, keyword)
    return int(text) if text.isdecimal() and int(text) > 0 else None


def _date(text: str) -> date | None:
    """A DICOM date (PS3.5 6.2), also in the form of old systems (2026.03.01); None for anything else."""
    digits = text.replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == 8 and digits.isdecimal() else None  # noqa: PLR2004
    except ValueError:
        return None
