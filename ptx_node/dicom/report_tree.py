"""A structured report as a tree that people read: names, values, units, and what refers to what (PS3.3 C.17.3)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from ptx_node.dicom.decode import malformed_refused, read_dataset
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydicom import Dataset

DEEPEST = 20
MOST_ITEMS = 20_000
FEW = 3
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class TreeItem:
    """One content item.

    Attributes:
        name: meaning of its concept name; of an item without one, its value type.
        value: in words; empty of a container.
        relationship: to the item above, in words; empty where it is simply contained.
    """

    name: str
    value: str
    relationship: str
    items: tuple[TreeItem, ...]


def report_tree(path: Path) -> TreeItem:
    """The content tree of an SR file. Texts are as they stand there, cut to 2,000 characters.

    Raises:
        InputError: it cannot be read, is no structured report, or is too deep or too large to be a report of ours.
    """
    with malformed_refused("the report"):
        ds = read_dataset(path)
        if "ContentSequence" not in ds:
            raise InputError(Reason.UNSUPPORTED_SOP_CLASS, "this object has no content tree")
        return _item(ds, 0, [0])


def _item(ds: Dataset, depth: int, count: list[int]) -> TreeItem:
    count[0] += 1
    if depth > DEEPEST or count[0] > MOST_ITEMS:
        raise InputError(Reason.UNREADABLE_HEADER, f"the report has more than {DEEPEST} levels or {MOST_ITEMS} items")
    kind, relationship = str(ds.get("ValueType") or ""), str(ds.get("RelationshipType") or "")
    return TreeItem(
        name=_meaning(ds, "ConceptNameCodeSequence") or kind.capitalize(),
        value=_value(ds, kind)[:LONGEST],
        relationship="" if relationship == "CONTAINS" else relationship.lower(),
        items=tuple(_folded(_item(one, depth + 1, count) for one in ds.get("ContentSequence") or ())),
    )


def _folded(items: Iterable[TreeItem]) -> Iterator[TreeItem]:
    """A run of values of the same name, as the slices of a series, as one item that begins with the first of them."""
    for (name, relationship, leaf), run in groupby(items, key=lambda one: (one.name, one.relationship, bool(one.value) and not one.items)):
        same = list(run)
        if not leaf or len(same) <= FEW:
            yield from same
            continue
        told = ", ".join(one.value for one in same[:FEW])
        yield TreeItem(name, f"{told} and {len(same) - FEW} more", relationship, ())


def _value(ds: Dataset, kind: str) -> str:
    if kind == "CODE":
        return _meaning(ds, "ConceptCodeSequence")
    if kind == "NUM":
        measured = _first(ds, "MeasuredValueSequence")
        if measured is None:
            return ""
        unit = _first(measured, "MeasurementUnitsCodeSequence")
        return f"{measured.get('NumericValue', '')} {'' if unit is None else unit.get('CodeValue', '')}".strip()
    if kind in ("IMAGE", "COMPOSITE"):
        reference = _first(ds, "ReferencedSOPSequence")
        if reference is None:
            return ""
        parts = (("ReferencedFrameNumber", "frame"), ("ReferencedSegmentNumber", "segment"))
        told = [f"{word} {reference.get(keyword)}" for keyword, word in parts if reference.get(keyword)]
        return ", ".join([str(reference.get("ReferencedSOPInstanceUID", "")), *told])
    keyword = {"TEXT": "TextValue", "UIDREF": "UID", "DATETIME": "DateTime", "DATE": "Date", "TIME": "Time", "PNAME": "PersonName"}.get(
        kind
    )
    return str(ds.get(keyword, "")) if keyword else ""


def _meaning(ds: Dataset, keyword: str) -> str:
    code = _first(ds, keyword)
    return "" if code is None else str(code.get("CodeMeaning") or code.get("CodeValue") or "")[:LONGEST]


def _first(ds: Dataset, keyword: str) -> Any:
    return next(islice(ds.get(keyword) or (), 1), None)
