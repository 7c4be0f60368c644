"""The measurement report says what IHE AI Results asks for, for every outcome, and is read back by another library."""

from __future__ import annotations

from collections.abc import Iterator

import highdicom
import pytest
from pydicom.dataset import Dataset

from ptx_node.dicom.equipment import DocumentReference
from ptx_node.domain.finding import Laterality, Outcome, ResultKind
from ptx_node.pipeline.results import encode_results
from tests import factories as make
from tests.conformance.conftest import SOURCES, Case
from tests.findings import CONTEXT, MODEL, finding

Cases = dict[tuple[str, Outcome], Case]


def items(ds: Dataset) -> Iterator[Dataset]:
    """Every content item of a tree, depth first."""
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from items(item)


def named(ds: Dataset, code_value: str) -> list[Dataset]:
    return [item for item in items(ds) if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == code_value]


def values(ds: Dataset, code_value: str) -> set[str]:
    found = set()
    for item in named(ds, code_value):
        match item.ValueType:
            case "TEXT":
                found.add(item.TextValue)
            case "UIDREF":
                found.add(item.UID)
            case "NUM":
                found.add(str(item.MeasuredValueSequence[0].NumericValue))
            case "CODE":
                value = item.ConceptCodeSequence[0]
                found.add(value.get("CodeValue") or value.LongCodeValue)
            case "IMAGE":
                found.add(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    return found


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("name", ["dx", "ct", "japanese"])
def test_the_tree_and_the_contributing_equipment_name_the_same_device(cases: Cases, name: str, outcome: Outcome) -> None:
    case = cases[name, outcome]
    report = case.read(ResultKind.SR)
    assert {MODEL.manufacturer} == values(report, "121014")
    assert {MODEL.name} == values(report, "121015")
    assert {MODEL.device_uid} == values(report, "121012")
    if outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}:
        assert {MODEL.name} == values(report, "111001")
        assert {MODEL.version} == values(report, "111003")
    for kind in case.paths:
        ds = case.read(kind)
        processing = [i for i in ds.ContributingEquipmentSequence if i.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"]
        assert 1 == len(processing)
        for equipment in (ds, processing[0]):
            said = (equipment.Manufacturer, equipment.ManufacturerModelName, equipment.SoftwareVersions, equipment.DeviceUID)
            assert (MODEL.manufacturer, MODEL.name, MODEL.version, MODEL.device_uid) == said


@pytest.mark.parametrize(
    ("outcome", "summary", "presence"),
    [
        (Outcome.POSITIVE, "111242", {"52101004"}),
        (Outcome.NEGATIVE, "111241", {"272519000"}),
        (Outcome.FAILED, "111245", set()),
        (Outcome.NOT_ELIGIBLE, "111245", set()),
    ],
)
@pytest.mark.parametrize("name", SOURCES)
def test_no_answer_is_ambiguous(cases: Cases, name: str, outcome: Outcome, summary: str, presence: set[str]) -> None:
    report = cases[name, outcome].read(ResultKind.SR)
    assert {summary} == values(report, "111017")
    assert presence == values(report, "121052")
    reason = cases[name, outcome].finding.reason
    assert ({reason} if reason else set()) == values(report, "REASON")


@pytest.mark.parametrize("name", SOURCES)
def test_every_report_lists_the_images_that_were_looked_at(cases: Cases, name: str) -> None:
    for outcome in Outcome:
        case = cases[name, outcome]
        report = highdicom.sr.srread(case.paths[ResultKind.SR])
        library = named(report, "111028")
        images = {i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in items(library[0]) if i.ValueType == "IMAGE"}
        uids = {source.SOPInstanceUID for source in case.sources}
        assert uids == images
        evidence = {sop for _, _, sop, _ in report.get_evidence(current_procedure_only=True)}
        seg = {case.read(ResultKind.SEG).SOPInstanceUID} if ResultKind.SEG in case.paths else set()
        assert uids | seg == evidence


def test_a_positive_report_carries_size_side_and_probability(cases: Cases) -> None:
    for name, size, unit in (("dx", ("42798000", 1234.5), "mm2"), ("ct", ("118565006", 87.25), "ml")):
        report = cases[name, Outcome.POSITIVE].read(ResultKind.SR)
        (measured,) = named(report, size[0])
        assert size[1] == pytest.approx(float(measured.MeasuredValueSequence[0].NumericValue))
        assert unit == measured.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
        assert named(measured, "121112"), "a measurement without its source image"
        assert {"24028007"} == values(report, "272741003")
        assert {"91.2345"} == values(report, "122157")
        assert {"threshold=0.4", f"weights_sha256={MODEL.weights_sha256}"} == values(report, "111002")


def test_a_negative_report_has_a_group_with_its_images_and_no_size(cases: Cases) -> None:
    case = cases["dx", Outcome.NEGATIVE]
    report = highdicom.sr.srread(case.paths[ResultKind.SR])
    (group,) = report.content.get_image_measurement_groups()
    assert "36118008" == group.finding_type.value
    assert [case.sources[0].SOPInstanceUID] == [image.referenced_sop_instance_uid for image in group.source_images]
    assert ["122157"] == [measurement.name.value for measurement in group.get_measurements()]


def test_a_side_that_cannot_be_told_is_not_told() -> None:
    sources = [make.header(make.dx())]
    for laterality, expected in ((None, set()), (Laterality.BILATERAL, {"51440002"})):
        results = encode_results(finding(sources, laterality=laterality), sources, kinds=[ResultKind.SR], context=CONTEXT)
        assert expected == values(results[0].dataset, "272741003")


def test_a_report_without_its_segmentation_refers_to_none() -> None:
    """Some destinations may not show where the finding is; the report must not point to what was never written."""
    sources = [make.header(make.dx())]
    (result,) = encode_results(finding(sources), sources, kinds=[ResultKind.SR], context=CONTEXT)
    assert set() == values(result.dataset, "121214") | values(result.dataset, "121191")
    assert {"52101004"} == values(result.dataset, "121052")
    assert {"1234.5"} == values(result.dataset, "42798000")


def test_a_positive_answer_without_a_mask_has_a_report_and_no_segmentation() -> None:
    sources = [make.header(make.dx(SOPClassUID="1.2.3.4.5.6"))]
    answer = finding(sources, mask=None, area_mm2=None, laterality=None)
    (result,) = encode_results(answer, sources, kinds=[ResultKind.SEG, ResultKind.SR], context=CONTEXT)
    assert {"52101004"} == values(result.dataset, "121052")
    assert {str(sources[0].SOPInstanceUID)} == values(result.dataset, "121112")


def test_a_report_names_the_one_that_it_replaces() -> None:
    sources = [make.header(make.dx())]
    older = DocumentReference(sources[0].StudyInstanceUID, "1.2.3", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4")
    context = type(CONTEXT)("Site", "1", CONTEXT.now, supersedes=(older,))
    (result,) = encode_results(finding(sources), sources, kinds=[ResultKind.SR], context=context)
    (study,) = result.dataset.PredecessorDocumentsSequence
    assert "1.2.3.4" == study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
