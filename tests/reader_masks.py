"""A reader's DICOM SEG, as a tool for drawing writes it, on any images; empty frames are kept where there is nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid


def write_mask(path: Path, sources: Sequence[Dataset], mask: NDArray[np.bool_], *, reader: str | None = "Reader^Rita") -> Path:
    """Write a SEG of a pneumothorax; `mask` of shape (rows, columns), or (slices, rows, columns)."""
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Pneumothorax",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Pneumothorax,
        algorithm_type="MANUAL",
    )
    written = highdicom.seg.Segmentation(
        source_images=list(sources),
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Drawing Tools",
        manufacturer_model_name="draw",
        software_versions="1",
        device_serial_number="1",
        content_creator_name=reader,
        omit_empty_frames=False,
    )
    written.save_as(path)
    return path
