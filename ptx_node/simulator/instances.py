"""Simulated pictures as DICOM data sets: valid attributes of the system's SOP class, pixels as the system stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage

from ptx_node.domain.study import SIMULATED_ISSUER
from ptx_node.simulator.greys import store
from ptx_node.simulator.patient import Posture
from ptx_node.simulator.people import number_of, uid_of
from ptx_node.simulator.sites import Grey, Spacing

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from ptx_node.simulator.ct import CtSeries
    from ptx_node.simulator.people import Person
    from ptx_node.simulator.sites import Site, System

MAGNIFICATION = 1.1
COMMENT = "SIMULATED: a phantom, not a patient"
VIEWS = {"PA": ("272479007", "postero-anterior"), "AP": ("399348003", "antero-posterior"), "LL": ("399198007", "right to left lateral")}


def common_attributes(name: str, site: Site, system: System, person: Person, taken_at: datetime) -> Dataset:
    """Patient, study, series and SOP attributes. `name` decides the UIDs; the study is the person's at this time."""
    ds = Dataset()
    if any(site.character_set):
        ds.SpecificCharacterSet = list(site.character_set) if len(site.character_set) > 1 else site.character_set[0]
    ds.SOPClassUID, ds.SOPInstanceUID = system.sop_class, uid_of(name, "instance")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid_of(name, "study"), uid_of(name, "series")
    ds.Modality, ds.Manufacturer = system.modality, f"SIMULATED in the manner of {system.manner.strip() or 'many'}"
    ds.ManufacturerModelName, ds.StationName, ds.InstitutionName = f"SIMULATED {system.model}", system.name, site.institution
    ds.DeviceSerialNumber, ds.SoftwareVersions = number_of(site.name, system.name)[:6], "1.0"
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = taken_at.strftime("%Y%m%d")
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = taken_at.strftime("%H%M%S")
    ds.PatientID = ds.PatientName = number_of(person.patient_id, "anonymous")
    if not site.anonymous:
        ds.PatientID, ds.PatientName, ds.IssuerOfPatientID = person.patient_id, person.name, SIMULATED_ISSUER
    ds.PatientBirthDate = "" if site.anonymous else person.birth_date.strftime("%Y%m%d")
    ds.PatientSex, ds.PatientAge = person.sex, f"{person.age_years:03d}Y"
    ds.AccessionNumber, ds.StudyID = ("" if site.anonymous else f"S{number_of(name)}"), "1"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription, ds.SeriesDescription = f"SIMULATED chest {system.modality}", "SIMULATED"
    ds.SeriesNumber, ds.InstanceNumber, ds.BodyPartExamined = 1, 1, "CHEST"
    ds.ImageComments = COMMENT
    return ds


def radiograph_dataset(shown_HW: NDArray[np.float32], site: Site, system: System, ds: Dataset, pixel_mm: float) -> NDArray[np.uint16]:
    """Complete `ds` as a radiograph of brightnesses 0..1; the stored values are returned, to be encoded.

    Args:
        shown_HW: 0 black to 1 white.
        site: whose conventions hold.
        system: how it stores.
        ds: common attributes, with View Position.
        pixel_mm: in the patient.
    """
    values_HW = store(ds, shown_HW, system)
    ds.Rows, ds.Columns = shown_HW.shape
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.BitsAllocated = 8 if system.bits == 8 else 16
    ds.BitsStored, ds.HighBit = system.bits, system.bits - 1
    ds.PatientOrientation = "" if site.anonymous else ["P", "F"] if ds.ViewPosition == "LL" else ["L", "F"]
    _set_spacing(ds, system, pixel_mm)
    if system.sop_class == SecondaryCaptureImageStorage:
        ds.ConversionType = "WSD"
    elif system.sop_class == DigitalXRayImageStorageForPresentation:
        _dx_attributes(ds, system)
    return values_HW


def _set_spacing(ds: Dataset, system: System, pixel_mm: float) -> None:
    if system.spacing is Spacing.PIXEL:
        ds.PixelSpacing = [round(pixel_mm, 6)] * 2
    elif system.spacing is not Spacing.NONE:
        ds.ImagerPixelSpacing = [round(MAGNIFICATION * pixel_mm, 6)] * 2
    if system.spacing is Spacing.MAGNIFIED:
        ds.EstimatedRadiographicMagnificationFactor = MAGNIFICATION


def _dx_attributes(ds: Dataset, system: System) -> None:
    """What DX for presentation demands beyond CR (PS3.3 A.26)."""
    ds.PresentationIntentType, ds.ImageType = "FOR PRESENTATION", ["DERIVED", "PRIMARY"]
    ds.ImageLaterality, ds.DetectorType, ds.BurnedInAnnotation = "U", "DIRECT", "NO"
    ds.PositionerType = ""
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1 if system.inverted else 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape = "INVERSE" if system.inverted else "IDENTITY"
    ds.LossyImageCompression, ds.AcquisitionContextSequence = "00", []
    if system.grey is Grey.NONE:
        ds.WindowCenter, ds.WindowWidth = 1 << (system.bits - 1), 1 << system.bits
    ds.AnatomicRegionSequence = [_code("51185008", "Chest")]
    ds.ViewCodeSequence = [_code(*VIEWS[ds.ViewPosition])]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def view_of(posture: Posture) -> str:
    """View Position (0018,5101)."""
    return "PA" if posture is Posture.UPRIGHT_PA else "AP"


def slice_dataset(series: CtSeries, index: int, ds: Dataset, name: str) -> NDArray[np.uint16]:
    """Complete `ds` as one slice of a series; the stored values are returned, to be encoded."""
    ds.SOPInstanceUID, ds.InstanceNumber = uid_of(name, "instance", index), index + 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid_of(name, "frame of reference"), ""
    ds.ImageType, ds.PatientPosition = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS"
    ds.ImageOrientationPatient = [round(float(value), 8) for value in series.orientation]
    ds.ImagePositionPatient = [round(float(value), 5) for value in series.positions_mm[index]]
    ds.SliceLocation = round(float(series.positions_mm[index][2]), 3)
    ds.PixelSpacing = [round(series.pixel_mm, 6)] * 2
    ds.SliceThickness, ds.KVP, ds.AcquisitionNumber = round(series.slice_thickness_mm, 4), 120, 1
    ds.SpacingBetweenSlices = round(series.slice_distance_mm, 5)
    ds.GantryDetectorTilt = round(series.protocol.tilt_deg, 2)
    ds.ConvolutionKernel = f"SIMULATED {series.protocol.kernel}"
    if series.protocol.contrast_hu:
        ds.ContrastBolusAgent = "SIMULATED"
    ds.SeriesDescription = f"SIMULATED {series.protocol.kernel} {series.slice_thickness_mm:g} mm"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = -500, 1500
    hu_HW = series.hu_ZHW[index].astype(np.int32)
    ds.Rows, ds.Columns = hu_HW.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    stored_HW: NDArray[np.uint16] = np.clip(hu_HW + 1024, 0, 4095).astype(np.uint16)
    return stored_HW
