"""A SEG holds the mask pixel for pixel, and says what it was made from and how it relates to the report."""

from __future__ import annotations

import highdicom
import numpy as np
import pytest

from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.errors import InputError, PermanentError
from ptx_node.pipeline.results import encode_results
from tests import factories as make
from tests.conformance.conftest import SOURCES, Case
from tests.findings import CONTEXT, MODEL, finding, is_ct

Cases = dict[tuple[str, Outcome], Case]


def positive(cases: Cases, name: str) -> Case:
    return cases[name, Outcome.POSITIVE]


@pytest.mark.parametrize("name", [name for name in SOURCES if "ct" not in name.split("_")])
def test_the_seg_of_a_radiograph_has_the_masks_pixels_and_no_geometry(cases: Cases, name: str) -> None:
    case = positive(cases, name)
    seg = case.read(ResultKind.SEG)
    assert case.finding.mask is not None
    np.testing.assert_array_equal(case.finding.mask, seg.pixel_array.reshape(case.finding.mask.shape).astype(bool))
    assert ("BINARY", 1, 1) == (seg.SegmentationType, seg.NumberOfFrames, seg.BitsAllocated)
    assert "FrameOfReferenceUID" not in seg
    assert "PlanePositionSequence" not in seg.PerFrameFunctionalGroupsSequence[0]
    read = highdicom.seg.segread(case.paths[ResultKind.SEG])
    pixels = read.get_pixels_by_source_instance([case.sources[0].SOPInstanceUID], segment_numbers=[1])
    np.testing.assert_array_equal(case.finding.mask, pixels[0, :, :, 0].astype(bool))


@pytest.mark.parametrize("name", ["ct", "ct_without_frame_of_reference"])
def test_the_seg_of_a_ct_series_has_the_touched_slices_in_their_places(cases: Cases, name: str) -> None:
    case = positive(cases, name)
    seg = highdicom.seg.segread(case.paths[ResultKind.SEG])
    mask = case.finding.mask
    assert mask is not None
    touched = [n for n in range(len(mask)) if mask[n].any()]
    assert len(touched) == seg.NumberOfFrames < len(mask)
    uids = [case.sources[n].SOPInstanceUID for n in touched]
    np.testing.assert_array_equal(mask[touched], seg.get_pixels_by_source_instance(uids, segment_numbers=[1])[..., 0].astype(bool))
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in seg.PerFrameFunctionalGroupsSequence]
    sources = [frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in seg.PerFrameFunctionalGroupsSequence]
    by_uid = {source.SOPInstanceUID: source.ImagePositionPatient for source in case.sources}
    assert [by_uid[source.ReferencedSOPInstanceUID] for source in sources] == positions
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert [1, 0, 0, 0, 1, 0] == shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert [0.7, 0.7] == shared.PixelMeasuresSequence[0].PixelSpacing
    assert seg.FrameOfReferenceUID == case.sources[0].get("FrameOfReferenceUID", seg.FrameOfReferenceUID)


def test_the_seg_of_an_enhanced_ct_refers_to_its_frames(cases: Cases) -> None:
    case = positive(cases, "enhanced_ct")
    seg = case.read(ResultKind.SEG)
    mask = case.finding.mask
    assert mask is not None
    references = [frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in seg.PerFrameFunctionalGroupsSequence]
    assert {case.sources[0].SOPInstanceUID} == {reference.ReferencedSOPInstanceUID for reference in references}
    frames = [int(reference.ReferencedFrameNumber) for reference in references]
    assert [n + 1 for n in range(len(mask)) if mask[n].any()] == sorted(frames)
    np.testing.assert_array_equal(mask[[n - 1 for n in frames]], seg.pixel_array.astype(bool))


@pytest.mark.parametrize("name", SOURCES)
def test_every_seg_references_its_images_and_carries_the_models_identity(cases: Cases, name: str) -> None:
    case = positive(cases, name)
    seg = case.read(ResultKind.SEG)
    referenced = seg.ReferencedSeriesSequence[0]
    assert case.sources[0].SeriesInstanceUID == referenced.SeriesInstanceUID
    assert [s.SOPInstanceUID for s in case.sources] == [i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence]
    assert all(frame.DerivationImageSequence for frame in seg.PerFrameFunctionalGroupsSequence)
    segment = seg.SegmentSequence[0]
    assert ("AUTOMATIC", "36118008") == (segment.SegmentAlgorithmType, segment.SegmentedPropertyTypeCodeSequence[0].CodeValue)
    assert (MODEL.name, MODEL.version) == (
        segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName,
        segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion,
    )


@pytest.mark.parametrize("name", ["dx", "ct"])
def test_seg_and_report_share_the_tracking_identifiers_and_the_report_refers_to_the_seg(cases: Cases, name: str) -> None:
    case = positive(cases, name)
    seg, report = case.read(ResultKind.SEG), highdicom.sr.srread(case.paths[ResultKind.SR])
    volumetric = is_ct(case.sources)
    groups = report.content.get_volumetric_roi_measurement_groups() if volumetric else report.content.get_planar_roi_measurement_groups()
    assert 1 == len(groups)
    segment = seg.SegmentSequence[0]
    assert (segment.TrackingID, segment.TrackingUID) == (groups[0].tracking_identifier, groups[0].tracking_uid)
    name_wanted = "121191" if volumetric else "121214"
    (item,) = [i for i in groups[0][0].ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == name_wanted]
    assert seg.SOPInstanceUID == item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID


def test_a_ct_series_without_positions_is_refused_with_a_coded_reason() -> None:
    sources = [make.header(ds) for ds in make.ct_series(4, ImagePositionPatient=make.ABSENT)]
    with pytest.raises(InputError, match="no position or orientation"):
        encode_results(finding(sources), sources, kinds=[ResultKind.SEG], context=CONTEXT)


def test_a_ct_series_of_one_slice_keeps_its_place() -> None:
    sources = [make.header(make.ct_series(1)[0])]
    mask = make.pneumothorax(make.Size(128, 128))[None]
    seg, report = encode_results(finding(sources, mask=mask), sources, kinds=[ResultKind.SEG, ResultKind.SR], context=CONTEXT)
    (frame,) = seg.dataset.PerFrameFunctionalGroupsSequence
    assert sources[0].ImagePositionPatient == frame.PlanePositionSequence[0].ImagePositionPatient
    (groups,) = [item for item in report.dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    assert "1411" == groups.ContentSequence[0].ContentTemplateSequence[0].TemplateIdentifier


def test_sources_of_different_sizes_are_one_clear_error() -> None:
    sources = [make.header(make.ct_series(2)[0]), make.header(make.ct_series(2, size=make.Size(64, 64))[1])]
    mask = np.ones((2, 128, 128), dtype=bool)
    with pytest.raises(PermanentError, match="no SEG can be written"):
        encode_results(finding(sources, mask=mask), sources, kinds=[ResultKind.SEG], context=CONTEXT)
