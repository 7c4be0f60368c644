"""Writes masks in the formats that the loaders read: DICOM SEG and NIfTI. Used by the simulator of data sets, never on real data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highdicom
import nibabel
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.uid import ExplicitVRLittleEndian

from ptx_node.dicom.uids import derived_uid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from training.datasets.nifti import Plane

ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
PNEUMOTHORAX = CodedConcept("36118008", "SCT", "Pneumothorax")


def save_seg(path: Path, sources: Sequence[Dataset], mask_NHW: NDArray[np.bool_]) -> None:
    """A BINARY SEG of one manual segment, on the grid of its sources; empty frames are left out (PS3.3 A.51).

    Args:
        path: of the file; its folder exists.
        sources: headers of the images, one a plane of the mask.
        mask_NHW: not all False.
    """
    first = sources[0]
    for source in sources:
        _name_default_repertoire(source)
    name = [str(first.SOPInstanceUID), "mask"]
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Pneumothorax",
        segmented_property_category=ABNORMAL,
        segmented_property_type=PNEUMOTHORAX,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        tracking_id="SIMULATED",
        tracking_uid=derived_uid(*name, "tracking"),
    )
    written: Any = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=mask_NHW.astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=derived_uid(*name, "series"),
        series_number=100,
        sop_instance_uid=derived_uid(*name, "instance"),
        instance_number=1,
        manufacturer="SIMULATED",
        manufacturer_model_name="chest phantom",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="SIMULATED",
        series_description="SIMULATED mask",
    )
    written.save_as(path)


def _name_default_repertoire(source: Dataset) -> None:
    """An empty first character set means ISO 2022 IR 6 (PS3.3 C.12.1.1.2), which highdicom wants to see by name."""
    named = source.get("SpecificCharacterSet")
    if named is not None and not isinstance(named, str) and len(named) > 1 and not named[0]:
        source.SpecificCharacterSet = ["ISO 2022 IR 6", *named[1:]]


def save_nifti(path: Path, planes: Sequence[Plane], mask_ZHW: NDArray[np.bool_]) -> None:
    """A NIfTI mask whose voxel (i, j, k) is column i, row j of slice k; its affine is DICOM's, turned from LPS to RAS.

    Args:
        path: ends in `.nii` or `.nii.gz`.
        planes: of the slices, parallel and at equal distances.
        mask_ZHW: one plane a slice.
    """
    first, last = planes[0], planes[-1]
    steps = max(1, len(planes) - 1)
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * first.pixel_spacing_mm[1]
    affine[:3, 1] = np.array(first.orientation[3:]) * first.pixel_spacing_mm[0]
    affine[:3, 2] = (np.array(last.position_mm) - np.array(first.position_mm)) / steps
    affine[:3, 3] = first.position_mm
    make: Any = nibabel.Nifti1Image  # the library's constructor has no types
    image: Any = make(mask_ZHW.transpose(2, 1, 0).astype(np.uint8), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
    image.header["descrip"] = b"SIMULATED"
    image.set_sform(image.affine, code=1)
    image.set_qform(None, code=0)  # a tilted gantry's affine has shear, which a qform cannot say
    nibabel.save(image, path)
