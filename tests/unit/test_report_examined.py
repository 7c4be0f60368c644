"""A report of another region than the thorax denies nothing: labels see what was examined."""

from __future__ import annotations

import pytest

from ptx_node.domain.radiology_report import Examination
from ptx_node.domain.truth import LabelValue, ReviewReason
from ptx_node.reports import label_examined
from ptx_node.reports.examined import covers_thorax


def examination(procedure: str, modality: str = "CT") -> Examination:
    return Examination(modality=modality, procedure_text=procedure)


WITH_THORAX = (
    "CT CHEST W CONTRAST|Chest, abdomen and pelvis CT|CT_CAP|Scanner thoraco-abdomino-pelvien|TDM TAP|Angioscanner pulmonaire|CTPA|HRCT|"
    "CT head and chest|Whole-body CT polytrauma|Bodyscanner|CTA PE protocol|Scanner du thorax|TEP-TDM|CT thoracic spine|CT ribs"
)
WITHOUT = (
    "CT HEAD WO CONTRAST|Scanner cérébral|TDM abdomino-pelvienne|CT abdomen and pelvis|CT abdomen pelvis incl. lung bases|"
    "Scanner abdominal, bases pulmonaires|CT cervical spine|CT thoracolumbar spine|Scanner du rachis lombaire|CT sinuses|"
    "Uroscanner|CT Neck|Scanner des rochers|CT left knee|Angioscanner des TSA"
)
UNSAID = "|CT|Scanner|CT with contrast|TDM injectée|Follow-up|CTA aorta|Imaging guidance"


@pytest.mark.parametrize(("covered", "procedures"), [(True, WITH_THORAX), (False, WITHOUT), (None, UNSAID)])
def test_the_region_is_told_by_the_words_of_the_procedure(covered: bool | None, procedures: str) -> None:
    wrong = [one for one in procedures.split("|") if covers_thorax(examination(one)) is not covered]
    assert not wrong


def test_a_modality_that_never_shows_the_thorax_tells_too() -> None:
    assert covers_thorax(examination("", "MG")) is False
    assert covers_thorax(examination("Chest", "MG")) is True


@pytest.mark.parametrize(
    ("text", "value", "doubtful"),
    [
        ("Normal liver. No free fluid.", LabelValue.NOT_COVERED, False),
        ("Lung bases: no pneumothorax. Normal liver.", LabelValue.NOT_COVERED, True),
        ("The pneumothorax has resolved.", LabelValue.NOT_COVERED, True),
        ("Small left basal pneumothorax. Normal liver.", LabelValue.POSITIVE, True),
        ("Possible pneumothorax at the right base.", LabelValue.UNCERTAIN, True),
    ],
)
def test_only_what_is_there_counts_where_the_thorax_was_not_examined(text: str, value: LabelValue, doubtful: bool) -> None:
    found = label_examined(text, examination("CT abdomen and pelvis"))
    assert (value, doubtful) == (found.value, ReviewReason.OTHER_REGION in found.review)
    same = label_examined(text, examination("CT chest, abdomen and pelvis"))
    assert LabelValue.NOT_COVERED is not same.value
    assert same == label_examined(text, examination(""))
