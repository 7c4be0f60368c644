"""The columns of the case table: one row an image and model. The data dictionary of an export is written from here.

Values are text as they stand in `cases.csv`: empty where unknown, `1` and `0` for yes and no, numbers with a point and as many digits as
give the same number back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
        values: the closed list, where there is one.
        source: where it comes from: DICOM keyword, HL7 field, or the node.
    """

    name: str
    type: Type
    words: str
    unit: str = ""
    values: tuple[str, ...] = ()
    source: str = "node"


_T, _N, _W, _Y, _D = Type.TEXT, Type.NUMBER, Type.WHOLE, Type.YES_NO, Type.DAY

COLUMNS: tuple[Column, ...] = (
    Column("case_id", _T, "pseudonym of the image: SOP Instance UID of a radiograph, Series Instance UID of a CT series", source="DICOM"),
    Column("patient", _T, "pseudonym of the patient; merged numbers are one patient", source="PatientID, IssuerOfPatientID"),
    Column("study", _T, "pseudonym of the Study Instance UID", source="StudyInstanceUID"),
    Column("model", _T, "name, version and first 12 digits of the weights' SHA-256"),
    Column("kind", _T, "what the model read", values=("radiograph", "ct")),
    Column("examined_on", _D, "local day of the examination, moved by the patient's shift", source="AcquisitionDate, StudyDate"),
    Column("sex", _T, "", values=("M", "F", "O"), source="PatientSex"),
    Column("age_band", _T, "decade of age, `90+` above 89", source="PatientAge, PatientBirthDate"),
    Column("view", _T, "", source="ViewPosition"),
    Column("manufacturer", _T, "", source="Manufacturer"),
    Column("manufacturer_model", _T, "", source="ManufacturerModelName"),
    Column("device", _T, "pseudonym of the station", source="StationName"),
    Column("source", _T, "the node's name of the sender"),
    Column("rule", _T, "routing rule that took the image"),
    Column("outcome", _T, "what the node answered", values=("positive", "negative", "not_eligible", "failed")),
    Column("outcome_reason", _T, "why there was no answer, of the node's closed list"),
    Column("probability", _N, "the model's probability of a pneumothorax", unit="1"),
    Column("threshold", _N, "at and above which it is called positive", unit="1"),
    Column("laterality", _T, "side of the finding", source="node"),
    Column("area", _N, "of the mask on a radiograph", unit="mm2"),
    Column("volume", _N, "of the mask in a CT", unit="mL"),
    Column("truth_kind", _T, "whose truth", values=("report", "reader", "mask")),
    Column("label", _T, "what the truth says", values=("positive", "negative", "uncertain", "resolved", "not_mentioned", "not_covered")),
    Column("truth", _Y, "pneumothorax by that label; empty where it is uncertain or there is none"),
    Column("truth_laterality", _T, "side that the truth names"),
    Column("truth_size", _T, "the report's word for its size"),
    Column("truth_depth", _N, "largest measure named", unit="mm"),
    Column("drain", _Y, "a pleural drain is named"),
    Column("label_rule", _T, "rule of the labeller, or `person`"),
    Column("label_version", _T, "version of the labeller"),
    Column("span_sha256", _T, "SHA-256, keyed, of the words that decided; the words themselves stay at the site"),
    Column("interval_min", _N, "from the image to the CT", unit="min"),
    Column("agreement", _T, "", values=("true_positive", "false_positive", "true_negative", "false_negative", "undecided")),
    Column("exclusion", _T, "why the row counts in no figure; empty where it counts"),
)

BY_NAME = {column.name: column for column in COLUMNS}
