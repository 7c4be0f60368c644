"""What view and what part of the body a header speaks of, in codes, defined terms, and English and French words.

Only positive evidence counts: a description that names both a frontal and a lateral view, or both chest and abdomen,
says nothing about one image. Words are compared without accents, case or punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class View(StrEnum):
    """The projection, as far as it can be told."""

    FRONTAL = "frontal"
    LATERAL = "lateral"
    OTHER = "other"
    UNKNOWN = "unknown"


# View Position (0018,5101), PS3.3 C.8.11.5; then what senders write there beside the defined terms.
VIEW_POSITIONS = {
    **dict.fromkeys(("AP", "PA", "FRONTAL", "FACE", "APSUPINE", "APERECT"), View.FRONTAL),
    **dict.fromkeys(("LL", "RL", "LATERAL", "LAT", "LLAT", "RLAT", "LEFTLATERAL", "RIGHTLATERAL", "PROFIL", "XTABLELATERAL"), View.LATERAL),
    **dict.fromkeys(("LLD", "RLD", "LLO", "RLO", "LPO", "RPO", "LAO", "RAO", "OBLIQUE", "LATDECUB", "LORDOTIC"), View.OTHER),
}
# CID 4010, SNOMED CT then the older SNOMED RT identifiers.
VIEW_CODES = {
    **dict.fromkeys(("399348003", "272479007", "399033003", "R-10206", "R-10214"), View.FRONTAL),
    **dict.fromkeys(("399067008", "399173006", "399198007", "R-102CD", "R-10236", "R-10232"), View.LATERAL),
}
FRONTAL_WORDS = re.compile(r"\b(ap|pa|frontal|frontale|face|anteroposterior|posteroanterior|antero posterior|postero anterior)\b")
LATERAL_WORDS = re.compile(r"\b(lat|lateral|laterale|profil|lateraux)\b")
POSITION_WORDS = re.compile(r"\b(decub|decubitus|lordotic|lordotique)\b")  # said beside AP or PA, and outweigh it
OBLIQUE_WORDS = re.compile(r"\b(oblique|obliques)\b")
WORDS_IN_ORDER = (
    (View.OTHER, POSITION_WORDS),
    (View.FRONTAL, FRONTAL_WORDS),
    (View.OTHER, OBLIQUE_WORDS),
    (View.LATERAL, LATERAL_WORDS),
)
VIEW_TEXTS = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")

# Removed before looking for the chest: the spine is named after it.
SPINE = re.compile(
    r"\b((thoracic|thoraco|dorsal|cervical|lumbar|lumbosacral|t|c|l|ls) ?(lumbar )?spine|rachis( \w+)?|vertebra\w*|[ctl]spine)\b"
)
CHEST = re.compile(
    r"\b(chest\w*|thora\w+|lungs?|pulmon\w*|poumons?|pneumo\w*|cxr|rp|tap|cap|pleura\w*|ribs?|heart|mediastin\w*|whole ?body)\b"
)
NOT_CHEST = re.compile(
    r"\b(abdomen|abdominal\w*|abd|asp|kub|pelvis|bassin|hips?|hanches?|knees?|genoux?|legs?|jambes?|femurs?|thighs?|cuisses?|tibia\w*|fibula|perone"
    r"|ankles?|chevilles?|foot|feet|pieds?|calcaneus|toes?|orteils?|hands?|mains|main (gauche|droite|g|d)|wrists?|poignets?"
    r"|fingers?|doigts?|elbows?|coudes?|forearms?|avant bras|(?<!c )arm|humerus|shoulders?|epaules?|clavic[lu]\w*|scapula|omoplates?"
    r"|skull|crane|brain|cerveau|cerebral\w*|head|neck|cou|sinus|sinuses|orbits?|orbites?|mandib\w*|maxill\w*|nasal|zygoma|jaw|teeth|dent\w*"
    r"|sacrum|coccyx|lspine|cspine|tspine|sspine|lsspine|tlspine|breasts?|seins?|extremity|patella|radius|ulna)\b"
)
NEAR_TEXTS = ("BodyPartExamined", "AnatomicRegionSequence.CodeMeaning", "SeriesDescription", "ProtocolName")
FAR_TEXTS = ("StudyDescription",)


def plain(text: str) -> str:
    """Lower case without accents, every run of other characters one space: `Thorax_F/P (é)` becomes `thorax f p e`."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", " ", ascii_text.lower()).strip()


def view_of(attributes: Mapping[str, tuple[str, ...]]) -> tuple[View, str]:
    """The view and the evidence for it: View Position first, then View Code, Patient Orientation, descriptions."""
    for value in attributes.get("ViewPosition", ()):
        view = VIEW_POSITIONS.get(re.sub(r"[^A-Z]", "", value.upper()))
        if view is not None:
            return view, f"View Position is {value.strip()}"
    for value in attributes.get("ViewCodeSequence.CodeValue", ()):
        if value.strip() in VIEW_CODES:
            return VIEW_CODES[value.strip()], f"View Code is {value.strip()}"
    orientation = attributes.get("PatientOrientation", ())
    if orientation and orientation[0][:1].upper() in {"A", "P"}:
        # Columns run from front to back only when the beam runs from side to side (PS3.3 C.7.6.1.1.1).
        return View.LATERAL, "Patient Orientation is " + "\\".join(orientation)
    return _view_in_words(attributes)


def _view_in_words(attributes: Mapping[str, tuple[str, ...]]) -> tuple[View, str]:
    for keyword in ("ViewPosition", "ViewCodeSequence.CodeMeaning", *VIEW_TEXTS):
        for value in attributes.get(keyword, ()):
            words = plain(value)
            seen = f"{keyword} is {value!r}"
            for view, pattern in WORDS_IN_ORDER:
                if pattern.search(words):
                    return view, seen
    return View.UNKNOWN, ""


def body_part_refusal(attributes: Mapping[str, tuple[str, ...]], *, whole_study: bool) -> str:
    """What says that the image shows no chest; empty text when nothing does.

    What stands on the series and image decides over the study's description, which covers other images as well.
    With `whole_study` a chest named anywhere is enough: CT of several regions is filed under one of them.
    """
    near, far = _texts(attributes, NEAR_TEXTS), _texts(attributes, FAR_TEXTS)
    for texts in (near + far,) if whole_study else (near, far):
        if any(names_chest(value) for _, value in texts):
            return ""
        for keyword, value in texts:
            if names_other_part(value):
                return f"{keyword} is {value!r}"
    return ""


def names_chest(text: str) -> bool:
    """Whether the text names the chest, or the whole body."""
    return CHEST.search(SPINE.sub(" ", plain(text))) is not None


def names_other_part(text: str) -> bool:
    """Whether the text names a part of the body that is not the chest."""
    words = plain(text)
    return SPINE.search(words) is not None or NOT_CHEST.search(words) is not None


def _texts(attributes: Mapping[str, tuple[str, ...]], keywords: Iterable[str]) -> list[tuple[str, str]]:
    return [(keyword, value) for keyword in keywords for value in attributes.get(keyword, ()) if value.strip()]
