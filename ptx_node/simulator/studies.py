"""Simulated studies as DICOM files, with the truth about them. Every name and comment in them says SIMULATED.

The same arguments give the same files, UIDs included: what a test or a demo sends again is the same instance.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
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

from ptx_node.domain.finding import Laterality
from ptx_node.errors import PtxError
from ptx_node.simulator.ct import ChestVolume
from ptx_node.simulator.other_views import hand, lateral_chest
from ptx_node.simulator.phantom import frontal
from ptx_node.simulator.radiograph import Look, display

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMESPACE = uuid.UUID("6b1f0f2e-4a8c-5d7e-9c53-2f0a1c7d9e44")
IMPLEMENTATION_CLASS_UID = "2.25.250873305264181541253920186419172853541"
DRAWN_ROWS = 1280
"""Larger pictures are drawn at half the size and enlarged."""


class Profile(StrEnum):
    """The kinds of radiograph that arrive."""

    EXPORT = "export"
    """8-bit JPEG Baseline, Secondary Capture, modality CR, 1024 x 1024, Pixel Spacing alone: as public data sets have it."""
    DX = "dx"
    """12-bit DX for presentation, MONOCHROME1, JPEG Lossless SV1 where dcmtk's `dcmcjpeg` is installed, else uncompressed."""
    CR = "cr"
    """10-bit CR, MONOCHROME2, uncompressed, two windows."""


SIZES = {Profile.EXPORT: (1024, 1024), Profile.DX: (2500, 2048), Profile.CR: (1760, 1440)}


@dataclass(frozen=True, slots=True)
class Study:
    """Simulated files and what is true of them.

    Attributes:
        paths: one file, or one a slice from the patient's feet upwards.
        laterality: side of the pneumothorax, None for none.
        mask: where it is, on the grid of the pixels (a slice first for CT); None for none.
        eligible: whether a pneumothorax model should read it.
    """

    kind: str
    seed: int
    paths: tuple[Path, ...]
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    patient_id: str
    accession_number: str
    laterality: Laterality | None = None
    mask: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    eligible: bool = True


def side_of_seed(seed: int) -> Laterality | None:
    """The side that a seed has when none is asked for: even seeds none, odd ones left and right in turn."""
    return None if seed % 2 == 0 else (Laterality.LEFT, Laterality.RIGHT)[seed // 2 % 2]


def simulate_radiograph(
    folder: Path,
    seed: int,
    *,
    profile: Profile = Profile.EXPORT,
    laterality: Laterality | str | None = "seed",
    size: tuple[int, int] | None = None,
) -> Study:
    """Write one frontal chest radiograph.

    Args:
        folder: made if missing.
        seed: the patient.
        profile: how the system stores it.
        laterality: a side, None for no pneumothorax, or "seed" for `side_of_seed`.
        size: (rows, columns); the profile's by default.
    """
    side = side_of_seed(seed) if laterality == "seed" else (Laterality(laterality) if laterality else None)
    rows, columns = size or SIZES[profile]
    times = 2 if rows > DRAWN_ROWS else 1
    drawn = frontal(seed, laterality=side, rows=rows // times, columns=columns // times)
    thickness, mask = _enlarged(drawn.thickness_HW, (rows, columns), seed), drawn.mask_HW
    if mask.shape != (rows, columns):
        mask = np.asarray(Image.fromarray(mask).resize((columns, rows), Image.Resampling.NEAREST))
    shown = display(thickness, _look(seed))
    ds = _radiograph(shown, profile, f"{profile}/{seed}/{side}/{rows}x{columns}", seed)
    ds.ViewPosition = ("PA", "AP")[seed % 2]
    _spacing(ds, profile, drawn.pixel_mm * (rows // times) / rows)
    path = _save(ds, folder, profile)
    return _study(profile, seed, (path,), (ds,), (drawn.laterality, mask if drawn.laterality else None))


def simulate_lateral(folder: Path, seed: int, *, size: tuple[int, int] = (1024, 860)) -> Study:
    """Write a lateral chest radiograph, which a frontal model must refuse."""
    shown = display(lateral_chest(seed, *size), _look(seed))
    ds = _radiograph(shown, Profile.CR, f"lateral/{seed}/{size}", seed)
    ds.ViewPosition, ds.PatientOrientation = "LL", ["A", "F"]
    _spacing(ds, Profile.CR, 400 / size[0])
    return _study("lateral", seed, (_save(ds, folder, Profile.CR),), (ds,), (None, None), eligible=False)


def simulate_hand(folder: Path, seed: int, *, size: tuple[int, int] = (900, 700)) -> Study:
    """Write a radiograph of a hand, which a chest model must refuse."""
    shown = display(hand(seed, *size), Look(detail=0.2))
    ds = _radiograph(shown, Profile.CR, f"hand/{seed}/{size}", seed)
    ds.BodyPartExamined, ds.ViewPosition, ds.PatientOrientation = "HAND", "PA", ["L", "F"]
    ds.Laterality = "R"
    ds.StudyDescription = "SIMULATED hand radiograph"
    _spacing(ds, Profile.CR, 220 / size[0])
    return _study("hand", seed, (_save(ds, folder, Profile.CR),), (ds,), (None, None), eligible=False)


def simulate_ct(folder: Path, seed: int, *, slices: int = 40, laterality: Laterality | str | None = "seed", columns: int = 512) -> Study:
    """Write one axial chest CT series, uncompressed, a file a slice."""
    side = side_of_seed(seed) if laterality == "seed" else (Laterality(laterality) if laterality else None)
    patient = ChestVolume(seed, laterality=side, columns=columns)
    hu_ZHW, mask_ZHW, distance = patient.series(slices)
    name = f"ct/{seed}/{side}/{slices}/{columns}"
    paths, headers = [], []
    for index, hu_HW in enumerate(hu_ZHW):
        ds = _ct_slice(hu_HW, name, seed, index)
        ds.ImagePositionPatient = [round(-patient.field_mm / 2, 4), round(-patient.field_mm / 2, 4), round(index * distance, 4)]
        ds.PixelSpacing = [round(patient.pixel_mm, 6)] * 2
        ds.SliceThickness = round(distance, 4)
        paths.append(_save(ds, folder, Profile.CR))
        headers.append(ds)
    found = side if mask_ZHW.any() else None
    return _study("ct", seed, tuple(paths), tuple(headers), (found, mask_ZHW if found else None))


def uid_of(*parts: object) -> str:
    """A UID that belongs to these words for ever (UUID form, PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(map(str, parts))).int}"


def _study(
    kind: str,
    seed: int,
    paths: tuple[Path, ...],
    headers: tuple[Dataset, ...],
    truth: tuple[Laterality | None, NDArray[np.bool_] | None],
    *,
    eligible: bool = True,
) -> Study:
    first = headers[0]
    return Study(
        kind=kind,
        seed=seed,
        paths=paths,
        study_instance_uid=first.StudyInstanceUID,
        series_instance_uid=first.SeriesInstanceUID,
        sop_instance_uids=tuple(str(ds.SOPInstanceUID) for ds in headers),
        patient_id=first.PatientID,
        accession_number=first.AccessionNumber,
        laterality=truth[0],
        mask=truth[1],
        eligible=eligible,
    )


def _look(seed: int) -> Look:
    rng = np.random.default_rng([seed, 6])
    return Look(float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.5, 3)), float(rng.uniform(96, 99.5)), float(rng.uniform(0.8, 1.1)))


def _enlarged(thickness_HW: NDArray[np.float32], shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """The picture on a finer grid, with the noise of the finer detector added."""
    if thickness_HW.shape == shape:
        return thickness_HW
    large = np.asarray(Image.fromarray(thickness_HW).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)
    return large + np.random.default_rng([seed, 9]).standard_normal(shape, dtype=np.float32)


def _common(name: str, seed: int, sop_class_uid: UID, modality: str) -> Dataset:
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


def _radiograph(shown_HW: NDArray[np.float32], profile: Profile, name: str, seed: int) -> Dataset:
    sop_class = {
        Profile.EXPORT: SecondaryCaptureImageStorage,
        Profile.DX: DigitalXRayImageStorageForPresentation,
        Profile.CR: ComputedRadiographyImageStorage,
    }[profile]
    ds = _common(name, seed, sop_class, "DX" if profile is Profile.DX else "CR")
    bits = {Profile.EXPORT: 8, Profile.DX: 12, Profile.CR: 10}[profile]
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
    ds.ViewCodeSequence = [_code("399348003", "SCT", "antero-posterior")]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _ct_slice(hu_HW: NDArray[np.int16], name: str, seed: int, index: int) -> Dataset:
    ds = _common(name, seed, CTImageStorage, "CT")
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


def _spacing(ds: Dataset, profile: Profile, pixel_mm: float) -> None:
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


def _save(ds: Dataset, folder: Path, profile: Profile) -> Path:
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
