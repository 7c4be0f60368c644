"""Readers' labels from a table, CSV or Parquet: one row is what one reader says of one image, series, study or accession number."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ptx_node.domain.finding import Laterality
from ptx_node.domain.radiology_report import PatientIdentity
from ptx_node.domain.reading import Level, Reading, Subject, TruthKind
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import UsageError
from ptx_node.inbound.tables import Column, RowError, TableMap, cell, header, moment, required
from ptx_node.settings import Group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from ptx_node.domain.radiology_report import Authorities
    from ptx_node.inbound.tables import Row

LABELS = {"1": LabelValue.POSITIVE, "0": LabelValue.NEGATIVE, "true": LabelValue.POSITIVE, "false": LabelValue.NEGATIVE}
SIDES = {"l": Laterality.LEFT, "r": Laterality.RIGHT, "b": Laterality.BILATERAL, "both": Laterality.BILATERAL}
DESCRIBED = (LabelValue.POSITIVE, LabelValue.UNCERTAIN)
LONGEST_NAME = 200
"""Characters of a UID, an accession number, a reader's name or the words for a size."""


class TruthColumns(Group):
    """Which columns hold what. One of the first four names what was read; an accession number goes with a patient's number."""

    sop_instance_uid: Column | None = None
    series_instance_uid: Column | None = None
    study_instance_uid: Column | None = None
    accession: Column | None = None
    patient_id: Column | None = None
    patient_authority: Column | None = None
    reader: Column | None = None
    label: Column
    side: Column | None = None
    size: Column | None = None
    confidence: Column | None = None
    date: Column | None = None


class TruthMap(TableMap):
    """What `--map` holds for readers' labels."""

    columns: TruthColumns
    labels: dict[str, LabelValue] = Field(default_factory=dict)
    sides: dict[str, Laterality] = Field(default_factory=dict)


def map_by_names(path: Path) -> TruthMap:
    """The mapping of a table whose columns have the names of `TruthColumns`; others are passed over.

    Raises:
        UsageError: there is no column `label`.
    """
    plain = TruthMap(columns=TruthColumns(label="label"))
    found = {name.casefold(): name for name in header(path, plain)}
    if "label" not in found:
        raise UsageError(
            f"there is no column 'label'; there are {', '.join(map(repr, found.values()))[:300]}. "
            "Name the columns as docs/truth.md has them, or give --map columns.toml"
        )
    return TruthMap(columns=TruthColumns(**{name: found[name] for name in TruthColumns.model_fields if name in found}))


def reading_of(row: Row, mapping: TruthMap, *, reader: str, authorities: Authorities, site_zone: ZoneInfo) -> Reading:
    """The reading that a row is.

    Args:
        row: of the table.
        mapping: of its columns.
        reader: who read, where no column says it.
        authorities: the site's names of those who give out patient numbers.
        site_zone: for times without a zone of their own.

    Raises:
        RowError: something that must be there is missing, or cannot be read.
    """
    if row.error is not None:
        raise row.error
    told, columns = row.values, mapping.columns
    label = _label(told, mapping)
    side = _side(told, mapping)
    if side is not None and label not in DESCRIBED:
        raise RowError(columns.side or "", f"a side goes with a positive or uncertain label, not with {label}")
    who = cell(told, columns.reader) or reader
    if not who:
        raise RowError(columns.reader or "", "it is not said who read: give a column reader, or --reader NAME")
    return Reading(
        TruthKind.READER,
        _short(who, columns.reader),
        _subject(told, mapping, authorities),
        label,
        laterality=side,
        size=_short(" ".join(cell(told, columns.size).casefold().split()), columns.size),
        confidence=_confidence(told, columns.confidence),
        read_at=_read_at(told, mapping, site_zone),
    )


def _subject(told: Mapping[str, Any], mapping: TruthMap, authorities: Authorities) -> Subject:
    columns = mapping.columns
    for level, column in (
        (Level.IMAGE, columns.sop_instance_uid),
        (Level.SERIES, columns.series_instance_uid),
        (Level.STUDY, columns.study_instance_uid),
    ):
        if name := cell(told, column):
            return Subject(level, _short(name, column))
    name = cell(told, columns.accession)
    if columns.accession is None or not name:
        raise RowError("", "it does not say what was read: a SOP, Series or Study Instance UID, or an accession number")
    if columns.patient_id is None:
        raise RowError(columns.accession, "an accession number goes with a patient's number: give the column patient_id")
    number = required(told, columns.patient_id)
    given = cell(told, columns.patient_authority) or mapping.authority
    own = authorities.own(PatientIdentity(given, "", number))
    return Subject(Level.ACCESSION, _short(name, columns.accession), own.value, own.authority if given else "")


def _label(told: Mapping[str, Any], mapping: TruthMap) -> LabelValue:
    value = required(told, mapping.columns.label)
    if value in mapping.labels:
        return mapping.labels[value]
    folded = value.casefold().replace(" ", "_")
    if folded in LABELS:
        return LABELS[folded]
    try:
        return LabelValue(folded)
    except ValueError:
        allowed = f"1, 0, {', '.join(LabelValue)}"
        raise RowError(mapping.columns.label, f"{value[:40]!r} is none of {allowed}, nor among [labels] of the mapping") from None


def _side(told: Mapping[str, Any], mapping: TruthMap) -> Laterality | None:
    column = mapping.columns.side
    value = cell(told, column)
    if column is None or not value:
        return None
    if value in mapping.sides:
        return mapping.sides[value]
    folded = value.casefold()
    if folded in SIDES:
        return SIDES[folded]
    try:
        return Laterality(folded)
    except ValueError:
        raise RowError(column, f"{value[:40]!r} is none of {', '.join(Laterality)}, nor among [sides] of the mapping") from None


def _confidence(told: Mapping[str, Any], column: str | None) -> float | None:
    value = cell(told, column)
    if column is None or not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise RowError(column, f"{value[:40]!r} is no confidence: it is a number from 0 to 1")
    return number


def _read_at(told: Mapping[str, Any], mapping: TruthMap, site_zone: ZoneInfo) -> datetime | None:
    """The moment; of a day alone its beginning at the site."""
    when = moment(told, mapping.columns.date, mapping, site_zone)
    if when.at is not None or when.on is None:
        return when.at
    return datetime.combine(when.on, time(), site_zone).astimezone(UTC)


def _short(text: str, column: str | None) -> str:
    if len(text) > LONGEST_NAME:
        raise RowError(column or "", f"has {len(text)} characters; at most {LONGEST_NAME} are taken")
    return text
