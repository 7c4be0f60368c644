"""Proof from the other side: every result that the node counts as delivered is fetched from the PACS (or read from the folder)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.commission.read_back import read_back as read_from
from ptx_node.db.answers import answers
from ptx_node.db.session import begin_read
from ptx_node.errors import PtxError
from ptx_node.wiring import make_destinations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset
    from sqlalchemy import Engine

    from ptx_node.settings import Settings

SAID = {"Presence of property", "Outcome of the analysis", "Reason of the outcome"}
"""Names of the coded statements of a report that the demonstration repeats."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result as it was read back.

    Attributes:
        by: how it was asked for.
    """

    kind: str
    sop_instance_uid: str
    by: str
    summary: str


def read_back(settings: Settings, engine: Engine, study_instance_uids: Sequence[str]) -> list[Found]:
    """Every result of these studies, read back from each destination that it was sent to.

    Raises:
        PtxError: a result is not there.
    """
    with begin_read(engine) as session:
        sent = [one for answer in answers(session, study_instance_uids).values() for one in answer.sent]
    found: list[Found] = []
    for name, (destination, _) in make_destinations(settings).items():
        mine = [one for one in sent if one.destination == name]
        back = read_from(destination, mine)
        for one in mine:
            if one.sop_instance_uid not in back.datasets:
                which = f"{one.kind.upper()} {one.sop_instance_uid} of study {one.study_instance_uid}"
                raise PtxError(f"{which} is not in {name} ({back.problem or back.by})")
            found.append(Found(one.kind, one.sop_instance_uid, back.by, _summary(one.kind, back.datasets[one.sop_instance_uid])))
    return found


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
