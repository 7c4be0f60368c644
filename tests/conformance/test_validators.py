"""Results pass the validators of the field without one error, for every kind, outcome and sort of source."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from ptx_node.domain.finding import Outcome, ResultKind
from tests import factories as make
from tests.conformance.conftest import SOURCES, Case, write_case
from tests.conformance.validators import dciodvfy_errors, dsrdump, pixelmed_reports
from tests.findings import finding

Cases = dict[tuple[str, Outcome], Case]

SUMMARY = "Error - Dicom dataset contains invalid data values"
"""Dciodvfy's last line where it named any invalid value before."""

# The validator takes a second a report: sources that make no difference to the tree are not repeated
REPORTS = [
    *(("dx", outcome) for outcome in Outcome),
    ("ct", Outcome.POSITIVE),
    ("ct", Outcome.NEGATIVE),
    ("enhanced_ct", Outcome.POSITIVE),
    ("nothing_of_type_2", Outcome.POSITIVE),
    ("secondary_capture", Outcome.NEGATIVE),
    ("japanese", Outcome.POSITIVE),
]


@pytest.mark.parametrize("name", SOURCES)
def test_dciodvfy_finds_no_error_in_any_result(cases: Cases, name: str) -> None:
    errors = {path.name: errors for outcome in Outcome for path in cases[name, outcome].paths.values() if (errors := dciodvfy_errors(path))}
    assert errors == {}


def test_pixelmed_finds_no_error_in_any_report(cases: Cases) -> None:
    paths = [cases[key].paths[ResultKind.SR] for key in REPORTS]
    reports = pixelmed_reports(paths)
    assert {path.name for path in paths} == reports.keys()
    for name, lines in reports.items():
        assert "Found Root Template TID_1500 (MeasurementReport)" in lines, name
        assert "IOD validation complete" in lines, name
        assert [line for line in lines if line.startswith("Error")] == [], name


def test_dcmtk_reads_every_report(cases: Cases) -> None:
    for case in cases.values():
        dump = dsrdump(case.paths[ResultKind.SR])
        assert dump.returncode == 0, dump.stderr
        assert "Comprehensive 3D SR Document" in dump.stdout


def test_each_outcome_is_written_as_the_kinds_it_can_be(cases: Cases) -> None:
    expected = {
        Outcome.POSITIVE: {ResultKind.SEG, ResultKind.SR, ResultKind.SC},
        Outcome.NEGATIVE: {ResultKind.SR, ResultKind.SC},
        Outcome.FAILED: {ResultKind.SR},
        Outcome.NOT_ELIGIBLE: {ResultKind.SR},
    }
    assert {(name, outcome): expected[outcome] for name, outcome in cases} == {key: set(case.paths) for key, case in cases.items()}


def test_a_source_with_invalid_uids_is_referenced_as_it_is(tmp_path: Path) -> None:
    sources = [
        make.header(make.siim_like(SOPInstanceUID="ID_0011fe81e", StudyInstanceUID="ID_study", SeriesInstanceUID="ID_series", PatientID=""))
    ]
    case = write_case(tmp_path, "invalid", sources, finding(sources))
    assert set(case.paths) == set(ResultKind)
    seg, report = case.read(ResultKind.SEG), case.read(ResultKind.SR)
    assert "ID_study" == seg.StudyInstanceUID == report.StudyInstanceUID
    assert "ID_0011fe81e" == seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    for path in case.paths.values():
        assert [error for error in dciodvfy_errors(path) if "ID_" not in error and not error.startswith(SUMMARY)] == []


def test_a_real_radiograph_of_a_public_data_set_gives_valid_results(real_files: Path, tmp_path: Path) -> None:
    sources = [pydicom.dcmread(real_files / "cxr-jpeg-baseline-8bit.dcm", stop_before_pixels=True)]
    case = write_case(tmp_path, "real", list(sources), finding(sources))
    assert [error for path in case.paths.values() for error in dciodvfy_errors(path)] == []


def test_real_ct_slices_with_few_attributes_give_valid_results(real_files: Path, tmp_path: Path) -> None:
    sources = [pydicom.dcmread(real_files / f"ct-chest-slice-{n}.dcm", stop_before_pixels=True) for n in (0, 1)]
    for source in sources:
        source.Modality = "CT"  # the only attribute without which nobody would have taken it for a CT
    mask = finding([sources[0], sources[0], sources[0]]).mask
    assert mask is not None
    case = write_case(tmp_path, "real-ct", list(sources), finding(sources, mask=mask[[1, 1]]))
    assert [error for path in case.paths.values() for error in dciodvfy_errors(path)] == []
