"""Clean Descriptors (PS3.15 E.3.5): descriptions of nothing but known words stay, and codes of known schemes; no other free text does.

A word is known when it stands here. The list holds no word that is there for its rarity: what is missing costs a description, what is
too much could cost a name.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sr import _concepts_dict, _snomed_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = """
    ABDOMEN ACQUISITION AND ANGIO AP APEX APICAL ARTERIAL AU AUGMENTED AVEC AXIAL BASAL BED BEDSIDE BODY BONE CHEST CONTRAST CORONAL
    COUCHE COUPE COUPES CR CT CXR DE DEBOUT DEG DERIVED DIGITAL DOSE DR DX ENHANCED ERECT ET EXAM EXAMINATION EXPIRATION EXPIRATOIRE
    EXPIRATORY FACE FILTER FINE FINES FLAT FRAME FRONTAL FULL HEAD HIGH HRCT HU ID IMAGE IN INDEX INJECTION INSPIRATION INSPIRATORY
    IV KERNEL KV LARGE LAT LATERAL LEFT LIT LL LOCALIZER LOW LUNG LUNGS MASK MEDIASTINAL MEDIASTINUM MEDIUM MIN MIP MM MOBILE MULTI
    NO NON NONE NORMALIZED NUMBER OD OF ON ORIGINAL PA PARENCHYMA PATIENT PLAIN PLEURA PLEURAL PNEUMOTHORAX PORTABLE POSITION POST
    POUMON POUMONS PRE PROFIL PULMONAIRE PULMONARY RADIO RADIOGRAPH RADIOGRAPHIE RADIOGRAPHY RAY RECON RECONSTRUCTION REFERENCED
    REFORMAT RESOLUTION RIB RIBS RIGHT RL ROUTINE RX SAGITTAL SANS SC SCAN SCANNER SCOUT SEGMENT SEGMENTATION SEQUENCE SERIES SHARP
    SIMULATED SINGLE SLICE SLICES SMALL SMOOTH SOFT STACK STANDARD STANDING SUPINE TDM THICK THIN THORACIC THORACIQUE THORAX TISSUE
    TO TOPOGRAM TWO UNENHANCED UPRIGHT US VIEW VIEWS VOLUME VUE WEDGE WEIGHTED WHOLE WINDOW WITH WITHOUT X XR XRAY
"""
WORDS = frozenset(KNOWN.split())
_PARTS = re.compile(r"[A-Z]+|\d+(?:[.,]\d+)?")
_NUMBER = re.compile(r"\d{1,2}(?:[.,]\d{1,3})?")
_SIGNS = re.compile(r"[A-Za-z0-9 ._,:;/+()=*^&-]*")
NUMBERS_AT_MOST = 1
"""A thickness or a count; two numbers could be a day and a month."""

_CODE_SHAPES: Mapping[str, re.Pattern[str]] = {"SCT": re.compile(r"\d{6,18}"), "DCM": re.compile(r"\d{6}"), "LN": re.compile(r"\d{1,6}-\d")}
"""What a code of a public scheme looks like; a code of these that this edition does not know stays, under a meaning of our own."""

UNKNOWN_MEANING = "Meaning not exported"
LONGEST_MEANING = 64


def is_plain_description(text: str) -> bool:
    """Whether a text is empty or made of known words and at most one short number."""
    if not text.isascii() or not _SIGNS.fullmatch(text):
        return False
    parts = _PARTS.findall(text.upper())
    numbers = [part for part in parts if part[0].isdigit()]
    words_known = all(part in WORDS for part in parts if not part[0].isdigit())
    return words_known and len(numbers) <= NUMBERS_AT_MOST and all(_NUMBER.fullmatch(part) for part in numbers)


def is_code(item: Dataset) -> bool:
    """Whether a sequence's item is a code (PS3.3 Table 8.8-1)."""
    return "CodingSchemeDesignator" in item or any(name in item for name in ("CodeValue", "LongCodeValue", "URNCodeValue"))


def clean_code(item: Dataset) -> Dataset | None:
    """The code alone, with the meaning that the standard gives it, not the sender's; None for a code of a private or unknown scheme."""
    scheme, value = str(item.get("CodingSchemeDesignator", "")).strip(), str(item.get("CodeValue", "")).strip()
    meaning = _meanings(scheme).get(value)
    if meaning is None:
        shape = _CODE_SHAPES.get(scheme)
        if shape is None or not shape.fullmatch(value):
            return None
        meaning = UNKNOWN_MEANING
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning[:LONGEST_MEANING]
    return code


@cache
def _meanings(scheme: str) -> Mapping[str, str]:
    """Code value -> meaning, of a scheme that PS3.16 uses. The retired SNOMED codes have the meanings of those that replaced them."""
    if scheme == "SRT":
        current = _meanings("SCT")
        return {old: current[new] for old, new in _snomed_dict.mapping["SRT"].items() if new in current}
    named: Mapping[str, Mapping[str, tuple[str, list[int]]]] = _concepts_dict.concepts.get(scheme, {})  # type: ignore[assignment]
    return {value: entry[0] for codes in named.values() for value, entry in codes.items()}
