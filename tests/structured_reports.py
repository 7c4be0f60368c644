"""Structured reports as a radiologist's workstation writes them; about nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian

from ptx_node.dicom import content_tree as tree
from ptx_node.dicom.codes import code_item

TITLE = Code("18748-4", "LN", "Diagnostic Imaging Report")
FINDINGS, FINDING = Code("59776-5", "LN", "Findings"), Code("121071", "DCM", "Finding")
IMPRESSION = Code("19005-8", "LN", "Impressions")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
PERSON, DEVICE = Code("121006", "DCM", "Person"), Code("121007", "DCM", "Device")


def text_report(text: str, *, impression: str = "", observer: Code = PERSON, **changes: Any) -> Dataset:
    """A Basic Text SR of a CT: findings in their container, the impression in another."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = BasicTextSRStorage, "1.2.840.9.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.840.1", "1.2.840.9"
    ds.StudyDate, ds.StudyTime, ds.ContentDate, ds.ContentTime = "20260301", "113000", "20260301", "120000"
    ds.PatientID, ds.IssuerOfPatientID, ds.PatientName = "1", "HOSPITAL", "Doe^Jane"
    ds.AccessionNumber, ds.Modality, ds.StudyDescription = "A1", "SR", "CT Chest"
    ds.CompletionFlag, ds.VerificationFlag, ds.ValueType, ds.ContinuityOfContent = "COMPLETE", "VERIFIED", "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [code_item(TITLE)]
    parts = [tree.coded("HAS OBS CONTEXT", OBSERVER_TYPE, observer)]
    parts.append(tree.container(FINDINGS, [tree.text("CONTAINS", FINDING, text)] if text else []))
    if impression:
        parts.append(tree.container(IMPRESSION, [tree.text("CONTAINS", FINDING, impression)]))
    ds.ContentSequence = parts
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def write(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path
