"""Content items of a structured report (PS3.3 C.17.3), built as plain data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from ptx_node.dicom.codes import code_item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.sr.coding import Code

CONTAINS = "CONTAINS"
HAS_OBS_CONTEXT = "HAS OBS CONTEXT"
HAS_CONCEPT_MOD = "HAS CONCEPT MOD"
HAS_ACQ_CONTEXT = "HAS ACQ CONTEXT"
INFERRED_FROM = "INFERRED FROM"


def _item(relationship: str, value_type: str, name: Code | None, children: Iterable[Dataset]) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    if name is not None:
        item.ConceptNameCodeSequence = [code_item(name)]
    below = list(children)
    if below:
        item.ContentSequence = DicomSequence(below)
    return item


def container(name: Code, children: Iterable[Dataset], *, template: str | None = None) -> Dataset:
    """A heading with items below it; `template` is the TID that shapes it."""
    item = _item(CONTAINS, "CONTAINER", name, children)
    item.ContinuityOfContent = "SEPARATE"
    if template is not None:
        item.ContentTemplateSequence = [template_item(template)]
    return item


def template_item(identifier: str) -> Dataset:
    """A template of PS3.16 by its number."""
    item = Dataset()
    item.MappingResource, item.TemplateIdentifier = "DCMR", identifier
    return item


def coded(relationship: str, name: Code, value: Code, children: Iterable[Dataset] = ()) -> Dataset:
    """A CODE item."""
    item = _item(relationship, "CODE", name, children)
    item.ConceptCodeSequence = [code_item(value)]
    return item


def text(relationship: str, name: Code, value: str) -> Dataset:
    """A TEXT item."""
    item = _item(relationship, "TEXT", name, ())
    item.TextValue = value
    return item


def uid(relationship: str, name: Code, value: str) -> Dataset:
    """A UIDREF item."""
    item = _item(relationship, "UIDREF", name, ())
    item.UID = value
    return item


def number(name: Code, value: float, unit: Code, children: Iterable[Dataset] = ()) -> Dataset:
    """A NUM item that its parent contains. Six significant digits, so that it fits DS on every value."""
    item = _item(CONTAINS, "NUM", name, children)
    measured = Dataset()
    measured.NumericValue = f"{value:.6g}"
    measured.MeasurementUnitsCodeSequence = [code_item(unit)]
    item.MeasuredValueSequence = [measured]
    return item


def image(relationship: str, name: Code | None, reference: Dataset) -> Dataset:
    """An IMAGE item; `reference` is an item of Referenced SOP Sequence."""
    item = _item(relationship, "IMAGE", name, ())
    item.ReferencedSOPSequence = [reference]
    return item
