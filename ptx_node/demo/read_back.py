"""Proof from the other side: every result that the node counts as delivered is asked of the PACS by QIDO-RS and fetched by WADO-RS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydicom
from dicomweb_client.api import DICOMwebClient

from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydicom.dataset import Dataset

    from ptx_node.db.journey import Journey
    from ptx_node.simulator.pacs import Pacs

SAID = {"Presence of property", "Outcome of the analysis", "Reason of the outcome"}
"""Names of the coded statements of a report that the demonstration repeats."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result as it was read back."""

    study_instance_uid: str
    kind: str
    sop_instance_uid: str
    summary: str


def read_back(pacs: Pacs | None, folder: Path, journeys: Mapping[str, Journey]) -> list[Found]:
    """Every result of these studies, read back from the PACS (or from the folder where there is no PACS).

    Raises:
        PtxError: a result is not there.
    """
    found: list[Found] = []
    for uid, journey in journeys.items():
        datasets = _from_pacs(pacs, uid) if pacs else _from_folder(folder)
        for sop_instance_uid, kind in sorted(journey.results.items(), key=lambda item: item[1]):
            if sop_instance_uid not in datasets:
                raise PtxError(f"{kind.upper()} {sop_instance_uid} of study {uid} is not in the PACS")
            found.append(Found(uid, kind, sop_instance_uid, _summary(kind, datasets[sop_instance_uid])))
    return found


def _from_pacs(pacs: Pacs, study_instance_uid: str) -> dict[str, Dataset]:
    client = DICOMwebClient(pacs.dicomweb_url)
    results: dict[str, Dataset] = {}
    for modality in ("SEG", "SR", "OT"):
        series = client.search_for_series(study_instance_uid, search_filters={"Modality": modality})
        for one in series:
            series_instance_uid = one["0020000E"]["Value"][0]
            for ds in client.retrieve_series(study_instance_uid, series_instance_uid):
                results[str(ds.SOPInstanceUID)] = ds
    return results


def _from_folder(folder: Path) -> dict[str, Dataset]:
    datasets = (pydicom.dcmread(path) for path in folder.rglob("*.dcm"))
    return {str(ds.SOPInstanceUID): ds for ds in datasets}


def _summary(kind: str, ds: Dataset) -> str:
    if kind == "seg":
        return f"{ds.get('NumberOfFrames', 1)} frame(s), {ds.Rows} x {ds.Columns}, {int(ds.pixel_array.sum())} pixels of pneumothorax"
    if kind == "sr":
        return f"TID {ds.ContentTemplateSequence[0].TemplateIdentifier}, {_texts(ds)}"
    return f"{ds.Rows} x {ds.Columns} RGB"


def _texts(ds: Dataset) -> str:
    """The presence and measurements that a report states, in its own words."""
    words: list[str] = []
    for item in ds.get("ContentSequence", ()):
        words += _walk(item)
    return ", ".join(dict.fromkeys(words)) or "nothing stated"


def _walk(item: Dataset) -> list[str]:
    words: list[str] = []
    name = item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""
    if item.ValueType == "NUM" and "MeasuredValueSequence" in item and item.MeasuredValueSequence:
        value = item.MeasuredValueSequence[0]
        words.append(f"{name} {float(value.NumericValue):.3g} {value.MeasurementUnitsCodeSequence[0].CodeValue}")
    elif item.ValueType == "CODE" and name in SAID:
        words.append(f"{name}: {item.ConceptCodeSequence[0].CodeMeaning}")
    for child in item.get("ContentSequence", ()):
        words += _walk(child)
    return words
