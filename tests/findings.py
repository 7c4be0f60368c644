"""Findings of a model that does not exist, and the pictures that it would have seen, for tests of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ptx_node.dicom.equipment import WriterContext
from ptx_node.domain.finding import Finding, Laterality, ModelIdentity, Outcome
from ptx_node.domain.image import Radiograph, Volume
from tests.factories import Size, pneumothorax

MODEL = ModelIdentity("Example Makers", "ptx-example", "1.2.0", "ab" * 32, "2.25.30284695311726840821235627938654318")
RETRAINED = replace(MODEL, weights_sha256="cd" * 32, device_uid="2.25.30284695311726840821235627938654319")
MOMENT = datetime(2026, 3, 1, 9, 30, 15, 250_000, tzinfo=UTC)
CONTEXT = WriterContext("Example Hospital", "SN-7", MOMENT, "Europe/Paris", software_version="9.9.9")


def is_ct(sources: Sequence[Dataset]) -> bool:
    return bool(sources[0].Modality == "CT")


def planes(sources: Sequence[Dataset]) -> int:
    return int(sources[0].get("NumberOfFrames") or len(sources))


def finding(sources: Sequence[Dataset], outcome: Outcome = Outcome.POSITIVE, **changes: Any) -> Finding:
    """A finding on these sources; positive ones have a mask, in CT not on the first and the last slice."""
    uids = tuple(str(source.SOPInstanceUID) for source in sources)
    values: dict[str, Any] = {}
    if outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}:
        values = {"probability": 0.0312, "threshold": 0.4}
    if outcome is Outcome.POSITIVE:
        mask = pneumothorax(Size(int(sources[0].Rows), int(sources[0].Columns)))
        values |= {"probability": 0.912345, "laterality": Laterality.RIGHT, "mask": mask, "area_mm2": 1234.5}
        if is_ct(sources):
            stack = np.stack([mask] * planes(sources))
            stack[[0, -1]] = False
            values |= {"mask": stack, "area_mm2": None, "volume_ml": 87.25}
    if outcome is Outcome.FAILED:
        values = {"reason": "inference_failed", "detail": "the model stopped"}
    if outcome is Outcome.NOT_ELIGIBLE:
        values = {"reason": "unsupported_transfer_syntax", "detail": "a retired JPEG process"}
    return Finding(**{"outcome": outcome, "sop_instance_uids": uids, "model": MODEL, **values, **changes})


def picture(sources: Sequence[Dataset]) -> Radiograph | Volume:
    """What the model saw, as a slope from dark to bright."""
    rows, columns = int(sources[0].Rows), int(sources[0].Columns)
    slope = np.add.outer(np.arange(rows), np.arange(columns)) / (rows + columns)
    uids = tuple(str(source.SOPInstanceUID) for source in sources)
    if not is_ct(sources):
        return Radiograph(uids[0], slope.astype(np.float32), None, "unknown")
    hu = np.stack([(slope * 1500 - 1350).astype(np.int16)] * planes(sources))
    return Volume(str(sources[0].SeriesInstanceUID), uids, hu, (0.7, 0.7), 1.25, None)
