"""Readers' labels and masks in rows: added once each, held against findings by what they name, figures of masks.

Every function takes a Session inside the caller's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, exists, or_, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from ptx_node.db import bulk
from ptx_node.db.tables import ExaminationRow, FindingRow, Instance, MaskFigure, PatientIdentifier, Result, TruthRow
from ptx_node.domain.finding import ResultKind
from ptx_node.domain.reading import Given, Level, TruthKind, consensus
from ptx_node.domain.truth import LabelValue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from ptx_node.domain.reading import Consensus, Reading

COLUMNS = ("kind", "reader", "level", "name", "label", "laterality", "size", "confidence", "read_at", "file", "imported_at")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where readings came from: the file's name, and the store's name of a mask; who took them in."""

    file: str
    imported_by: str
    path: str | None = None


def add(session: Session, readings: Iterable[tuple[str, Reading]], origin: Origin, *, now: datetime) -> list[int]:
    """Add readings, each with its place in the file, that are not here yet; the numbers of those that were new."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    new: list[int] = []
    for place, one in readings:
        row = {
            "kind": str(one.kind),
            "reader": one.reader,
            "level": str(one.subject.level),
            "name": one.subject.name,
            "patient_authority": one.subject.patient_authority,
            "patient_id": one.subject.patient_id,
            "label": str(one.label),
            "laterality": str(one.laterality) if one.laterality else None,
            "size": one.size,
            "confidence": one.confidence,
            "read_at": one.read_at,
            "content_sha256": one.content_sha256,
            "path": origin.path,
            "file": origin.file,
            "place": place,
            "imported_by": origin.imported_by,
            "imported_at": now,
        }
        statement: Any = dialect.insert(TruthRow.__table__)
        number = session.execute(statement.values(row).on_conflict_do_nothing().returning(TruthRow.id)).scalar()
        if number is not None:
            new.append(number)
    return new


def truths_of(session: Session, findings: Collection[int]) -> dict[tuple[int, TruthKind], Consensus]:
    """What readers say of these findings, by (finding, kind): one truth each, as `ptx_node.domain.reading.consensus` makes it."""
    heard: defaultdict[tuple[int, TruthKind], list[Given]] = defaultdict(list)
    for finding, truth, figure in readings_of(session, findings):
        heard[finding, TruthKind(truth.kind)].append(given(truth, figure))
    return {key: found for key, several in heard.items() if (found := consensus(several)) is not None}


def readings_of(session: Session, findings: Collection[int]) -> list[tuple[int, TruthRow, MaskFigure | None]]:
    """Every reading of these findings, superseded ones too: (finding, reading, figures of its mask)."""
    if not findings:
        return []
    wanted = bulk.given(session, {"finding_id": BigInteger()}, [(number,) for number in findings], name="wanted")
    matched = _matched(ExaminationRow.finding_id.in_(select(wanted.c.finding_id)))
    rows = (
        select(matched.c.finding_id, TruthRow, MaskFigure)
        .join(TruthRow, TruthRow.id == matched.c.truth_id)
        .outerjoin(MaskFigure, and_(MaskFigure.truth_id == TruthRow.id, MaskFigure.finding_id == matched.c.finding_id))
        .order_by(matched.c.finding_id, TruthRow.id)
    )
    return [(finding, truth, figure) for finding, truth, figure in session.execute(rows)]


def given(truth: TruthRow, figure: MaskFigure | None) -> Given:
    """A reading as the rules take it."""
    return Given(
        truth.reader,
        Level(truth.level),
        LabelValue(truth.label),
        (truth.read_at or truth.imported_at, truth.id),
        laterality=truth.laterality,
        size=truth.size,
        confidence=truth.confidence,
        area_mm2=figure.area_mm2 if figure else None,
        dice=figure.dice if figure else None,
    )


def listed(session: Session, *, parked: bool, limit: int) -> list[dict[str, Any]]:
    """Readings, the newest first; `known`: whether an image that they are of is here. `parked`: only those of which none is."""
    known = or_(*(exists().where(condition) for condition in _conditions(Instance).values()))
    wanted = select(TruthRow.id, *(getattr(TruthRow, name) for name in COLUMNS), known.label("known"))
    if parked:
        wanted = wanted.where(~known)
    return [dict(row) for row in session.execute(wanted.order_by(TruthRow.id.desc()).limit(limit)).mappings()]


def findings_named(session: Session, name: str) -> list[FindingRow]:
    """Findings of an image, series, study or accession number; the newest first."""
    named = or_(*(column == name for column in (Instance.sop_instance_uid, Instance.series_instance_uid, Instance.study_instance_uid)))
    wanted = (
        select(FindingRow)
        .join(ExaminationRow, ExaminationRow.finding_id == FindingRow.id)
        .join(Instance, Instance.id == ExaminationRow.instance_id)
        .where(or_(named, Instance.accession_number == name))
    )
    return list(session.scalars(wanted.order_by(FindingRow.id.desc())))


def readings_named(session: Session, name: str) -> Sequence[TruthRow]:
    """Readings that name this UID or accession number themselves, in the order of import."""
    return session.scalars(select(TruthRow).where(TruthRow.name == name).order_by(TruthRow.id)).all()


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A mask and a finding that were not held against each other yet.

    Attributes:
        path: the reader's SEG, in the store; `own_path` the node's, None where there is none.
        image_path: an image of the finding, in the store.
    """

    truth_id: int
    finding_id: int
    level: Level
    outcome: str
    sop_instance_uids: tuple[str, ...]
    path: str
    own_path: str | None
    image_path: str


def unmeasured(session: Session, limit: int) -> list[Unmeasured]:
    """Masks whose figures against a finding are not there yet; the oldest finding first."""
    matched = _matched(TruthRow.kind == TruthKind.MASK, TruthRow.path.is_not(None))
    done = exists().where(MaskFigure.truth_id == matched.c.truth_id, MaskFigure.finding_id == matched.c.finding_id)
    wanted = (
        select(
            *(matched.c.truth_id, matched.c.finding_id, TruthRow.level, FindingRow.outcome, FindingRow.sop_instance_uids),
            *(TruthRow.path, Result.path, Instance.path),
        )
        .join(TruthRow, TruthRow.id == matched.c.truth_id)
        .join(FindingRow, FindingRow.id == matched.c.finding_id)
        .join(ExaminationRow, ExaminationRow.finding_id == FindingRow.id)
        .join(Instance, Instance.id == ExaminationRow.instance_id)
        .outerjoin(Result, and_(Result.finding_id == FindingRow.id, Result.kind == ResultKind.SEG))
        .where(~done, FindingRow.outcome.in_(("positive", "negative")))
        .order_by(matched.c.finding_id, matched.c.truth_id)
        .limit(limit)
    )
    return [
        Unmeasured(truth, finding, Level(level), outcome, tuple(uids), path, own, image)
        for truth, finding, level, outcome, uids, path, own, image in session.execute(wanted)
    ]


def record_figures(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write figures; those that are there already stay."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(MaskFigure.__table__)
    for row in rows:
        session.execute(statement.values(dict(row)).on_conflict_do_nothing())


def _matched(*where: ColumnElement[bool]) -> Any:
    """(finding, reading) of every reading that names the finding's image, or what the image is part of."""

    def of_level(condition: ColumnElement[bool]) -> Select[int, int]:
        return (
            select(ExaminationRow.finding_id, TruthRow.id.label("truth_id"))
            .join(Instance, Instance.id == ExaminationRow.instance_id)
            .join(TruthRow, condition)
            .where(*where)
        )

    return union_all(*map(of_level, _conditions(Instance).values())).subquery("matched")


def _conditions(image: type[Instance]) -> dict[Level, ColumnElement[bool]]:
    """How each level's readings name an image. With an accession number goes any number of the same patient, as merges have it."""
    own, other = aliased(PatientIdentifier), aliased(PatientIdentifier)
    same_patient = (
        exists()
        .where(own.id == image.patient_identifier_id, other.person_id == own.person_id, other.value == TruthRow.patient_id)
        .where(or_(TruthRow.patient_authority == "", other.authority == TruthRow.patient_authority))
    )
    columns = {
        Level.IMAGE: image.sop_instance_uid,
        Level.SERIES: image.series_instance_uid,
        Level.STUDY: image.study_instance_uid,
        Level.ACCESSION: image.accession_number,
    }
    named = {level: and_(TruthRow.level == level, TruthRow.name == column) for level, column in columns.items()}
    return {**named, Level.ACCESSION: and_(named[Level.ACCESSION], same_patient)}
