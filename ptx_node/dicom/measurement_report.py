"""The measurement report: Comprehensive 3D SR, TID 1500, shaped as IHE AI Results (AIR) asks.

Every outcome has one: a positive and a negative carry a measurement group, a failed and a not-eligible one the coded
summary (CID 6047) and our coded reason.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import Comprehensive3DSRStorage

from ptx_node.dicom import codes
from ptx_node.dicom.carry_over import writable
from ptx_node.dicom.content_tree import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    INFERRED_FROM,
    coded,
    container,
    image,
    number,
    template_item,
    text,
    uid,
)
from ptx_node.dicom.equipment import complete, image_reference
from ptx_node.domain.finding import Outcome, ResultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ptx_node.dicom.equipment import DocumentReference, Writing

SUMMARY = {
    Outcome.POSITIVE: codes.WITH_FINDINGS,
    Outcome.NEGATIVE: codes.WITHOUT_FINDINGS,
    Outcome.FAILED: codes.NOT_SUCCEEDED,
    Outcome.NOT_ELIGIBLE: codes.NOT_SUCCEEDED,
}


def measurement_report(writing: Writing, segmentation: Dataset | None) -> Dataset:
    """The SR of one finding; it references the segmentation where there is one.

    Preliminary and unverified: no person has looked at it.
    """
    ds = Dataset()
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [codes.code_item(codes.IMAGING_MEASUREMENT_REPORT)]
    ds.ContentTemplateSequence = [template_item("1500")]
    ds.ContentSequence = DicomSequence(_root(writing, segmentation))
    ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag = "COMPLETE", "UNVERIFIED", "PRELIMINARY"
    ds.PerformedProcedureCodeSequence = DicomSequence()
    ds.ReferencedPerformedProcedureStepSequence = DicomSequence()
    ds.CurrentRequestedProcedureEvidenceSequence = _evidence(writing, segmentation)
    if writing.context.supersedes:
        ds.PredecessorDocumentsSequence = DicomSequence([_predecessor(one) for one in writing.context.supersedes])
    return complete(ds, ResultKind.SR, Comprehensive3DSRStorage, writing)


def _root(writing: Writing, segmentation: Dataset | None) -> list[Dataset]:
    procedure = codes.CT_PROCEDURE if writing.source.get("Modality") == "CT" else codes.IMAGING_PROCEDURE
    items = [
        coded(HAS_CONCEPT_MOD, codes.LANGUAGE, codes.ENGLISH),
        *_observer(writing),
        coded(HAS_CONCEPT_MOD, codes.PROCEDURE_REPORTED, procedure),
        _image_library(writing),
    ]
    if writing.finding.outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}:
        items.append(container(codes.IMAGING_MEASUREMENTS, [_group(writing, segmentation)]))
    items.append(container(codes.QUALITATIVE_EVALUATIONS, _summary(writing)))
    return items


def _observer(writing: Writing) -> list[Dataset]:
    """TID 1004: the model is the observer. IHE AIR: equal to the Contributing Equipment and to TID 4019."""
    model = writing.finding.model
    return [
        coded(HAS_OBS_CONTEXT, codes.OBSERVER_TYPE, codes.DEVICE),
        uid(HAS_OBS_CONTEXT, codes.DEVICE_OBSERVER_UID, model.device_uid),
        text(HAS_OBS_CONTEXT, codes.DEVICE_OBSERVER_NAME, writable(model.name, writing.source)),
        text(HAS_OBS_CONTEXT, codes.DEVICE_OBSERVER_MANUFACTURER, writable(model.manufacturer, writing.source)),
        text(HAS_OBS_CONTEXT, codes.DEVICE_OBSERVER_MODEL_NAME, writable(model.name, writing.source)),
        text(HAS_OBS_CONTEXT, codes.DEVICE_OBSERVER_SERIAL_NUMBER, writable(writing.context.device_serial_number, writing.source)),
    ]


def _image_library(writing: Writing) -> Dataset:
    """TID 1600: every image that was looked at, also by a run that failed."""
    modality = codes.MODALITIES.get(str(writing.source.get("Modality", "")), codes.OTHER_MODALITY)
    entries = [image(CONTAINS, None, image_reference(source)) for source in writing.sources]
    group = container(codes.IMAGE_LIBRARY_GROUP, [coded(HAS_ACQ_CONTEXT, codes.MODALITY, modality), *entries])
    return container(codes.IMAGE_LIBRARY, [group])


def _summary(writing: Writing) -> Iterable[Dataset]:
    """TID 1500 rows 12-14: did the algorithm run, and what came of it."""
    finding = writing.finding
    yield coded(CONTAINS, codes.PROCESSING_AND_FINDINGS_SUMMARY, SUMMARY[finding.outcome])
    if finding.outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}:
        return
    outcome = codes.NOT_ELIGIBLE if finding.outcome is Outcome.NOT_ELIGIBLE else codes.FAILED
    yield coded(CONTAINS, codes.OUTCOME, outcome)
    reason = finding.reason or "unknown"
    yield coded(CONTAINS, codes.REASON, codes.reason_code(reason))
    yield text(CONTAINS, codes.COMMENT, writable(f"{reason}: {finding.detail}" if finding.detail else reason, writing.source, length=1024))


def _group(writing: Writing, segmentation: Dataset | None) -> Dataset:
    """One measurement group: TID 1410 with a frame of the SEG, TID 1411 with its segment (CT), TID 1501 without a SEG."""
    finding, ids = writing.finding, writing.ids
    present = codes.PRESENT if finding.outcome is Outcome.POSITIVE else codes.ABSENT
    side = [coded(HAS_CONCEPT_MOD, codes.LATERALITY, codes.LATERALITIES[finding.laterality])] if finding.laterality else []
    items = [
        text(HAS_OBS_CONTEXT, codes.TRACKING_IDENTIFIER, ids.tracking_identifier),
        uid(HAS_OBS_CONTEXT, codes.TRACKING_UNIQUE_IDENTIFIER, ids.tracking_uid),
        coded(CONTAINS, codes.FINDING_CATEGORY, codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE),
        coded(CONTAINS, codes.FINDING, codes.PNEUMOTHORAX),
        coded(HAS_CONCEPT_MOD, codes.FINDING_SITE, codes.PLEURA, side),
    ]
    template = "1501"
    if segmentation is not None:
        template, regions = _region(writing, segmentation)
        items += regions
    items += _measurements(writing)
    items.append(coded(CONTAINS, codes.PRESENCE, present))
    if segmentation is None:
        items += [image(CONTAINS, codes.SOURCE_OF_MEASUREMENT, image_reference(source)) for source in writing.sources]
    return container(codes.MEASUREMENT_GROUP, items, template=template)


def _region(writing: Writing, segmentation: Dataset) -> tuple[str, list[Dataset]]:
    """Where it is: the SEG, and the images that the mask was made from.

    A frame and a segment number in one reference exclude each other (PS3.3 Table 10-3).
    """
    reference = image_reference(segmentation)
    if writing.volumetric:
        reference.ReferencedSegmentNumber = 1
        template, name = "1411", codes.REFERENCED_SEGMENT
    else:
        reference.ReferencedFrameNumber = 1
        template, name = "1410", codes.REFERENCED_SEGMENTATION_FRAME
    sources = [image(CONTAINS, codes.SOURCE_IMAGE_FOR_SEGMENTATION, image_reference(source)) for source in _masked(writing)]
    return template, [image(CONTAINS, name, reference), *sources]


def _masked(writing: Writing) -> Sequence[Dataset]:
    """The images that the mask touches."""
    mask = writing.finding.mask
    if mask is None or mask.ndim == 2 or len(writing.sources) != len(mask):  # noqa: PLR2004 - one plane
        return writing.sources
    return [source for source, plane in zip(writing.sources, mask, strict=True) if plane.any()]


def _measurements(writing: Writing) -> Iterable[Dataset]:
    """TID 300: area or volume, and the probability; each with the algorithm (TID 4019) and the images it was taken from."""
    finding = writing.finding
    if finding.area_mm2 is not None and finding.outcome is Outcome.POSITIVE:
        yield number(codes.AREA, finding.area_mm2, codes.SQUARE_MILLIMETRE, _provenance(writing, _masked(writing)))
    if finding.volume_ml is not None and finding.outcome is Outcome.POSITIVE:
        yield number(codes.VOLUME, finding.volume_ml, codes.MILLILITRE, _provenance(writing, _masked(writing)))
    if finding.probability is not None:
        sources = writing.sources if len(writing.sources) == 1 else ()
        yield number(codes.PROBABILITY, 100 * finding.probability, codes.PERCENT, _provenance(writing, sources))


def _provenance(writing: Writing, sources: Sequence[Dataset]) -> Iterable[Dataset]:
    model, threshold = writing.finding.model, writing.finding.threshold
    yield text(HAS_CONCEPT_MOD, codes.ALGORITHM_NAME, writable(model.name, writing.source))
    yield text(HAS_CONCEPT_MOD, codes.ALGORITHM_VERSION, writable(model.version, writing.source))
    if threshold is not None:
        yield text(HAS_CONCEPT_MOD, codes.ALGORITHM_PARAMETERS, f"threshold={threshold:.6g}")
    yield text(HAS_CONCEPT_MOD, codes.ALGORITHM_PARAMETERS, f"weights_sha256={model.weights_sha256}")
    yield coded(HAS_CONCEPT_MOD, codes.ALGORITHM_FAMILY, codes.ARTIFICIAL_INTELLIGENCE)
    for source in sources:
        yield image(INFERRED_FROM, codes.SOURCE_OF_MEASUREMENT, image_reference(source))


def _evidence(writing: Writing, segmentation: Dataset | None) -> DicomSequence:
    """PS3.3 C.17.2.3: every instance that the tree references, by series; all belong to one study."""
    instances = [*writing.sources, *([segmentation] if segmentation is not None else [])]
    study = Dataset()
    study.StudyInstanceUID = str(writing.source.get("StudyInstanceUID", ""))
    series_items = []
    for series_uid, members in groupby(instances, key=lambda one: str(one.get("SeriesInstanceUID", ""))):
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        item.ReferencedSOPSequence = [image_reference(one) for one in members]
        series_items.append(item)
    study.ReferencedSeriesSequence = series_items
    return DicomSequence([study])


def _predecessor(document: DocumentReference) -> Dataset:
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = document.sop_class_uid
    instance.ReferencedSOPInstanceUID = document.sop_instance_uid
    series.SeriesInstanceUID, series.ReferencedSOPSequence = document.series_instance_uid, [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = document.study_instance_uid, [series]
    return study
