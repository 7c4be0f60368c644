"""Reports from a table, CSV or Parquet, by a mapping of columns: one row a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ptx_node.domain.radiology_report import Examination, PatientIdentity, ReportFlag, ReportStatus, ReportVersion
from ptx_node.inbound.tables import Column, Columns, RowError, TableMap, cell, moment, required
from ptx_node.settings import Group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from ptx_node.inbound.tables import Row


class ReportColumns(Group):
    """Which columns hold what. Several columns of `text` are joined, each with its name as a heading if it has one."""

    report: Column
    patient_id: Column
    text: Columns
    patient_authority: Column | None = None
    patient_type: Column | None = None
    accession: Column | None = None
    study_uid: Column | None = None
    examined_at: Column | None = None
    issued_at: Column | None = None
    modality: Column | None = None
    procedure_code: Column | None = None
    procedure_text: Column | None = None
    status: Column | None = None


class ColumnMap(TableMap):
    """What `--map` holds."""

    source: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    columns: ReportColumns
    modality: str = Field(default="", description="of every row, where no column says it")
    statuses: dict[str, Literal["preliminary", "final", "corrected", "addendum", "withdrawn"]] = Field(default_factory=dict)


def version_of(row: Row, mapping: ColumnMap, site_zone: ZoneInfo) -> ReportVersion:
    """The report version that a row is.

    Raises:
        RowError: something that must be there is missing, or cannot be read.
    """
    if row.error is not None:
        raise row.error
    told, columns = row.values, mapping.columns
    status = _status(told, mapping)
    text = _text(told, columns.text)
    if not text.strip() and status is not ReportStatus.WITHDRAWN:
        raise RowError(columns.text if isinstance(columns.text, str) else columns.text[0], "there is no text")
    patient = PatientIdentity(
        cell(told, columns.patient_authority) or mapping.authority, cell(told, columns.patient_type), required(told, columns.patient_id)
    )
    when = moment(told, columns.examined_at, mapping, site_zone)
    issued = moment(told, columns.issued_at, mapping, site_zone)
    flags = {ReportFlag.CHARSET_DOUBTFUL} if row.doubtful else set()
    return ReportVersion(
        source=mapping.source,
        external_id=required(told, columns.report),
        status=status,
        patients=(patient,),
        examination=Examination(
            accession_number=cell(told, columns.accession),
            study_instance_uid=cell(told, columns.study_uid),
            modality=cell(told, columns.modality) or mapping.modality,
            procedure_code=cell(told, columns.procedure_code),
            procedure_text=cell(told, columns.procedure_text),
        ),
        examined=when,
        issued_at=issued.at,
        text="" if status is ReportStatus.WITHDRAWN else text,
        flags=frozenset(flags | ({ReportFlag.TIME_AMBIGUOUS} if when.ambiguous else set())),
    )


def _text(told: Mapping[str, Any], columns: Columns) -> str:
    if isinstance(columns, str):
        return cell(told, columns)
    parts = [(column, cell(told, column)) for column in columns]
    return "\n\n".join(f"{column.upper()}:\n{text}" for column, text in parts if text)


def _status(told: Mapping[str, Any], mapping: ColumnMap) -> ReportStatus:
    """Without a column every row is final."""
    column = mapping.columns.status
    if column is None:
        return ReportStatus.FINAL
    value = cell(told, column)
    if value in mapping.statuses:
        return ReportStatus(mapping.statuses[value])
    try:
        return ReportStatus(value.casefold())
    except ValueError:
        raise RowError(column, f"{value[:40]!r} is neither a status nor among [statuses] of the mapping") from None
