"""The columns of the case table: one row a finding of a model, of a radiograph or CT series. The data dictionary is written from here.

Values are text as they stand in `cases.csv`: empty where unknown, `1` and `0` for yes and no, numbers with a point and as many digits as
give the same number back. The columns of `QUASI_IDENTIFIERS` say `not stated` where they are unknown, and `withheld` where too few
patients share what they say; in an identified table nothing is withheld.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ptx_node.validation.small_cells import NOT_STATED, WITHHELD


class Type(StrEnum):
    """What a column's values are, as the Parquet file stores them."""

    TEXT = "text"
    NUMBER = "number"
    """IEEE 754 double."""
    WHOLE = "whole"
    YES_NO = "yes_no"
    DAY = "day"
    """YYYY-MM-DD."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        words: what it says, for people.
        unit: UCUM; empty where there is none.
        values: the closed list, where there is one; the value may be empty too.
        source: where it comes from: DICOM keyword, HL7 field, or the node.
    """

    name: str
    type: Type
    words: str
    unit: str = ""
    values: tuple[str, ...] = ()
    source: str = "node"


_T, _N, _W, _Y, _D = Type.TEXT, Type.NUMBER, Type.WHOLE, Type.YES_NO, Type.DAY
_LABELS = ("positive", "negative", "uncertain", "resolved", "not_mentioned", "not_covered")
_SIDES = ("left", "right", "bilateral")
_SEXES = ("M", "F", "O", NOT_STATED, WITHHELD)

COLUMNS: tuple[Column, ...] = (
    Column("case_id", _T, "pseudonym of the image: SOP Instance UID of a radiograph, Series Instance UID of a CT series", source="DICOM"),
    Column("patient", _T, "pseudonym of the patient; merged numbers are one patient", source="PatientID, IssuerOfPatientID"),
    Column("study", _T, "pseudonym of the Study Instance UID", source="StudyInstanceUID"),
    Column("model", _T, "name, version and first 12 digits of the weights' SHA-256"),
    Column("kind", _T, "what the model read", values=("radiograph", "ct")),
    Column("examined_on", _D, "local day of the examination, moved by the patient's shift", source="AcquisitionDate, StudyDate"),
    Column("sex", _T, "of the patient, as sent; another letter is `not stated`", values=_SEXES, source="PatientSex"),
    Column("age_band", _T, "decade of age at the examination such as `60-69`, `90+` above 89", source="PatientAge, PatientBirthDate"),
    Column("view", _T, "of a radiograph, as sent", source="ViewPosition"),
    Column("manufacturer", _T, "of the equipment, as sent", source="Manufacturer"),
    Column("manufacturer_model", _T, "of the equipment, as sent", source="ManufacturerModelName"),
    Column("device", _T, "pseudonym of the station", source="StationName"),
    Column("source", _T, "the node's name of the sender"),
    Column("rule", _T, "routing rule that took the image"),
    Column("outcome", _T, "what the node answered", values=("positive", "negative", "not_eligible", "failed")),
    Column("outcome_reason", _T, "why there was no answer, of the node's closed list"),
    Column("probability", _N, "the model's probability of a pneumothorax", unit="1"),
    Column("threshold", _N, "at and above which it is called positive", unit="1"),
    Column("laterality", _T, "side of the patient that the model names", values=_SIDES),
    Column("area", _N, "of the mask on a radiograph", unit="mm2"),
    Column("volume", _N, "of the mask in a CT", unit="mL"),
    Column("truth_kind", _T, "whose truth; empty where there is none", values=("report", "reader", "mask")),
    Column("report", _T, "pseudonym of the radiology report that the truth is of; empty where readers say it"),
    Column("label", _T, "what the truth says", values=_LABELS),
    Column("truth", _Y, "pneumothorax by that label; empty where it is uncertain or there is none"),
    Column("truth_laterality", _T, "side that the truth names", values=_SIDES),
    Column("truth_size", _T, "the words for its size, folded to lower case without accents"),
    Column("truth_depth", _N, "largest measure named", unit="mm"),
    Column("drain", _Y, "a pleural drain is named"),
    Column("label_rule", _T, "rule of the labeller, or `person`; of readers how many agree"),
    Column("label_version", _T, "version of the labeller"),
    Column("label_language", _T, "in which the report was read, such as `en`; empty where a person gave the label"),
    Column("label_doubtful", _Y, "the labeller asks a person to look, and none has"),
    Column(
        "span_sha256",
        _T,
        "SHA-256, keyed (an identified table: without a key), of the words that decided; the words themselves stay at the site",
    ),
    Column("interval_min", _N, "from the image to the CT; negative where the CT came first", unit="min"),
    Column(
        "agreement",
        _T,
        "answer against truth; empty where either is missing",
        values=("true_positive", "false_positive", "true_negative", "false_negative", "undecided"),
    ),
    Column("exclusion", _T, "why the row counts in no figure, of the closed list in exclusions.csv; empty where it counts"),
)

BY_NAME = {column.name: column for column in COLUMNS}

QUASI_IDENTIFIERS = ("source", "rule", "device", "manufacturer_model", "manufacturer", "view", "age_band", "sex")
"""What somebody who knows the patient may know, the least needed first: the small-cell plan makes these coarser."""

KEY = ("case_id", "model")
"""The order of the rows: of the pseudonyms, which tells nothing of the order in time. Where a model read an image again, the finding's
number at the site decides, and all but one row are excluded."""

OVER_TIME: tuple[Column, ...] = (
    Column("position", _W, "place of the case in the true order of the examinations, from 1"),
    Column("model", _T, "as in the cases"),
    Column("called", _Y, "the node answered positive"),
    Column("truth", _Y, "pneumothorax by the truth"),
    Column("period", _T, "calendar month `2026-03`, or quarter `2026-Q1`; empty where too few patients share one"),
)
"""The cases that count, in the order of time and without names: dates in the cases are moved, so that their order says nothing."""

EXCLUSIONS: tuple[Column, ...] = (
    Column("step", _T, "box of the flow chart that they leave; `reports`: radiology reports, which the chart does not count"),
    Column("kind", _T, "what they are", values=("radiograph", "ct", "other", "report")),
    Column("model", _T, "as in the cases; empty where none read them"),
    Column("reason", _T, "of the closed list"),
    Column("detail", _T, "the coded reason below it, such as why a model does not read an image"),
    Column("words", _T, "the reason for people"),
    Column("count", _W, "images; a CT series is one"),
)
