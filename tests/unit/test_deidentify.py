"""Objects that leave: nothing of the person stays in any attribute, the pixels are the same, the object is a valid one."""

from __future__ import annotations

import io
import shutil
import struct
import warnings
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from ptx_node.dicom.attributes import UNREADABLE
from ptx_node.dicom.deidentify import Deidentified, deidentify, deidentify_file
from ptx_node.dicom.deidentify_pixels import PixelText, Unexportable
from ptx_node.dicom.deidentify_table import DEVICE
from ptx_node.domain.pseudonym import Pseudonyms, patient_identity
from ptx_node.errors import InputError
from tests import factories as make
from tests.conformance.validators import dciodvfy_errors

PSEUDONYMS = Pseudonyms(b"a secret of the site, 32 bytes..", "2026")
NAME, DAY, UID = "Zsentinel", "19611107", "1.2.840.99999.4711"
TEXT = frozenset(["AE", "AS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
ORIGINALS: dict[str, Callable[[], Dataset]] = {
    "dx": make.dx,
    "cr": make.cr,
    "ct": lambda: make.ct_series(1)[0],
    "siim": make.siim_like,
    "enhanced_ct": lambda: make.enhanced_ct(3),
}


def read_back(one: Deidentified) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(one.part10()))


def part10(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def sentinel(vr: str) -> Any:
    """A value of the VR that names the person, if the VR can; otherwise None."""
    if vr in TEXT:
        return NAME[:16]
    if "OB" in vr or vr == "UN":
        return NAME.encode() + b"\0"
    return {"CS": NAME, "DA": DAY, "DT": DAY + "101500", "TM": NAME, "UI": UID, "IS": None, "DS": None}.get(vr)


def full_of_sentinels(kept: frozenset[str] = DEVICE) -> Dataset:
    """Every attribute of PS3.6 with a value of the person in it, but pixels, what an image must have, and `kept`."""
    ds = make.dx()
    needed = {"SOPClassUID", "PatientAge", "PatientID", "PatientName", "BurnedInAnnotation", "RecognizableVisualFeatures", "PixelData"}
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        group = tag >> 16
        if keyword in kept | needed or group in {0x0000, 0x0002, 0x0004, 0x0028, 0x7FE0, 0xFFFE}:
            continue
        value = sentinel(vr)
        if value is not None:
            ds.add(DataElement(tag, vr.split(" or ")[0], value))
    return ds


@pytest.fixture(autouse=True)
def _values_that_no_standard_allows() -> Any:
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_name_a_date_or_a_uid_in_any_attribute_does_not_leave() -> None:
    ds = full_of_sentinels()
    assert len(ds) > 1700
    data = deidentify(ds, PSEUDONYMS).part10()
    for value in (NAME, NAME.upper(), DAY, UID):
        assert value.encode() not in data


def test_nor_does_it_from_within_any_sequence() -> None:
    """Each sequence of PS3.6 holds an item with all of it, one more level down too."""
    inner = full_of_sentinels()
    del inner.PixelData
    ds = make.dx()
    for tag, (vr, *_) in DicomDictionary.items():
        if vr == "SQ" and (tag >> 16) not in {0x0000, 0x0002, 0x0004}:
            item = Dataset()
            item.PatientName, item.StudyDate, item.ReferencedSOPInstanceUID = NAME, DAY, UID
            item.SourceImageSequence = [inner] if tag in (Tag("ReferencedImageSequence"), Tag("SegmentSequence")) else []
            ds.add(DataElement(tag, "SQ", [item]))
    data = deidentify(ds, PSEUDONYMS).part10()
    for value in (NAME, NAME.upper(), DAY, UID):
        assert value.encode() not in data


SMALL = part10(make.dx(size=make.Size(8, 8)))
DAMAGED = [SMALL, *(part10(ds) for ds in (*make.ct_series(1, size=make.Size(8, 8)), make.enhanced_ct(2, size=make.Size(8, 8))))]
implicit = make.dx(size=make.Size(8, 8))
implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
DAMAGED.append(part10(implicit))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(tag for tag in DicomDictionary if tag >> 16 > 4)), st.binary(min_size=9, max_size=60))
def test_no_bytes_in_an_attribute_with_an_unknown_vr_leave(tag: int, value: bytes) -> None:
    """UN, with a known tag: pydicom takes it for what the dictionary says, whatever it is, and logs what it finds odd."""
    marked = b"Zsen/tinel" + value
    marked += b"\0" * (len(marked) % 2)
    element = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"UN", 0, len(marked)) + marked
    try:
        made = deidentify(pydicom.dcmread(io.BytesIO(SMALL + element)), PSEUDONYMS).part10()
    except InputError as error:
        assert error.reason in set(Unexportable)  # noqa: PT017 - refusing it is right as well
        return
    assert b"Zsen/tinel" not in made


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 3), st.lists(st.tuples(st.integers(132, 1500), st.binary(min_size=1, max_size=3)), min_size=1, max_size=8))
def test_a_damaged_object_is_refused_or_leaves_without_its_patient(which: int, damages: list[tuple[int, bytes]]) -> None:
    """A wrong length makes an innocent attribute swallow the ones behind it."""
    data = bytearray(DAMAGED[which])
    for place, written in damages:
        data[place : place + len(written)] = written
    try:
        made = deidentify(pydicom.dcmread(io.BytesIO(bytes(data))), PSEUDONYMS).part10()
    except InputError as error:
        assert error.reason in set(Unexportable)  # noqa: PT017 - refusing it is right as well
        return
    except UNREADABLE:  # by dcmread, which `deidentify_file` answers
        return
    assert b"Doe^Jane" not in made
    assert b"P-0001" not in made


def test_private_and_repeating_groups_icons_and_digital_signatures_are_gone() -> None:
    ds = make.dx()
    block = ds.private_block(0x0009, "ACME 1", create=True)
    block.add_new(0x01, "LO", NAME)
    block.add_new(0x02, "UN", NAME.encode())
    ds.add_new(0x60000010, "US", 8)
    ds.add_new(0x60003000, "OW", NAME.encode() + b"\0")
    ds.add_new(0x50003000, "OW", NAME.encode() + b"\0")
    ds.add_new(0x00090000, "UL", 4)
    icon = make.dx(size=make.Size(8, 8))
    ds.IconImageSequence, ds.DigitalSignaturesSequence, ds.OriginalAttributesSequence = [icon], [Dataset()], [icon]
    ds.AnatomicRegionSequence[0].private_block(0x0021, "ACME 2", create=True).add_new(1, "LO", NAME)
    back = read_back(deidentify(ds, PSEUDONYMS))
    assert not [
        element for element in back.iterall() if element.tag.is_private or (element.tag.group >= 0x5000 and element.tag.group < 0x7FE0)
    ]
    assert not {"IconImageSequence", "DigitalSignaturesSequence", "OriginalAttributesSequence"} & {element.keyword for element in back}


def test_what_is_replaced_and_what_stays() -> None:
    place = make.Place(study=7)
    ds = make.dx(place, PatientAge="093Y", PatientWeight="81.5", StationName="ROOM 4", DeviceSerialNumber="4711", SoftwareVersions="2.1")
    ds.OperatorsName, ds.StudyDescription, ds.SeriesDescription = "Smith^Op", "CHEST for Mr Doe", "Chest PA"
    back = read_back(deidentify(ds, PSEUDONYMS))
    patient = patient_identity("P-0001", "EXAMPLE")
    assert back.PatientID == str(back.PatientName) == PSEUDONYMS.patient(patient)
    assert back.StudyInstanceUID == PSEUDONYMS.uid(place.uid(1))
    assert back.AccessionNumber == PSEUDONYMS.accession("A000007")
    assert (back.PatientSex, back.PatientAge, float(back.PatientWeight)) == ("F", "090Y", 81.5)
    assert (back.Manufacturer, back.ManufacturerModelName, back.SoftwareVersions) == ("Acme", "Ray 3", "2.1")
    assert back.PatientBirthDate == back.StudyID == str(back.ReferringPhysicianName) == ""
    assert back.SeriesDescription == "Chest PA"
    assert back.DeviceSerialNumber == "REMOVED"
    assert not {"StationName", "InstitutionName", "OperatorsName", "StudyDescription", "IssuerOfPatientID"} & {one.keyword for one in back}


def test_the_object_says_what_was_done() -> None:
    back = read_back(deidentify(make.dx(), PSEUDONYMS))
    assert back.PatientIdentityRemoved == "YES"
    assert back.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [item.CodeValue for item in back.DeidentificationMethodCodeSequence] == ["113100", "113105", "113107", "113108"]
    assert "PS3.15 2026c" in back.DeidentificationMethod[0]
    assert max(len(line) for line in back.DeidentificationMethod) <= 64


def test_the_file_meta_information_is_written_anew() -> None:
    ds = make.dx()
    ds.preamble = NAME.encode().ljust(128)
    ds.file_meta.SourceApplicationEntityTitle, ds.file_meta.ImplementationVersionName = "ROOM4", "ACME"
    ds.file_meta.PrivateInformationCreatorUID, ds.file_meta.PrivateInformation = pydicom.uid.UID(UID), NAME.encode() + b"\0"
    data = deidentify(ds, PSEUDONYMS).part10()
    meta = pydicom.dcmread(io.BytesIO(data)).file_meta
    assert data[:128] == b"\0" * 128
    assert meta.MediaStorageSOPInstanceUID == PSEUDONYMS.uid(make.Place().uid(3))
    assert {element.keyword for element in meta} == {
        *("FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"),
        *("TransferSyntaxUID", "ImplementationClassUID", "ImplementationVersionName"),
    }
    assert NAME.encode() not in data


def day_of(value: str) -> date:
    return date(int(value[:4]), int(value[4:6]), int(value[6:]))


def test_intervals_of_a_patient_stay_across_studies_and_attributes() -> None:
    first = deidentify(make.dx(make.Place(study=1), StudyDate="20260301", AcquisitionDateTime="20260301101500.25+0100"), PSEUDONYMS)
    second = deidentify(make.ct_series(1, make.Place(study=2), StudyDate="20260303", ContentDate="2026.03.04")[0], PSEUDONYMS)
    day = [day_of(one.dataset.StudyDate) for one in (first, second)]
    assert day[1] - day[0] == timedelta(days=2)
    assert first.dataset.AcquisitionDateTime == first.dataset.StudyDate + "101500.25"
    assert day_of(second.dataset.ContentDate) - day[1] == timedelta(days=1)
    assert first.dataset.StudyTime == "101500"


@pytest.mark.parametrize(
    ("sent", "left"), [("2026", "19000101"), ("yesterday", "19000101"), ("20261399", "19000101"), ("", ""), ("00010101", "19000101")]
)
def test_a_date_that_cannot_be_moved_says_nothing(sent: str, left: str) -> None:
    assert left == (deidentify(make.dx(SeriesDate=sent), PSEUDONYMS).dataset.SeriesDate or "")


def test_references_meet_what_they_refer_to_also_under_invalid_uids() -> None:
    image = make.dx(SOPInstanceUID="ID_0011fe81e")
    other = make.cr()
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, "ID_0011fe81e"
    other.SourceImageSequence = [reference]
    referring = deidentify(other, PSEUDONYMS).dataset
    assert referring.SourceImageSequence[0].ReferencedSOPInstanceUID == deidentify(image, PSEUDONYMS).dataset.SOPInstanceUID
    assert referring.SourceImageSequence[0].ReferencedSOPClassUID == image.SOPClassUID


def test_patients_without_a_number_are_not_made_one_and_the_callers_word_counts() -> None:
    without = [deidentify(make.dx(make.Place(study=n), PatientID=""), PSEUDONYMS).dataset.PatientID for n in (1, 2)]
    assert len(set(without)) == 2
    merged = [deidentify(make.dx(PatientID=number), PSEUDONYMS, patient="person 5").dataset.PatientID for number in "12"]
    assert merged == [PSEUDONYMS.patient("person 5")] * 2


def test_codes_stay_with_the_standards_meaning_and_private_codes_go() -> None:
    ds = make.dx()
    ds.ViewCodeSequence = make.code("399348003", "SCT", "as Dr Zsentinel likes it")
    ds.AnatomicRegionSequence = make.code("CHEST", "99ACME", "Zsentinel")
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = [*make.code("399067008", "SCT", NAME), *make.code("X1", "L", NAME)]
    ds.ProcedureCodeSequence = make.code("111111111", "SCT", NAME)
    made = deidentify(ds, PSEUDONYMS)
    back = read_back(made)
    assert NAME.encode() not in made.part10()
    assert "AnatomicRegionSequence" not in back
    assert [item.CodeValue for item in back.ViewCodeSequence[0].ViewModifierCodeSequence] == ["399067008"]
    assert back.ProcedureCodeSequence[0].CodeMeaning == "Meaning not exported"


@pytest.mark.parametrize(
    ("sent", "stays"),
    [
        *(("Thorax PA", True), ("CT CHEST 1.25 mm", True), ("RX poumons, face debout", True), ("", True)),
        *(("Chest Doe", False), ("CHEST 12.04", True), ("CHEST 12 04 70", False), ("CHEST 4711", False), ("Thórax", False)),
        *(("CHEST\nPA", False), ("B30f", False)),
    ],
)
def test_a_description_stays_only_if_all_of_it_is_known(sent: str, stays: bool) -> None:
    assert stays == (deidentify(make.dx(StudyDescription=sent), PSEUDONYMS).dataset.get("StudyDescription") == sent)


@pytest.mark.parametrize("sort", [make.JAPANESE, make.UTF8, make.LATIN1, make.ASCII, {"SpecificCharacterSet": "NO SUCH SET"}])
def test_no_character_set_hides_a_name(sort: dict[str, Any]) -> None:
    back = read_back(deidentify(pydicom.dcmread(io.BytesIO(part10(make.cr(**sort)))), PSEUDONYMS))
    assert str(back.PatientName).isascii()
    assert str(back.ReferringPhysicianName) == ""
    assert "SpecificCharacterSet" not in back


def test_a_maker_beyond_ascii_stays_readable() -> None:
    back = read_back(deidentify(make.cr(SpecificCharacterSet="ISO_IR 100", Manufacturer="Générale"), PSEUDONYMS))
    assert (back.Manufacturer, back.SpecificCharacterSet) == ("Générale", "ISO_IR 192")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, Unexportable.TEXT_IN_PIXELS),
        ({"RecognizableVisualFeatures": "YES"}, Unexportable.FACE),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "BurnedInAnnotation": make.ABSENT}, Unexportable.PIXELS_NOT_REVIEWED),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "BurnedInAnnotation": make.ABSENT}, Unexportable.PIXELS_NOT_REVIEWED),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, Unexportable.PIXELS_NOT_REVIEWED),
    ],
)
def test_pixels_that_may_name_somebody_need_a_person_who_looked(changes: dict[str, Any], reason: Unexportable) -> None:
    ds = make.dx(**changes)
    with pytest.raises(InputError) as caught:
        deidentify(ds, PSEUDONYMS)
    assert caught.value.reason == reason
    assert deidentify(ds, PSEUDONYMS, pixels_reviewed=True).pixel_text is PixelText.REVIEWED


def test_what_else_is_refused() -> None:
    overlay = make.dx()
    overlay.add_new(0x60020010, "US", 8)
    report = make.dx(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    no_uid = make.dx()
    del no_uid.SOPInstanceUID
    no_syntax = make.dx()
    no_syntax.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.113619.5.2")
    reasons = []
    for ds in (overlay, report, no_uid, no_syntax):
        with pytest.raises(InputError) as caught:
            deidentify(ds, PSEUDONYMS, pixels_reviewed=True)
        reasons.append(caught.value.reason)
        assert "Doe" not in str(caught.value)
    assert reasons == [Unexportable.OVERLAY_IN_PIXELS, Unexportable.UNSUPPORTED, Unexportable.BROKEN, Unexportable.BROKEN]


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(b"no DICOM at all")
    with pytest.raises(InputError, match="broken"):
        deidentify_file(tmp_path / "x.dcm", PSEUDONYMS)


def test_what_is_known_about_text_in_pixels_is_said() -> None:
    assert deidentify(make.dx(), PSEUDONYMS).pixel_text is PixelText.STATED_CLEAN
    assert deidentify(make.cr(), PSEUDONYMS).pixel_text is PixelText.NOT_STATED


def test_bytes_behind_the_last_pixel_do_not_leave() -> None:
    ds = make.dx()
    pixels = ds.PixelData
    ds.PixelData = pixels + NAME.encode() + b"\0"
    assert read_back(deidentify(ds, PSEUDONYMS)).PixelData == pixels


def test_values_that_their_attribute_cannot_have_go() -> None:
    ds = make.dx(PatientSex="FEMALE", ViewPosition="PA for Doe", PatientAge="old")
    ds.add(DataElement(0x00180060, "LO", NAME))  # KVP
    back = read_back(deidentify(ds, PSEUDONYMS))
    assert back.PatientSex == back.PatientAge == ""
    assert not {"ViewPosition", "KVP"} & {element.keyword for element in back}


def test_the_same_key_writes_the_same_bytes_and_another_key_none_of_the_same_names() -> None:
    ds = make.ct_series(1)[0]
    assert deidentify(ds, PSEUDONYMS).part10() == deidentify(make.ct_series(1)[0], PSEUDONYMS).part10()
    other = deidentify(ds, Pseudonyms(b"another secret of 32 bytes......")).dataset
    mine = deidentify(ds, PSEUDONYMS).dataset
    for keyword in ("PatientID", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert mine[keyword].value != other[keyword].value


def test_the_original_is_not_changed() -> None:
    ds = make.dx(AcquisitionContextSequence=make.code("1", "L", NAME))
    before = ds.to_json()
    deidentify(ds, PSEUDONYMS)
    assert ds.to_json() == before


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_native_transfer_syntax_keeps_its_pixels(syntax: pydicom.uid.UID) -> None:
    ds = make.dx(SmallestImagePixelValue=0, PixelPaddingValue=0)
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = ds.pixel_array.byteswap().tobytes()
    original = pydicom.dcmread(io.BytesIO(part10(ds)))
    back = read_back(deidentify(original, PSEUDONYMS))
    assert back.file_meta.TransferSyntaxUID == syntax
    assert back.PixelData == original.PixelData
    assert back.PixelPaddingValue == 0


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("name", ORIGINALS)
def test_an_object_is_no_less_valid_than_its_original(name: str, tmp_path: Path) -> None:
    ds = ORIGINALS[name]()
    ds.save_as(tmp_path / "original.dcm", enforce_file_format=True)
    (tmp_path / "left.dcm").write_bytes(deidentify_file(tmp_path / "original.dcm", PSEUDONYMS, pixels_reviewed=True).part10())
    assert set(dciodvfy_errors(tmp_path / "left.dcm")) <= set(dciodvfy_errors(tmp_path / "original.dcm"))


def test_real_files_open_with_the_same_pixels_and_none_of_their_identifiers(real_files: Path) -> None:
    compared = 0
    for path in sorted(real_files.rglob("*.dcm")):
        made = deidentify_file(path, PSEUDONYMS, pixels_reviewed=True)
        original, back = pydicom.dcmread(path), read_back(made)
        assert back.PixelData == original.PixelData, path.name
        assert not [element for element in back.iterall() if element.tag.is_private], path.name
        for keyword in ("PatientID", "StudyInstanceUID", "SOPInstanceUID", "AccessionNumber", "StudyDate"):
            assert not original.get(keyword) or back.get(keyword) != original.get(keyword), (path.name, keyword)
        assert (back.Rows, back.Columns, back.get("PixelSpacing")) == (original.Rows, original.Columns, original.get("PixelSpacing"))
        compared += 1
    assert compared >= 15
