"""Results keep their identity over re-runs, and the patient's exactly, in every character set."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pydicom
import pytest
from pydicom.dataset import Dataset

from ptx_node.dicom.carry_over import OPTIONAL, TYPE_2, writable
from ptx_node.dicom.uids import derived_uid, input_digest
from ptx_node.domain.finding import Finding, Outcome, ResultKind
from ptx_node.errors import InputError
from ptx_node.pipeline.results import EncodedResult, encode_results
from tests import factories as make
from tests.conformance.conftest import SOURCES, Case
from tests.findings import CONTEXT, RETRAINED, finding, picture

Cases = dict[tuple[str, Outcome], Case]


def encode(sources: list[Dataset], answer: Finding, context: object = CONTEXT) -> dict[ResultKind, EncodedResult]:
    seen = picture(sources) if "Rows" in sources[0] else None
    results = encode_results(answer, sources, kinds=ResultKind, context=context, picture=seen)  # type: ignore[arg-type]
    return {one.kind: one for one in results}


def uids(results: dict[ResultKind, EncodedResult]) -> set[str]:
    return {str(one.dataset.SOPInstanceUID) for one in results.values()}


@pytest.mark.parametrize("name", ["dx", "ct", "enhanced_ct"])
def test_the_same_context_gives_the_same_bytes(cases: Cases, name: str) -> None:
    sources = [make.header(ds) for ds in SOURCES[name]()]
    again = encode(sources, finding(sources))
    case = cases[name, Outcome.POSITIVE]
    assert {kind: path.read_bytes() for kind, path in case.paths.items()} == {kind: one.part10() for kind, one in again.items()}


def test_the_order_in_which_sources_come_does_not_matter() -> None:
    sources = [make.header(ds) for ds in make.ct_series(4, size=make.Size(32, 32))]
    answer = finding(sources)
    seen = picture(sources)
    first, other = (encode_results(answer, given, kinds=ResultKind, context=CONTEXT, picture=seen) for given in (sources, sources[::-1]))
    assert 3 == len(first)
    assert [one.part10() for one in first] == [one.part10() for one in other]


def test_a_missing_source_is_an_error_and_not_a_shifted_mask() -> None:
    sources = [make.header(ds) for ds in make.ct_series(4, size=make.Size(32, 32))]
    with pytest.raises(InputError, match="input_missing"):
        encode(sources[1:], finding(sources))


def test_a_failure_on_a_source_that_is_not_there_is_reported_on_what_is_there() -> None:
    sources = [make.header(ds) for ds in make.ct_series(3, size=make.Size(32, 32))]
    assert {ResultKind.SR} == encode(sources[1:], finding(sources, Outcome.FAILED)).keys()
    with pytest.raises(InputError, match="unreadable_header"):
        encode([Dataset()], Finding(Outcome.FAILED, ("1.2.3",), RETRAINED))


def test_a_rerun_keeps_every_uid_and_a_retrained_model_keeps_none() -> None:
    sources = [make.header(make.dx())]
    first = encode(sources, finding(sources))
    later = encode(sources, finding(sources, probability=0.5), replace(CONTEXT, now=CONTEXT.now + timedelta(days=1), software_version="10"))
    assert uids(first) == uids(later)
    assert not uids(first) & uids(encode(sources, finding(sources, model=RETRAINED)))


def test_a_failure_report_and_the_answer_of_a_later_retry_are_different_documents() -> None:
    sources = [make.header(make.dx())]
    documents = [encode(sources, finding(sources, outcome))[ResultKind.SR].dataset.SOPInstanceUID for outcome in Outcome]
    assert 3 == len(set(documents)), "positive and negative are the same document, the other two are their own"


def test_no_two_kinds_studies_or_inputs_share_a_uid() -> None:
    one, other = [make.header(make.dx())], [make.header(make.dx(make.Place(instance=2)))]
    elsewhere = [make.header(make.dx(StudyInstanceUID="1.2.3"))]
    everything = [uids(encode(sources, finding(sources))) for sources in (one, other, elsewhere)]
    assert 9 == len(set.union(*everything))


def test_results_of_one_source_series_share_a_series_for_each_kind() -> None:
    first, second = ([make.header(make.cr(make.Place(instance=n)))] for n in (1, 2))
    a, b = encode(first, finding(first)), encode(second, finding(second))
    assert {kind: a[kind].dataset.SeriesInstanceUID for kind in a} == {kind: b[kind].dataset.SeriesInstanceUID for kind in b}
    assert 3 == len({one.dataset.SeriesInstanceUID for one in a.values()})
    assert [1, 2] == [one[ResultKind.SR].dataset.InstanceNumber for one in (a, b)]


def test_derived_uids_are_valid_and_depend_on_where_parts_begin() -> None:
    assert pydicom.uid.UID(derived_uid("a", "b")).is_valid
    assert derived_uid("ab", "c") != derived_uid("a", "bc")
    assert input_digest("study", ["b", "a"]) == input_digest("study", ["a", "b", "a"]) != input_digest("other", ["a", "b"])


@pytest.mark.parametrize("name", SOURCES)
def test_patient_and_study_are_carried_over_byte_for_byte(cases: Cases, name: str) -> None:
    for outcome in Outcome:
        case = cases[name, outcome]
        source = make.header(SOURCES[name]()[0])
        for kind in case.paths:
            result = case.read(kind)
            for keyword in ("SpecificCharacterSet", "StudyInstanceUID", *TYPE_2, *OPTIONAL):
                if keyword in source:
                    assert raw(source, keyword) == raw(result, keyword), f"{keyword} in {kind}"
            assert set(TYPE_2) <= set(result.dir())


def raw(ds: Dataset, keyword: str) -> object:
    """The bytes of an element, or its value where the library has already looked at it."""
    value = ds.get_item(keyword).value
    return value.rstrip(b" \0") if isinstance(value, bytes) else value or b""


def test_names_are_read_back_in_their_characters(cases: Cases) -> None:
    for name, expected in (("japanese", make.JAPANESE), ("utf8", make.UTF8), ("latin1", make.LATIN1)):
        for kind in ResultKind:
            assert expected["PatientName"] == str(cases[name, Outcome.POSITIVE].read(kind).PatientName)


@pytest.mark.parametrize(
    ("declared", "value"), [("ISO_IR 192", b"Buc^J\xe9r\xf4me"), ("ISO_IR 999", b"Buc^J\xe9r\xf4me"), ("ISO_IR 100", "山田".encode())]
)
def test_a_wrong_character_set_loses_nothing(declared: str, value: bytes) -> None:
    data = make.as_file(make.dx(PatientName="X" * len(value), SpecificCharacterSet="ISO_IR 100"))
    data = data.replace(b"X" * len(value), value).replace(b"ISO_IR 100", declared.encode())
    sources = [pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)]
    for result in encode(list(sources), finding(sources)).values():
        read = pydicom.dcmread(io.BytesIO(result.part10()))
        assert value == raw(read, "PatientName")


def test_our_own_words_fit_into_the_character_set_of_the_source() -> None:
    assert "Hôpital" == writable("Hôpital", make.header(make.dx(**make.LATIN1)))
    assert "Hopital" == writable("Hôpital", make.header(make.dx(**make.ASCII)))
    assert "Hopital" == writable("Hôpital", make.header(make.dx(**make.JAPANESE)))
    assert "病院" == writable("病院", make.header(make.dx(**make.UTF8)))
    assert "one two" == writable("one\\two\n", make.header(make.dx()))
    assert 64 == len(writable("x" * 100, make.header(make.dx())))


def test_an_optional_value_that_its_vr_forbids_is_left_behind_and_the_rest_stays() -> None:
    sources = [make.header(make.dx(PatientAge="62", PatientSex="male", PatientWeight="70.5"))]
    result = encode(sources, finding(sources))[ResultKind.SR].dataset
    assert "PatientAge" not in result
    assert ("male", 70.5) == (result.PatientSex, result.PatientWeight)


def test_times_are_written_in_the_zone_of_the_source_else_of_the_site() -> None:
    for offset, hour, expected in ((make.ABSENT, "10", "+0100"), ("-0330", "06", "-0330"), ("nonsense", "10", "+0100")):
        sources = [make.header(make.dx(TimezoneOffsetFromUTC=offset))]
        for one in encode(sources, finding(sources)).values():
            assert (hour, expected) == (one.dataset.ContentTime[:2], one.dataset.TimezoneOffsetFromUTC)


def test_the_issuer_and_the_request_stay_with_the_patient() -> None:
    issuer = Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = "1.2.3.4", "ISO"
    sources = [make.header(make.dx(IssuerOfPatientIDQualifiersSequence=[issuer], AdmissionID="ADM-1"))]
    for one in encode(sources, finding(sources)).values():
        ds = one.dataset
        assert ("EXAMPLE", "1.2.3.4", "ADM-1", "A000001", "Smith^Anna") == (
            ds.IssuerOfPatientID,
            ds.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID,
            ds.AdmissionID,
            ds.AccessionNumber,
            str(ds.ReferringPhysicianName),
        )
