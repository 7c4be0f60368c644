"""`ptx predict`: the model on DICOM files, without a node: the same eligibility, reading and results as the node's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydicom

from ptx_node.db.session import now
from ptx_node.dicom.attributes import read_attributes
from ptx_node.dicom.equipment import WriterContext
from ptx_node.domain.eligibility import KEYWORDS, Refusal, eligibility, first
from ptx_node.domain.finding import Finding, Outcome, ResultKind
from ptx_node.errors import InputError, UsageError
from ptx_node.pipeline.results import encode_results
from ptx_node.wiring.inference import FileDecoder, Predictors, read_headers
from ptx_node.wiring.models import bundle_folders, known_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ptx_node.domain.image import Radiograph, Volume
    from ptx_node.model.predictor import Predictor
    from ptx_node.settings import Settings


@dataclass(frozen=True, slots=True)
class _File:
    """One file, the model that reads it, or why none does."""

    path: Path
    sop_instance_uid: str
    series_instance_uid: str
    model: str
    refusal: Refusal | InputError | None


def predict(settings: Settings, paths: Sequence[Path], *, model: str | None, out: Path | None) -> Iterator[dict[str, Any]]:
    """One row an instance, as `docs/operations.md` describes it; results are written below `out` when it is given.

    Raises:
        UsageError: a path does not exist, or this node does not have the model.
        ModelError: a bundle cannot be used.
    """
    names = [model] if model else list(bundle_folders(settings))
    missing = [name for name in names if name not in bundle_folders(settings)]
    if missing or not names:
        raise UsageError(f"this node has no model {missing[0] if missing else ''}; see: ptx models")
    files = [_look(path, names, settings) for path in _instances(paths)]
    predictors = Predictors(settings)
    for unit in _units(files, predictors):
        yield from _read(unit, predictors, settings, out)


def _instances(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
        yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def _look(path: Path, names: Sequence[str], settings: Settings) -> _File:
    """Choose the first model that reads this file; else remember why the one nearest to it does not."""
    keywords = KEYWORDS | {"SOPInstanceUID", "SeriesInstanceUID"}
    try:
        attributes = read_attributes(path, keywords)
    except InputError as error:
        return _File(path, "", "", names[0], error)
    requirements = known_models(settings).requirements
    verdicts = {name: eligibility(attributes, requirements[name]) for name in names if name in requirements}
    ct = first(attributes, "Modality") == "CT"
    nearest = [name for name in verdicts if (requirements[name].reads == "ct") == ct] or list(verdicts)
    chosen = next((name for name, refusal in verdicts.items() if refusal is None), nearest[0])
    return _File(path, first(attributes, "SOPInstanceUID"), first(attributes, "SeriesInstanceUID"), chosen, verdicts[chosen])


def _units(files: Sequence[_File], predictors: Predictors) -> list[list[_File]]:
    """Radiographs one by one, CT by series, in the order of the command line."""
    units: dict[tuple[str, ...], list[_File]] = {}
    for one in files:
        by_series = one.refusal is None and predictors.get(one.model).reads == "ct"
        key = (one.model, one.series_instance_uid) if by_series else (one.model, str(one.path))
        units.setdefault(key, []).append(one)
    return list(units.values())


def _read(unit: Sequence[_File], predictors: Predictors, settings: Settings, out: Path | None) -> Iterator[dict[str, Any]]:
    predictor = predictors.get(unit[0].model)
    finding, picture = _find(unit, predictor)
    written = (
        _write(finding, [one.path for one in unit], picture, settings, out) if out and finding.outcome is not Outcome.NOT_ELIGIBLE else []
    )
    for one in unit:
        yield _row(one, finding, predictor.reads, written)


def _find(unit: Sequence[_File], predictor: Predictor) -> tuple[Finding, Radiograph | Volume | None]:
    uids = tuple(one.sop_instance_uid for one in unit)
    refusal, paths = unit[0].refusal, [one.path for one in unit]
    if refusal is not None:
        return Finding(Outcome.NOT_ELIGIBLE, uids, predictor.identity, reason=refusal.reason, detail=refusal.detail), None
    try:
        image = FileDecoder().volume(paths) if predictor.reads == "ct" else FileDecoder().radiograph(paths[0])
    except InputError as error:
        return Finding(Outcome.NOT_ELIGIBLE, uids, predictor.identity, reason=error.reason, detail=error.detail), None
    findings, _ = predictor.predict([predictor.prepare(image)])
    return findings[0], image


def _write(finding: Finding, paths: Sequence[Path], picture: Radiograph | Volume | None, settings: Settings, out: Path) -> list[str]:
    context = WriterContext(settings.node.site, settings.node.device_serial_number, now(), settings.node.time_zone)
    written = []
    out.mkdir(parents=True, exist_ok=True)
    for one in encode_results(finding, read_headers(paths), kinds=ResultKind, context=context, picture=picture):
        target = out / f"{one.kind}-{one.dataset.SOPInstanceUID}.dcm"
        pydicom.dcmwrite(target, one.dataset, enforce_file_format=True)
        written.append(str(target))
    return written


def _row(one: _File, finding: Finding, reads: str, written: Sequence[str]) -> dict[str, Any]:
    eligible = finding.outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}
    negative = finding.outcome is Outcome.NEGATIVE
    model = finding.model
    return {
        "sop_instance_uid": one.sop_instance_uid,
        "file": str(one.path),
        "eligible": eligible,
        "reason": finding.reason,
        "detail": finding.detail or None,
        "probability": finding.probability,
        "threshold": finding.threshold,
        "label": str(finding.outcome) if eligible else None,
        "laterality": finding.laterality and str(finding.laterality),
        "area_mm2": 0.0 if negative and reads == "radiograph" else finding.area_mm2,
        "volume_ml": 0.0 if negative and reads == "ct" else finding.volume_ml,
        "spacing_reason": finding.spacing_reason,
        "model": {
            "name": model.name,
            "version": model.version,
            "weights_sha256": model.weights_sha256,
            "device_uid": model.device_uid,
        },
        "results": list(written),
    }
