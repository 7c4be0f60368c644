"""What a model reads, told from the header: refused on positive evidence only, each refusal with its own code."""

from __future__ import annotations

import resource
import zlib
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ptx_node.dicom.attributes import attributes_of, read_attributes
from ptx_node.dicom.file_meta import encode_file_meta
from ptx_node.dicom.part10 import split_part10
from ptx_node.domain.anatomy import View, names_chest, names_other_part, view_of
from ptx_node.domain.eligibility import SENTENCES, Reason, Refusal, Requirements, eligibility
from ptx_node.errors import InputError
from tests.factories import ABSENT, as_file, code, cr, ct_series, dx, enhanced_ct, header, siim_like

RADIOGRAPH = Requirements("radiograph", min_age_years=18, min_rows=128, min_columns=128)
CT = Requirements("ct", min_rows=64, min_columns=64)

SEG_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
REPORT_3D = "1.2.840.10008.5.1.4.1.1.88.34"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
UNSTATED = {
    "BodyPartExamined": "",
    "ViewPosition": "",
    "PatientOrientation": "",
    "ViewCodeSequence": ABSENT,
    "AnatomicRegionSequence": ABSENT,
}


def refusal_of(ds: Any, requirements: Requirements = RADIOGRAPH) -> Refusal | None:
    return eligibility(attributes_of(header(ds)), requirements)


def reason_of(ds: Any, requirements: Requirements = RADIOGRAPH) -> str | None:
    refusal = refusal_of(ds, requirements)
    return str(refusal.reason) if refusal else None


def test_every_reason_has_a_sentence() -> None:
    """A person never sees a bare code."""
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize(
    ("ds", "requirements"),
    [
        pytest.param(dx(), RADIOGRAPH, id="dx"),
        pytest.param(cr(), RADIOGRAPH, id="cr"),
        pytest.param(siim_like(), RADIOGRAPH, id="siim: secondary capture that says CR"),
        pytest.param(cr(PatientAge="", PatientBirthDate=""), RADIOGRAPH, id="unknown age"),
        pytest.param(cr(ImageType=["DERIVED", "PRIMARY"]), RADIOGRAPH, id="processed for presentation"),
        pytest.param(cr(**{**UNSTATED, "StudyDescription": ""}), RADIOGRAPH, id="no body part, no view"),
        pytest.param(cr(**{**UNSTATED, "StudyDescription": "CHEST PA AND LATERAL"}), RADIOGRAPH, id="study of two views"),
        pytest.param(cr(**{**UNSTATED, "SeriesDescription": "Thorax face/profil"}), RADIOGRAPH, id="series of two views"),
        pytest.param(
            cr(**{**UNSTATED, "BodyPartExamined": "ABDOMEN", "SeriesDescription": "Thorax de face"}), RADIOGRAPH, id="wrong body part"
        ),
        pytest.param(cr(Modality="DR"), RADIOGRAPH, id="modality DR"),
        pytest.param(ct_series(1)[0], CT, id="ct"),
        pytest.param(enhanced_ct(), CT, id="enhanced ct"),
        pytest.param(
            ct_series(1, BodyPartExamined="ABDOMEN", StudyDescription="CT chest abdomen pelvis")[0], CT, id="ct of several regions"
        ),
        pytest.param(ct_series(1, ImageOrientationPatient=[1, 0, 0, 0, 0.9, -0.43])[0], CT, id="gantry tilt"),
    ],
)
def test_eligible(ds: Any, requirements: Requirements) -> None:
    """What the model reads is not refused for what its header leaves out."""
    assert refusal_of(ds, requirements) is None


@pytest.mark.parametrize(
    ("ds", "expected"),
    [
        (cr(ViewPosition="LL", ViewCodeSequence=ABSENT), "lateral_view"),
        (cr(**{**UNSTATED, "ViewCodeSequence": code("399067008", "SCT", "lateral")}), "lateral_view"),
        (cr(**{**UNSTATED, "PatientOrientation": ["A", "F"]}), "lateral_view"),
        (cr(**{**UNSTATED, "SeriesDescription": "Thorax de profil"}), "lateral_view"),
        (cr(**{**UNSTATED, "SeriesDescription": "CHEST_LAT"}), "lateral_view"),
        (cr(ViewPosition="LLD"), "unsupported_view"),
        (cr(**{**UNSTATED, "SeriesDescription": "Chest left lateral decubitus"}), "unsupported_view"),
        (cr(**{**UNSTATED, "SeriesDescription": "CHEST AP R DECUB"}), "unsupported_view"),
        (cr(**{**UNSTATED, "ViewPosition": "LATERAL_LEFT"}), "lateral_view"),
        (cr(BodyPartExamined="KNEE", StudyDescription=""), "not_chest"),
        (cr(**{**UNSTATED, "StudyDescription": "ABDOMEN SANS PREPARATION"}), "not_chest"),
        (cr(**{**UNSTATED, "SeriesDescription": "Épaule droite", "StudyDescription": ""}), "not_chest"),
        (cr(**{**UNSTATED, "SeriesDescription": "Rachis thoracique F", "StudyDescription": ""}), "not_chest"),
        (cr(**{**UNSTATED, "AnatomicRegionSequence": code("56459004", "SCT", "Foot")}), "not_chest"),
        (cr(PatientAge="017Y"), "below_minimum_age"),
        (cr(PatientAge="006M"), "below_minimum_age"),
        (cr(PatientAge="", PatientBirthDate="20080302"), "below_minimum_age"),
        (dx(PresentationIntentType="FOR PROCESSING"), "for_processing"),
        (dx(SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1.1"), "for_processing"),
        (dx(SOPClassUID=MAMMOGRAPHY), "unsupported_sop_class"),
        (cr(ImageType=["DERIVED", "SECONDARY", "POST_PROCESSED"]), "derived"),
        (cr(SeriesDescription="Chest PA bone suppressed"), "derived"),
        (cr(NumberOfFrames=3), "multi_frame"),
        (cr(PhotometricInterpretation="RGB", SamplesPerPixel=3), "unsupported_photometric"),
        (cr(PhotometricInterpretation="PALETTE COLOR"), "unsupported_photometric"),
        (cr(Rows=127), "too_small"),
        (cr(Rows=ABSENT), "no_pixel_data"),
        (cr(BitsAllocated=32), "unsupported_pixels"),
        (cr(Modality="RF"), "wrong_modality"),
        (siim_like(Modality="OT"), "secondary_capture"),
        (siim_like(Modality=""), "secondary_capture"),
        (ct_series(1)[0], "wrong_modality"),
        *((cr(SOPClassUID=uid), "not_an_image") for uid in (SEG_STORAGE, REPORT_3D, KEY_OBJECTS, PRESENTATION_STATE)),
    ],
)
def test_radiograph_is_refused(ds: Any, expected: str) -> None:
    """Each refusal has the code that says why."""
    assert expected == reason_of(ds)


@pytest.mark.parametrize(
    ("ds", "expected"),
    [
        (ct_series(1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[0], "localizer"),
        (ct_series(1, SeriesDescription="Topogram 0.6 T80s")[0], "localizer"),
        (ct_series(1, ImageType=["DERIVED", "SECONDARY", "AXIAL"])[0], "derived"),
        (ct_series(1, ImageType=["DERIVED", "PRIMARY", "AXIAL", "MIP"])[0], "derived"),
        (ct_series(1, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])[0], "not_axial"),
        (ct_series(1, BodyPartExamined="HEAD", StudyDescription="CT Brain")[0], "not_chest"),
        (ct_series(1, NumberOfFrames=2)[0], "multi_frame"),
        (siim_like(Modality="CT"), "secondary_capture"),
        (cr(), "wrong_modality"),
    ],
)
def test_ct_is_refused(ds: Any, expected: str) -> None:
    """Scouts, reformats and other regions are not a chest CT."""
    assert expected == reason_of(ds, CT)


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "expected"),
    [
        ("1.2.840.10008.1.2.4.53", Reason.UNSUPPORTED_TRANSFER_SYNTAX),
        ("1.2.840.10008.1.2.4.55", Reason.UNSUPPORTED_TRANSFER_SYNTAX),
        ("1.2.840.10008.1.2.4.102", Reason.VIDEO),
    ],
)
def test_transfer_syntax_is_refused(transfer_syntax_uid: str, expected: Reason) -> None:
    """Retired JPEG processes and video are told before anybody tries to decode them."""
    ds = cr()
    ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
    refusal = eligibility(attributes_of(ds), RADIOGRAPH)
    assert refusal is not None
    assert expected == refusal.reason


def test_birthday_on_the_day_of_the_study_counts() -> None:
    """Eighteen years to the day is eighteen."""
    assert refusal_of(cr(PatientAge="", PatientBirthDate="20080301", StudyDate="20260301")) is None


def test_detail_names_no_patient() -> None:
    """A refusal's detail goes into the database and logs: never the birth date it was computed from."""
    refusal = refusal_of(cr(PatientAge="", PatientBirthDate="20200101"))
    assert refusal is not None
    assert "2020" not in refusal.detail


@pytest.mark.parametrize("text", ["CHEST", "Thorax", "Poumons", "CT TAP", "RADIO PULMONAIRE", "chest_pa", "Thoraco-abdominal"])
def test_words_for_the_chest(text: str) -> None:
    assert names_chest(text)


@pytest.mark.parametrize("text", ["T-SPINE", "Rachis dorsal", "Thoracic spine", "Genou droit", "SKULL", "Main gauche", "LSPINE"])
def test_words_for_other_parts(text: str) -> None:
    assert (names_chest(text), names_other_part(text)) == (False, True)


@pytest.mark.parametrize("text", ["Portable C-ARM", "main series", "bilateral", "AP arms up", "", "0123"])
def test_words_that_say_nothing(text: str) -> None:
    """Words that only resemble a part of the body are no evidence."""
    assert not names_other_part(text)
    assert view_of({"SeriesDescription": (text,)})[0] in {View.UNKNOWN, View.FRONTAL}


def test_nested_and_private_and_binary(tmp_path: Path) -> None:
    """Nested values have dotted paths; pixel data and private elements do not come along."""
    ds = dx()
    ds.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "secret")
    path = tmp_path / "a.dcm"
    path.write_bytes(as_file(ds))
    attributes = read_attributes(path)
    assert attributes["ViewCodeSequence.CodeValue"] == ("399348003",)
    assert attributes["ImageType"] == ("ORIGINAL", "PRIMARY")
    assert "PixelData" not in attributes
    assert not any("secret" in value for values in attributes.values() for value in values)


@pytest.mark.parametrize("content", [b"", b"not DICOM at all" * 50, b"\0" * 128 + b"DICM" + b"\xff" * 40])
def test_what_is_no_dicom_is_said_so(content: bytes, tmp_path: Path) -> None:
    """A header that cannot be read is a coded reason, not a crash."""
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_attributes(path)
    assert caught.value.reason == Reason.UNREADABLE_HEADER


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_cut_header_never_crashes(tmp_path: Path) -> None:
    """Wherever a file is cut, its header is read as far as it goes or refused with the coded reason."""
    whole = as_file(dx())
    path = tmp_path / "a.dcm"
    reasons = set()
    for length in range(0, 1600, 7):
        path.write_bytes(whole[:length])
        try:
            reasons.add("read" if read_attributes(path) else "empty")
        except InputError as error:
            reasons.add(error.reason)
    assert reasons == {"read", Reason.UNREADABLE_HEADER}


def test_deflated_header_is_read_without_inflating_everything(tmp_path: Path) -> None:
    """A small deflated file that would inflate to a gigabyte costs no memory."""
    ds = dx(Rows=17_000, Columns=17_000)
    del ds.PixelData
    squeeze = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    pixel_data = bytes.fromhex("e07f1000") + b"OW\0\0" + (500_000_000).to_bytes(4, "little")
    deflated = squeeze.compress(bytes(split_part10(memoryview(as_file(ds))).data_set) + pixel_data)
    deflated += b"".join(squeeze.compress(bytes(1_000_000)) for _ in range(500)) + squeeze.flush()
    meta = encode_file_meta(
        sop_class_uid=ds.SOPClassUID, sop_instance_uid=ds.SOPInstanceUID, transfer_syntax_uid=str(DeflatedExplicitVRLittleEndian)
    )
    path = tmp_path / "a.dcm"
    path.write_bytes(meta + deflated)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attributes = read_attributes(path)
    assert (attributes["Rows"], attributes["TransferSyntaxUID"]) == (("17000",), (str(DeflatedExplicitVRLittleEndian),))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 150_000


def test_real_files(real_files: Path) -> None:
    """Real input goes to the model that reads it, and retired codecs are refused."""
    assert eligibility(read_attributes(real_files / "cxr-jpeg-baseline-8bit.dcm"), RADIOGRAPH) is None
    assert eligibility(read_attributes(real_files / "ct-chest-slice-0.dcm"), CT) is None
    reasons = {}
    for path in sorted((real_files / "ct-transfer-syntaxes").iterdir()):
        refusal = eligibility(read_attributes(path), CT)
        reasons[path.name.rpartition("1.2.840.")[2].removesuffix(".dcm")] = refusal and refusal.reason
    refused = {name for name, reason in reasons.items() if reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX}
    assert {"10008.1.2.4.53", "10008.1.2.4.55"} == refused
    assert len(reasons) > len(refused)
    assert {None} == {reason for name, reason in reasons.items() if name not in refused}
