"""What takes the place of one value in a de-identified object: kept if valid, replaced by nothing or by a dummy, or a date moved."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ptx_node.dicom.deidentify_table import DEVICE, PIXELS, Action, values_allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DUMMY_TEXT = "REMOVED"
DUMMIES: Mapping[str, object] = {
    "AS": "000D",
    "DA": "19000101",
    "DT": "19000101",
    "TM": "000000",
    "UR": "urn:removed",
    "OB": b"\0\0",
    "UN": b"\0\0",
}
ENUMERATED: Mapping[str, frozenset[str]] = {
    "PatientSex": frozenset({"M", "F", "O"}),
    "SmokingStatus": frozenset({"YES", "NO", "UNKNOWN"}),
}
NUMBER_VRS = frozenset(["AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"])
LONGEST_AMBIGUOUS_BYTES = 6
"""Of a `US or SS` that is still bytes: three numbers."""

_DEVICE_TEXT = re.compile(r"[^\x00-\x1f\x7f^=]{0,64}")  # neither a name as DICOM writes it, nor what a broken length swallowed
_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")
_TIME = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")
_DATE_WITH_POINTS = re.compile(r"\d{4}\.\d{2}\.\d{2}")  # retired, and still sent
_DATE_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})((?:\d{2}){0,3}(?:\.\d{1,6})?)(?:[+-]\d{4})?")


def texts_of(element: DataElement) -> list[str]:
    """Every value as text without padding; one empty text for no value."""
    return [str(value).strip(" \0") for value in _values(element)] or [""]


def with_texts(element: DataElement, texts: list[str]) -> DataElement:
    """The same attribute with other text."""
    return DataElement(element.tag, element.VR, texts[0] if len(texts) == 1 else texts)


def replaced(element: DataElement, action: Action) -> DataElement | None:
    """Nothing for `REMOVE`, no value for `EMPTY`, one of the dictionary's VR that says nothing for `DUMMY`."""
    vr = dictionary_VR(element.tag)
    if action is Action.REMOVE:
        return None
    if action is Action.EMPTY:
        return DataElement(element.tag, vr, [] if vr == "SQ" else None)
    return DataElement(element.tag, vr, [Dataset()] if vr == "SQ" else DUMMIES.get(vr, DUMMY_TEXT))


def kept(element: DataElement) -> DataElement | None:
    """The element as it is, if its value is one that its attribute may have; None for a text where a number belongs, and the like."""
    keyword = keyword_for_tag(element.tag)
    if keyword in PIXELS:
        return element if isinstance(element.value, bytes | int | list | MultiValue) else None
    if element.VR == "US or SS":  # of implicit VR: the writer decides by Pixel Representation
        short = isinstance(element.value, bytes) and len(element.value) <= LONGEST_AMBIGUOUS_BYTES
        return element if short or all(map(_is_number, _values(element))) else None
    if element.VR not in dictionary_VR(element.tag).split(" or ") or len(_values(element)) > values_allowed(element.tag):
        return None
    if keyword in DEVICE:
        return with_texts(element, texts_of(element)) if all(map(_DEVICE_TEXT.fullmatch, texts_of(element))) else None
    if element.VR == "CS":
        return _kept_code_string(element, ENUMERATED.get(keyword))
    return element if all(map(_is_number, _values(element))) else None


def moved(element: DataElement, shifted: Callable[[date], date | None]) -> DataElement | None:
    """A date as `shifted` says, a time of day as it is. One that cannot be read is replaced as the profile would."""
    texts = texts_of(element)
    if element.VR == "TM":
        new = [text if _TIME.fullmatch(text) else "" for text in (one.replace(":", "") for one in texts)]
    else:
        new = [_moved_date(text, shifted) for text in texts]
    return with_texts(element, new) if all(new) else replaced(element, Action.DUMMY if any(texts) else Action.EMPTY)


def _moved_date(text: str, shifted: Callable[[date], date | None]) -> str:
    """A DA or DT; empty where there is no whole date. The time of day stays, its offset from UTC would tell summer from winter."""
    found = _DATE_TIME.fullmatch(text.replace(".", "") if _DATE_WITH_POINTS.fullmatch(text) else text)
    if found is None:
        return ""
    try:
        day = shifted(date(int(found[1]), int(found[2]), int(found[3])))
    except ValueError:
        return ""
    return f"{day.year:04d}{day.month:02d}{day.day:02d}{found[4]}" if day else ""


def _kept_code_string(element: DataElement, allowed: frozenset[str] | None) -> DataElement | None:
    texts = texts_of(element)
    if allowed is not None:
        return element if all(text in allowed for text in texts if text) else replaced(element, Action.EMPTY)
    return element if all(map(_CODE_STRING.fullmatch, texts)) else None


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def _is_number(value: object) -> bool:
    """Whether a decoded value is a number or no value. pydicom gives DS and IS as numbers, or not at all."""
    return value in {"", None} or (isinstance(value, int | float) and not (isinstance(value, float) and math.isinf(value)))
