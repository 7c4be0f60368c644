"""Valid synthetic source images: CR, DX, CT, Enhanced CT, and the secondary captures of public data sets.

Every data set is complete (pixels and file meta information) and the same for the same arguments, byte for byte.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

ROOT = "1.2.826.0.1.3680043.10.1508"
ABSENT = object()
"""As the value of an attribute in `changes`: the attribute is not there at all."""

JAPANESE = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}
UTF8 = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Wang^XiaoDong=王^小东", "ReferringPhysicianName": "Müller^Jürgen"}
LATIN1 = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Buc^Jérôme", "InstitutionName": "Hôpital Européen"}
ASCII = {"SpecificCharacterSet": ABSENT, "PatientName": "Doe^Jane"}


@dataclass(frozen=True, slots=True)
class Size:
    """Rows and columns of an image."""

    rows: int = 256
    columns: int = 224


def code(value: str, scheme: str, meaning: str) -> DicomSequence:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return DicomSequence([item])


def chest(size: Size, *, bits: int = 12) -> NDArray[np.uint16]:
    """Two dark lungs in a bright body, in stored values of so many bits (high is bright)."""
    y, x = np.mgrid[0 : size.rows, 0 : size.columns]
    v, u = y / size.rows - 0.5, x / size.columns
    lungs = (((u - 0.28) / 0.17) ** 2 + (v / 0.36) ** 2 < 1) | (((u - 0.72) / 0.17) ** 2 + (v / 0.36) ** 2 < 1)
    ribs = 0.06 * np.sin(v * 60 + np.abs(u - 0.5) * 12)
    image = np.where(lungs, 0.28 + ribs, 0.75 + ribs / 2) + 0.1 * v
    return np.clip(image * (2**bits - 1), 0, 2**bits - 1).astype(np.uint16)


def pneumothorax(size: Size) -> NDArray[np.bool_]:
    """A crescent at the apex of the lung on the left of the picture (the patient's right)."""
    y, x = np.mgrid[0 : size.rows, 0 : size.columns]
    v, u = y / size.rows - 0.5, x / size.columns
    lung = ((u - 0.28) / 0.17) ** 2 + (v / 0.36) ** 2 < 1
    smaller = ((u - 0.30) / 0.14) ** 2 + ((v - 0.06) / 0.34) ** 2 < 1
    return np.asarray(lung & ~smaller & (v < 0.1))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance stands in the hospital: patient, study, series and instance numbers make the UIDs."""

    study: int = 1
    series: int = 1
    instance: int = 1
    patient_id: str = "P-0001"
    changes: dict[str, Any] = field(default_factory=dict)

    def uid(self, level: int) -> str:
        return ".".join([ROOT, *(str(n) for n in (self.study, self.series, self.instance)[:level])])


def _common(place: Place) -> dict[str, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPInstanceUID": place.uid(3),
        "StudyDate": "20260301",
        "SeriesDate": "20260301",
        "AcquisitionDate": "20260301",
        "ContentDate": "20260301",
        "StudyTime": "101500",
        "SeriesTime": "101530",
        "AcquisitionTime": "101531",
        "ContentTime": "101532",
        "AccessionNumber": f"A{place.study:06d}",
        "Manufacturer": "Acme",
        "ManufacturerModelName": "Ray 3",
        "InstitutionName": "Example Hospital",
        "ReferringPhysicianName": "Smith^Anna",
        "StudyDescription": "Chest",
        "PatientName": "Doe^Jane",
        "PatientID": place.patient_id,
        "IssuerOfPatientID": "EXAMPLE",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "PatientAge": "056Y",
        "StudyInstanceUID": place.uid(1),
        "SeriesInstanceUID": place.uid(2),
        "StudyID": str(place.study),
        "SeriesNumber": place.series,
        "InstanceNumber": place.instance,
    }


def _pixels(stored: NDArray[np.uint16], *, bits: int, photometric: str = "MONOCHROME2") -> dict[str, Any]:
    shown = stored if photometric == "MONOCHROME2" else (2**bits - 1 - stored)
    allocated = 8 if bits <= 8 else 16
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": photometric,
        "Rows": stored.shape[-2],
        "Columns": stored.shape[-1],
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelData": shown.astype(np.uint8 if allocated == 8 else "<u2").tobytes(),
    }


def _dataset(sop_class_uid: str, values: dict[str, Any]) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = sop_class_uid
    for keyword, value in values.items():
        if value is not ABSENT:
            setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = sop_class_uid
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    return ds


def dx(
    place: Place | None = None, *, size: Size | None = None, bits: int = 12, photometric: str = "MONOCHROME2", **changes: Any
) -> Dataset:
    """A digital chest radiograph for presentation, 12 bits, 0.15 mm at the detector, PA, without Frame of Reference."""
    place, size = place or Place(), size or Size()
    values = {
        **_common(place),
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "Modality": "DX",
        "PresentationIntentType": "FOR PRESENTATION",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "ImageLaterality": "U",
        "AnatomicRegionSequence": code("51185008", "SCT", "Chest"),
        "ViewCodeSequence": code("399348003", "SCT", "postero-anterior"),
        "ImagerPixelSpacing": [0.15, 0.15],
        "DetectorType": "SCINTILLATOR",
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "WindowCenter": 2 ** (bits - 1),
        "WindowWidth": 2**bits,
        "PresentationLUTShape": "IDENTITY" if photometric == "MONOCHROME2" else "INVERSE",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "NO",
        "AcquisitionContextSequence": DicomSequence(),
        "PositionerType": "NONE",
        **_pixels(chest(size, bits=bits), bits=bits, photometric=photometric),
        **place.changes,
        **changes,
    }
    return _dataset(DigitalXRayImageStorageForPresentation, values)


def cr(
    place: Place | None = None, *, size: Size | None = None, bits: int = 12, photometric: str = "MONOCHROME1", **changes: Any
) -> Dataset:
    """A computed radiograph, 12 bits, MONOCHROME1 by default, AP."""
    place, size = place or Place(), size or Size()
    values = {
        **_common(place),
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "AP",
        "PatientOrientation": ["L", "F"],
        "Laterality": "",
        "ImagerPixelSpacing": [0.2, 0.2],
        "WindowCenter": 2 ** (bits - 1),
        "WindowWidth": 2**bits,
        **_pixels(chest(size, bits=bits), bits=bits, photometric=photometric),
        **place.changes,
        **changes,
    }
    return _dataset(ComputedRadiographyImageStorage, values)


def siim_like(place: Place | None = None, *, size: Size | None = None, **changes: Any) -> Dataset:
    """As in a public data set: Secondary Capture, modality CR, 8 bits, nominal PixelSpacing, empty Patient Orientation, few attributes."""
    place, size = place or Place(patient_id="16d7f894-55d7-4d95-8957-d18987f0e981"), size or Size(256, 256)
    values = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPInstanceUID": place.uid(3),
        "StudyDate": "19010101",
        "StudyTime": "000000.00",
        "AccessionNumber": "",
        "Modality": "CR",
        "ConversionType": "WSD",
        "ReferringPhysicianName": "",
        "SeriesDescription": "view: PA",
        "PatientName": place.patient_id,
        "PatientID": place.patient_id,
        "PatientBirthDate": "",
        "PatientSex": "M",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "StudyInstanceUID": place.uid(1),
        "SeriesInstanceUID": place.uid(2),
        "StudyID": "",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "PatientOrientation": "",
        "PixelSpacing": [0.168, 0.168],
        **_pixels(chest(size, bits=8), bits=8),
        **place.changes,
        **changes,
    }
    return _dataset(SecondaryCaptureImageStorage, values)


def bare_radiograph(**changes: Any) -> Dataset:
    """A radiograph that lacks every type 2 attribute of patient and study, and Patient Orientation."""
    type_2 = (
        "StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex StudyID "
        "SeriesNumber InstanceNumber PatientOrientation Laterality SpecificCharacterSet IssuerOfPatientID"
    )
    return cr(**{**dict.fromkeys(type_2.split(), ABSENT), **changes})


def ct_series(count: int = 8, place: Place | None = None, *, size: Size | None = None, **changes: Any) -> list[Dataset]:
    """An axial chest CT series in the order of its slices (from the feet to the head), 0.7 mm pixels, 1.25 mm apart."""
    first, size = place or Place(), size or Size(128, 128)
    stored = chest(size)
    return [_ct_slice(Place(first.study, first.series, n + 1, first.patient_id, first.changes), n, stored, changes) for n in range(count)]


def _ct_slice(place: Place, index: int, stored: NDArray[np.uint16], changes: dict[str, Any]) -> Dataset:
    values = {
        **_common(place),
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "PatientPosition": "HFS",
        "KVP": 120,
        "SliceThickness": 1.25,
        "AcquisitionNumber": 1,
        "FrameOfReferenceUID": f"{place.uid(1)}.9.1",
        "PositionReferenceIndicator": "",
        "ImagePositionPatient": [-175, -180, -300 + 1.25 * index],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.7, 0.7],
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "WindowCenter": -600,
        "WindowWidth": 1500,
        **_pixels(stored, bits=12),
        **place.changes,
        **changes,
    }
    return _dataset(CTImageStorage, values)


def enhanced_ct(count: int = 8, place: Place | None = None, *, size: Size | None = None, **changes: Any) -> Dataset:
    """The same stack as one Enhanced CT instance of several frames (enough of the IOD for readers and writers of results)."""
    place, size = place or Place(), size or Size(128, 128)
    shared, pixel_measures, orientation = Dataset(), Dataset(), Dataset()
    pixel_measures.PixelSpacing, pixel_measures.SliceThickness = [0.7, 0.7], 1.25
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = -1024, 1, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [pixel_measures], [orientation]
    shared.PixelValueTransformationSequence = [transformation]
    frames = []
    for index in range(count):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [-175, -180, -300 + 1.25 * index]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    values = {
        **_common(place),
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "Modality": "CT",
        "AcquisitionDateTime": "20260301101531",
        "BodyPartExamined": "CHEST",
        "PatientPosition": "HFS",
        "FrameOfReferenceUID": f"{place.uid(1)}.9.1",
        "PositionReferenceIndicator": "",
        "NumberOfFrames": count,
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
        **_pixels(np.stack([chest(size)] * count), bits=12),
        **place.changes,
        **changes,
    }
    return _dataset(EnhancedCTImageStorage, values)


def as_file(ds: Dataset) -> bytes:
    """The instance as a DICOM Part 10 file."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def header(ds: Dataset) -> pydicom.FileDataset:
    """The instance as the pipeline reads it: from its bytes, without pixels."""
    return pydicom.dcmread(io.BytesIO(as_file(ds)), stop_before_pixels=True)
