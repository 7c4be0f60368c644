"""The segmentation: a BINARY SEG of the finding's mask, on the source pixel grid.

BINARY and not FRACTIONAL, because common viewers refuse the latter; uncompressed, because no lossless transfer syntax
for single bits is widely read. A radiograph has no Frame of Reference, so its SEG carries no plane geometry, only
references to the image; a CT SEG carries the geometry of its slices and holds only frames with something in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from ptx_node.dicom import codes
from ptx_node.dicom.carry_over import copy_element, writable
from ptx_node.dicom.equipment import complete
from ptx_node.dicom.uids import derived_uid
from ptx_node.domain.finding import ResultKind
from ptx_node.errors import InputError, PermanentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.dicom.equipment import Writing

GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")
MULTI_FRAME = ("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
IDENTITY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Rows", "Columns", "Modality")
LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
BLANK = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def segmentation(writing: Writing) -> Dataset | None:
    """The SEG of one finding; None where the finding has no mask.

    Raises:
        InputError: a CT slice carries no position or orientation, so its frames have no place.
        PermanentError: the sources do not fit together or the mask (sizes, SOP class).
    """
    mask = writing.finding.mask
    if mask is None or not mask.any():
        return None
    headers = [_header(source, volumetric=writing.volumetric) for source in writing.sources]
    try:
        written = _write(headers, mask, writing)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        uid = writing.source.get("SOPInstanceUID")
        raise PermanentError(f"no SEG can be written on {uid}: {error}. Leave 'seg' out of the rule, or report the image") from error
    ds = Dataset()
    ds.update(written)
    _fix_dimension_organization(ds, writing.ids.part("dimension organization"))
    if not writing.volumetric and not copy_element(writing.source, ds, "PatientOrientation"):
        # Type 2C without Image Orientation (Patient), PS3.3 C.7.6.1: empty where the source is silent
        ds.PatientOrientation = None
    return complete(ds, ResultKind.SEG, SegmentationStorage, writing)


def _write(headers: list[Dataset], mask: NDArray[np.bool_], writing: Writing) -> Dataset:
    """The library's part; equipment and numbers are placeholders that `complete` replaces."""
    written: Dataset = highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=np.ascontiguousarray(mask, dtype=bool),
        segmentation_type="BINARY",
        segment_descriptions=[_segment(writing)],
        series_instance_uid=writing.ids.series(ResultKind.SEG),
        series_number=1,
        sop_instance_uid=writing.ids.sop(ResultKind.SEG),
        instance_number=1,
        manufacturer="-",
        manufacturer_model_name="-",
        software_versions="-",
        device_serial_number="-",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="PNEUMOTHORAX",
        content_description="Pneumothorax, segmented by an algorithm",
    )
    return written


def _segment(writing: Writing) -> highdicom.seg.SegmentDescription:
    model, source = writing.finding.model, writing.source
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=writable(model.name, source),
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=writable(model.version, source),
    )
    return highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Pneumothorax",
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        segmented_property_type=codes.PNEUMOTHORAX,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=writing.ids.tracking_uid,
        tracking_id=writing.ids.tracking_identifier,
        anatomic_regions=[codes.PLEURA],
    )


def _header(source: Dataset, *, volumetric: bool) -> Dataset:
    """What highdicom needs of a source, and nothing that it could stumble over; `complete` adds patient and study.

    A CT series without a Frame of Reference gets one derived from its series: its slices share one by construction.
    """
    header = Dataset()
    for keyword in (*IDENTITY, *LOSSY):
        if keyword in source:
            setattr(header, keyword, source[keyword].value)
    for keyword in BLANK:
        setattr(header, keyword, "")
    if volumetric:
        series = str(source.get("SeriesInstanceUID", ""))
        header.FrameOfReferenceUID = source.get("FrameOfReferenceUID") or derived_uid("frame of reference", series)
        header.PositionReferenceIndicator = source.get("PositionReferenceIndicator") or ""
        for keyword in (*GEOMETRY, *MULTI_FRAME):
            if keyword in source:
                header[keyword] = source[keyword]
        if "PerFrameFunctionalGroupsSequence" not in header and not {"ImagePositionPatient", "ImageOrientationPatient"} <= set(
            header.dir()
        ):
            raise InputError(
                "inconsistent_orientation",
                f"CT instance {source.get('SOPInstanceUID')} has no position or orientation: no SEG can be written",
            )
    return header


def _fix_dimension_organization(ds: Dataset, uid: str) -> None:
    """The library draws this UID at random; ours is derived, so that a re-run gives the same bytes."""
    for sequence in (ds.DimensionOrganizationSequence, ds.DimensionIndexSequence):
        for item in sequence:
            item.DimensionOrganizationUID = uid
