"""The header scan agrees with pydicom, whatever the chunks, and knows a whole data set from a cut one."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ptx_node.dicom.header_scan import Wholeness, scan_for
from ptx_node.dicom.identity import identifiers_from_scan, uid_problem
from ptx_node.dicom.part10 import split_part10
from ptx_node.domain.study import Identifiers

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
NAMES = {
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "modality": "Modality",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "accession_number": "AccessionNumber",
}


def scan(data: bytes | memoryview, syntax: str, chunk: int) -> tuple[Wholeness, Identifiers]:
    one = scan_for(syntax, max_bytes=10**8)
    view = memoryview(data)
    for start in range(0, len(view), chunk):
        one.feed(view[start : start + chunk])
    return one.end(), identifiers_from_scan(one.values, syntax)


def encode(ds: Dataset, syntax: str) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    write_dataset(out, ds)
    data = out.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return deflate.compress(data) + deflate.flush()
    return data


def image(**values: str) -> Dataset:
    """A data set with sequences before, between and after the identifiers, of defined and undefined length."""
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    inner, item = Dataset(), Dataset()
    inner.ReferencedSOPInstanceUID, inner.PatientID = "9.9.9", "not this one"
    item.ReferencedSOPClassUID, item.StudyInstanceUID, item.ReferencedSOPSequence = "8.8.8", "7.7.7", [inner]
    for keyword, undefined in (
        ("ReferencedStudySequence", True),
        ("RequestAttributesSequence", False),
        ("SharedFunctionalGroupsSequence", True),
    ):
        setattr(ds, keyword, [item])
        ds[keyword].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = True
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.PixelRepresentation = 2, 2, 8, 0
    ds.add_new(0x7FE00010, "OW", b"\x01\x02\x03\x04")
    return ds


text = st.from_regex(r"[A-Z0-9]{0,16}", fullmatch=True)
uid = st.from_regex(r"[1-9](\.[1-9][0-9]{0,9}){1,4}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({keyword: uid if keyword.endswith("UID") else text for keyword in NAMES.values()}), st.integers(1, 300))
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_scan_reads_what_was_written_in_chunks_of_any_size(syntax: str, values: dict[str, str], chunk: int) -> None:
    wholeness, identifiers = scan(encode(image(**values), syntax), syntax, chunk)
    assert wholeness is Wholeness.WHOLE
    assert {name: values[keyword] for name, keyword in NAMES.items()} == {name: getattr(identifiers, name) for name in NAMES}


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_a_data_set_is_whole_only_where_an_element_ends(syntax: str) -> None:
    ds = image(SOPClassUID="1.2", SOPInstanceUID="1.3", PatientID="P")
    elements = list(ds)
    ends = {len(encode(Dataset({e.tag: e for e in elements[:count]}), syntax)) for count in range(1, len(elements) + 1)}
    data = encode(ds, syntax)
    padded = {end + zeros for end in ends for zeros in range(8) if not data[end : end + zeros].strip(b"\0")}
    found = {length for length in range(1, len(data) + 1) if scan(data[:length], syntax, 64)[0] is Wholeness.WHOLE}
    assert ends <= found
    assert found <= padded


def test_a_deflated_data_set_that_is_cut_is_never_whole() -> None:
    data = encode(image(SOPClassUID="1.2", SOPInstanceUID="1.3", PatientID="P"), DeflatedExplicitVRLittleEndian)
    found = {scan(data[:length], DeflatedExplicitVRLittleEndian, 64)[0] for length in range(len(data))}
    assert found == {Wholeness.TRUNCATED}


@given(st.binary(max_size=2000), st.sampled_from(SYNTAXES), st.integers(1, 100))
def test_no_bytes_make_the_scan_raise(data: bytes, syntax: str, chunk: int) -> None:
    assert scan(data, syntax, chunk)[0] in set(Wholeness)


def test_the_scan_agrees_with_pydicom_on_real_files(real_files: Path) -> None:
    files = sorted(real_files.rglob("*.dcm"))
    assert len(files) > 10
    for path in files:
        part = split_part10(memoryview(path.read_bytes()))
        ds = dcmread(path, stop_before_pixels=True)
        wholeness, identifiers = scan(part.data_set, part.transfer_syntax_uid, 16_384)
        assert (path.name, wholeness) == (path.name, Wholeness.WHOLE)
        for name, keyword in NAMES.items():
            assert str(ds.get(keyword, "") or "") == getattr(identifiers, name), (path.name, keyword)
        assert str(ds.file_meta.TransferSyntaxUID) == part.transfer_syntax_uid


def test_a_deflated_bomb_is_given_up_at_the_limit() -> None:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflate.compress(encode(image(PatientID="P"), ExplicitVRLittleEndian) + bytes(10**7)) + deflate.flush()
    one = scan_for(DeflatedExplicitVRLittleEndian, max_bytes=10**6)
    one.feed(memoryview(bomb))
    assert one.end() is Wholeness.ODD


def test_text_is_decoded_by_its_character_set() -> None:
    ds = image(SpecificCharacterSet="ISO_IR 192", PatientID="Zoë-1")
    assert scan(encode(ds, ExplicitVRLittleEndian), ExplicitVRLittleEndian, 50)[1].patient_id == "Zoë-1"


@pytest.mark.parametrize("bad", ["", "../x", "ID_0011", "1" * 65, "1.02", "1..2", "1.2.", "1.2\n", "\u0661.2"])
def test_an_invalid_uid_is_told(bad: str) -> None:
    assert uid_problem(bad)


@pytest.mark.parametrize("good", ["1.2.3", "0.1", "2.25.123456789012345678901234567890", "1" * 64])
def test_a_valid_uid_has_no_problem(good: str) -> None:
    assert uid_problem(good) is None
