"""Simulated images as DICOM data sets: invented patients, valid attributes, pixels in the forms in which they arrive."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from datetime import date, timedelta
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)

from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMESPACE = uuid.UUID("6b1f0f2e-4a8c-5d7e-9c53-2f0a1c7d9e44")
IMPLEMENTATION_CLASS_UID = "2.25.250873305264181541253920186419172853541"


class Profile(StrEnum):
    """The kinds of radiograph that arrive."""

    EXPORT = "export"
    """8-bit JPEG Baseline, Secondary Capture, modality CR, 1024 x 1024, Pixel Spacing alone: as public data sets have it."""
    DX = "dx"
    """12-bit DX for presentation, MONOCHROME1, JPEG Lossless SV1 where dcmtk's `dcmcjpeg` is installed, else uncompressed."""
    CR = "cr"
    """10-bit CR, MONOCHROME2, uncompressed, two windows."""


def uid_of(*parts: object) -> str:
    """A UID that belongs to these words for ever (UUID form, PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(map(str, parts))).int}"


def common_attributes(name: str, seed: int, sop_class_uid: UID, modality: str) -> Dataset:
    """Patient, study, series and SOP attributes; all invented."""
    rng = np.random.default_rng([seed, 10])
    taken = date(2026, 1, 1) + timedelta(days=seed % 300)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, uid_of(name, "instance")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid_of(name, "study"), uid_of(name, "series")
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = modality, "SIMULATED", "chest phantom"
    ds.InstitutionName, ds.DeviceSerialNumber, ds.SoftwareVersions = "SIMULATED HOSPITAL", "1", "1"
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = taken.strftime("%Y%m%d")
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = f"{7 + seed % 12:02d}{seed * 7 % 60:02d}{seed * 13 % 60:02d}"
    ds.PatientName, ds.PatientID = f"SIMULATED^PATIENT {seed}", f"SIM{seed:06d}"
    age = int(rng.integers(20, 90))
    ds.PatientBirthDate, ds.PatientSex = f"{2026 - age}0101", "MF"[seed % 2]
    ds.PatientAge = f"{age:03d}Y"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = f"SIM{uuid.uuid5(NAMESPACE, name).hex[:12].upper()}", str(seed % 10_000), ""
    ds.StudyDescription, ds.SeriesDescription = f"SIMULATED chest {modality}", "SIMULATED"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.ImageComments = "SIMULATED: a phantom, not a patient"
    ds.BodyPartExamined = "CHEST"
    return ds


def radiograph_dataset(shown_HW: NDArray[np.float32], profile: Profile, name: str, seed: int) -> Dataset:
    """A radiograph of brightnesses 0..1, stored as the profile says; `name` decides its UIDs."""
    sop_class = {
        Profile.EXPORT: SecondaryCaptureImageStorage,
        Profile.DX: DigitalXRayImageStorageForPresentation,
        Profile.CR: ComputedRadiographyImageStorage,
    }[profile]
    ds = common_attributes(name, seed, sop_class, "DX" if profile is Profile.DX else "CR")
    bits = {Profile.EXPORT: 8, Profile.DX: 12, Profile.CR: 10}[profile]
    ds.ViewPosition = ("PA", "AP")[seed % 2]
    ds.PatientOrientation = "" if profile is Profile.EXPORT else ["L", "F"]
    _pixels(ds, shown_HW, bits, inverted=profile is Profile.DX)
    if profile is Profile.EXPORT:
        ds.ConversionType = "WSD"
        ds.file_meta = _meta(ds, JPEGBaseline8Bit)
        ds.PixelData = encapsulate([_jpeg(shown_HW)])
        ds["PixelData"].VR = "OB"
        ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"
        ds.LossyImageCompressionRatio = round(shown_HW.size / len(ds.PixelData), 2)
    elif profile is Profile.CR:
        ds.WindowCenter, ds.WindowWidth = [512, 600], [1024, 700]
        ds.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]
    else:
        _dx_attributes(ds)
    return ds


def _dx_attributes(ds: Dataset) -> None:
    """What DX for presentation demands beyond CR (PS3.3 A.26)."""
    ds.PresentationIntentType, ds.ImageType = "FOR PRESENTATION", ["DERIVED", "PRIMARY"]
    ds.ImageLaterality, ds.DetectorType, ds.BurnedInAnnotation = "U", "DIRECT", "NO"
    ds.PositionerType = ""
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape, ds.LossyImageCompression = "INVERSE", "00"
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    ds.AcquisitionContextSequence = []
    ds.AnatomicRegionSequence = [_code("51185008", "SCT", "Chest")]
    view = ("272479007", "postero-anterior") if ds.ViewPosition == "PA" else ("399348003", "antero-posterior")
    ds.ViewCodeSequence = [_code(view[0], "SCT", view[1])]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def ct_slice_dataset(hu_HW: NDArray[np.int16], name: str, seed: int, index: int) -> Dataset:
    """One axial slice of a series; position and spacing are the caller's."""
    ds = common_attributes(name, seed, CTImageStorage, "CT")
    ds.SOPInstanceUID, ds.InstanceNumber = uid_of(name, "instance", index), index + 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid_of(name, "frame of reference"), ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImageOrientationPatient, ds.PatientPosition = [1, 0, 0, 0, 1, 0], "HFS"
    ds.KVP, ds.AcquisitionNumber, ds.RescaleType = 120, 1, "HU"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = *hu_HW.shape, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.WindowCenter, ds.WindowWidth = -500, 1500
    ds.PixelData = np.clip(hu_HW.astype(np.int32) + 1024, 0, 4095).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = _meta(ds, ExplicitVRLittleEndian)
    return ds


def _pixels(ds: Dataset, shown_HW: NDArray[np.float32], bits: int, *, inverted: bool) -> None:
    """Image Pixel module with these brightnesses, uncompressed."""
    ds.Rows, ds.Columns = shown_HW.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1" if inverted else "MONOCHROME2"
    ds.BitsAllocated = 8 if bits == 8 else 16
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 0
    top = (1 << bits) - 1
    values = np.round((1 - shown_HW if inverted else shown_HW) * top)
    ds.PixelData = values.astype("<u2" if ds.BitsAllocated == 16 else np.uint8).tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = _meta(ds, ExplicitVRLittleEndian)


def set_spacing(ds: Dataset, profile: Profile, pixel_mm: float) -> None:
    """Pixel spacing in the attribute in which this kind of system gives it, for square pixels of this size in the patient."""
    value = [round(pixel_mm, 6)] * 2
    if profile is Profile.EXPORT:
        ds.PixelSpacing = value
    elif profile is Profile.CR:
        ds.ImagerPixelSpacing = value
    else:
        ds.ImagerPixelSpacing = [round(1.1 * pixel_mm, 6)] * 2
        ds.EstimatedRadiographicMagnificationFactor = 1.1


def _jpeg(shown_HW: NDArray[np.float32]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.round(shown_HW * 255).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    data = buffer.getvalue()
    return data + b"\0" * (len(data) % 2)


def _meta(ds: Dataset, transfer_syntax_uid: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    return meta


def save_instance(ds: Dataset, folder: Path, profile: Profile) -> Path:
    """Write the file under its UID; DX is compressed losslessly where the encoder is there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    encoder = shutil.which("dcmcjpeg", path="/usr/bin:/usr/local/bin")
    if profile is Profile.DX and encoder:
        done = subprocess.run([encoder, "+e1", path, path], capture_output=True, check=False)  # noqa: S603 - dcmtk on our own file
        if done.returncode != 0:
            raise PtxError(f"{encoder} failed on a simulated radiograph: {done.stderr.decode(errors='replace')[:300]}")
    return path
