"""What the examination was, beside what its report says: a report of another region than the thorax cannot deny a pneumothorax.

The lung bases are seen on a CT of the abdomen, and the apices on one of the neck: a pneumothorax that is told there is one. That none is
told, or that it is denied, says nothing of the rest of the pleural space.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ptx_node.domain.truth import LabelValue, ReviewReason
from ptx_node.reports import procedures
from ptx_node.reports.label import label_report
from ptx_node.reports.text import fold

if TYPE_CHECKING:
    from ptx_node.domain.radiology_report import Examination
    from ptx_node.domain.truth import ReportLabel

RULE = "examination-elsewhere"
TOLD = (LabelValue.POSITIVE, LabelValue.UNCERTAIN)
_PART, _THORAX, _ELSEWHERE = (
    re.compile("|".join(rf"\b(?:{one})\b" for one in words)) for words in (procedures.PART, procedures.THORAX, procedures.ELSEWHERE)
)


def label_examined(text: str, examination: Examination, /) -> ReportLabel:
    """The label of a report of this examination.

    Where the thorax was not examined (`covers_thorax`), what the report affirms or leaves open stands and is for a person to look at;
    anything else is `not_covered`.
    """
    found = label_report(text)
    if covers_thorax(examination) is not False or found.value is LabelValue.NOT_COVERED:
        return found
    review = tuple(dict.fromkeys((*found.review, ReviewReason.OTHER_REGION)))
    if found.value in TOLD:
        return replace(found, review=review)
    denied = found.value is not LabelValue.NOT_MENTIONED
    return replace(found, value=LabelValue.NOT_COVERED, rule=RULE, review=review if denied else found.review)


def covers_thorax(examination: Examination) -> bool | None:
    """Whether the thorax was examined as a whole, by the words of the procedure, else the modality; None where neither tells."""
    words = _PART.sub(" ", fold(examination.procedure_text.replace("_", " ")).text)
    if _THORAX.search(words):
        return True
    if _ELSEWHERE.search(words) or examination.modality.strip().upper() in procedures.MODALITIES:
        return False
    return None
