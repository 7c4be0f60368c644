"""What every result says beside its content: who made it, when, in which series, from which patient's study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from ptx_node import __version__
from ptx_node.dicom import codes
from ptx_node.dicom.carry_over import carry_over, copy_element, time_zone_offset, writable
from ptx_node.dicom.file_meta import IMPLEMENTATION_CLASS_UID
from ptx_node.dicom.uids import derived_uid, input_digest
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.domain.finding import Finding, ModelIdentity

SERIES_NUMBERS = {ResultKind.SEG: 9101, ResultKind.SR: 9102, ResultKind.SC: 9103}
SERIES_WORDS = {ResultKind.SEG: "segmentation", ResultKind.SR: "report", ResultKind.SC: "overlay picture"}
MODALITIES = {ResultKind.SEG: "SEG", ResultKind.SR: "SR", ResultKind.SC: "OT"}


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """An SR that went out before and that a new one replaces (PS3.3 C.17.2, Predecessor Documents)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class WriterContext:
    """What the writers of results know of their place and moment. The same context gives the same bytes.

    Attributes:
        site: Institution Name of results.
        device_serial_number: of the device that ran the model.
        now: aware; becomes Content Date and Time. A job's `inferred_at` makes a re-run byte-identical.
        time_zone: IANA zone that dates and times are written in, unless the source carries its own offset.
        software_version: of the writer; not of the model, whose version stands in its identity.
        supersedes: earlier reports on the same series or study that the new one replaces.
    """

    site: str
    device_serial_number: str
    now: datetime
    time_zone: str = "UTC"
    software_version: str = __version__
    supersedes: tuple[DocumentReference, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultIds:
    """The derived UIDs of everything that one finding is written as."""

    digest: str
    series_instance_uid: str
    study_instance_uid: str
    device_uid: str
    outcome: Outcome

    @classmethod
    def of(cls, finding: Finding, source: Dataset) -> ResultIds:
        """The identity of a finding's results, from what was read and which model read it."""
        study = str(source.get("StudyInstanceUID", ""))
        digest = input_digest(study, finding.sop_instance_uids)
        return cls(digest, str(source.get("SeriesInstanceUID", "")), study, finding.model.device_uid, finding.outcome)

    @property
    def tracking_uid(self) -> str:
        """Shared by the segment and the measurement group."""
        return derived_uid("tracking", self.digest, self.device_uid)

    @property
    def tracking_identifier(self) -> str:
        """The tracking UID for people: short, and unique enough within a study."""
        return f"Pneumothorax {self.digest[:8]}"

    def sop(self, kind: ResultKind) -> str:
        """SOP Instance UID. A report of a failure is another document than the answer that a retry gives."""
        answered = self.outcome in {Outcome.POSITIVE, Outcome.NEGATIVE}
        return derived_uid("instance", self.digest, self.device_uid, kind.value, "answer" if answered else self.outcome.value)

    def series(self, kind: ResultKind) -> str:
        """Series Instance UID: one series for each source series, model and kind, so that Frames of Reference never mix."""
        return derived_uid("series", self.study_instance_uid, self.series_instance_uid, self.device_uid, kind.value)

    def part(self, name: str) -> str:
        """UID of something inside an instance, such as a dimension organization."""
        return derived_uid(name, self.digest, self.device_uid)


@dataclass(frozen=True, slots=True)
class Writing:
    """One finding being written: all that the modules of the kinds receive.

    `sources` are the images that were read, in the order of the mask's frames.
    """

    finding: Finding
    sources: tuple[Dataset, ...]
    ids: ResultIds
    context: WriterContext

    @classmethod
    def of(cls, finding: Finding, sources: Sequence[Dataset], context: WriterContext) -> Writing:
        """Bring the sources into the finding's order, whatever order they came in, so that a re-run gives the same bytes.

        Raises:
            InputError: no source tells patient and study, or an image that the mask belongs to is not there.
        """
        by_uid = {str(source.get("SOPInstanceUID", "")): source for source in sources}
        ordered = tuple(by_uid[uid] for uid in dict.fromkeys(finding.sop_instance_uids) if uid in by_uid) or tuple(sources)
        if not ordered or not ordered[0].get("StudyInstanceUID"):
            raise InputError("unreadable_header", "without the header of a source image no result can name its patient and study")
        if finding.mask is not None and len(ordered) < len(set(finding.sop_instance_uids)):
            missing = sorted(set(finding.sop_instance_uids) - by_uid.keys())
            raise InputError("input_missing", f"the mask cannot be written without all of its source images: {missing[:3]}")
        return cls(finding, ordered, ResultIds.of(finding, ordered[0]), context)

    @property
    def source(self) -> Dataset:
        """The image that patient and study are taken from: the first."""
        return self.sources[0]

    @property
    def volumetric(self) -> bool:
        """Whether the mask is a stack of planes (CT), also of a single one."""
        mask = self.finding.mask
        return mask is not None and mask.ndim == 3  # noqa: PLR2004 - slices, rows, columns

    @property
    def multiframe(self) -> bool:
        """Whether one instance holds several frames (Enhanced CT)."""
        return int(self.source.get("NumberOfFrames") or 1) > 1


def complete(result: Dataset, kind: ResultKind, sop_class_uid: str, writing: Writing) -> Dataset:
    """Add to a result everything that does not depend on its kind; what the kind has set stays.

    The last thing that happens to a result. Patient, study, series, equipment (with Contributing Equipment as IHE AIR
    asks), times with their zone, file meta.
    """
    source, model, ids, context = writing.source, writing.finding.model, writing.ids, writing.context
    carry_over(source, result)
    result.SOPClassUID, result.SOPInstanceUID = sop_class_uid, ids.sop(kind)
    result.Modality, result.SeriesInstanceUID, result.SeriesNumber = MODALITIES[kind], ids.series(kind), SERIES_NUMBERS[kind]
    result.SeriesDescription = writable(f"AI pneumothorax {SERIES_WORDS[kind]} - research use", source)
    result.InstanceNumber = _instance_number(source)
    _write_times(result, source, context)
    result.InstitutionName = writable(context.site, source)
    _write_equipment(result, model, source, context)
    processing = _write_equipment(Dataset(), model, source, context)
    processing.PurposeOfReferenceCodeSequence = [codes.code_item(codes.PROCESSING_EQUIPMENT)]
    processing.ContributionDateTime = f"{result.ContentDate}{result.ContentTime}{result.TimezoneOffsetFromUTC}"
    processing.ContributionDescription = writable(f"Model run and result written by ptx-node {context.software_version}", source)
    result.ContributingEquipmentSequence = DicomSequence([processing, *_acquisition(source)])
    result.file_meta = _file_meta(result, context)
    _keep_bytes(result)
    return result


def _keep_bytes(result: Dataset) -> None:
    """Tell the library that the data set is in its final encoding: text that came as bytes is then written as it came."""
    correct_ambiguous_vr(result, is_little_endian=True)
    charset = result.get("SpecificCharacterSet")
    encodings = convert_encodings(charset) if charset else None
    result.set_original_encoding(is_implicit_vr=False, is_little_endian=True, character_encoding=encodings)


def _instance_number(source: Dataset) -> int:
    try:
        return max(1, int(source.get("InstanceNumber") or 1))
    except (TypeError, ValueError):
        return 1


def _write_times(result: Dataset, source: Dataset, context: WriterContext) -> None:
    """Content and creation times, in the zone that the study's own times are in where the source tells it (PS3.3 C.12.1)."""
    offset = time_zone_offset(source)
    if offset is None:
        local = context.now.astimezone(ZoneInfo(context.time_zone))
    else:
        sign = -1 if offset[0] == "-" else 1
        local = context.now.astimezone(timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))))
    date, time = local.strftime("%Y%m%d"), local.strftime("%H%M%S.%f")
    result.ContentDate, result.ContentTime = date, time
    result.InstanceCreationDate, result.InstanceCreationTime = date, time
    result.TimezoneOffsetFromUTC = local.strftime("%z")[:5]


def _write_equipment(target: Dataset, model: ModelIdentity, source: Dataset, context: WriterContext) -> Dataset:
    """The model as a device: General Equipment (PS3.3 C.7.5.1) and Contributing Equipment alike, so that they agree."""
    target.Manufacturer = writable(model.manufacturer, source)
    target.ManufacturerModelName = writable(model.name, source)
    target.SoftwareVersions = writable(model.version, source)
    target.DeviceSerialNumber = writable(context.device_serial_number, source)
    target.DeviceUID = model.device_uid
    return target


def _acquisition(source: Dataset) -> list[Dataset]:
    """The equipment that took the image, where the source names it."""
    if not source.get("Manufacturer"):
        return []
    item = Dataset()
    for keyword in ("Manufacturer", "ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions", "InstitutionName"):
        copy_element(source, item, keyword)
    item.PurposeOfReferenceCodeSequence = [codes.code_item(codes.ACQUISITION_EQUIPMENT)]
    return [item]


def _file_meta(result: Dataset, context: WriterContext) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"PTX {context.software_version}"[:16]
    return meta


def image_reference(source: Dataset) -> Dataset:
    """A reference to one image: SOP class and instance, as they are, also where they are not valid UIDs."""
    item = Dataset()
    item.ReferencedSOPClassUID = str(source.get("SOPClassUID", ""))
    item.ReferencedSOPInstanceUID = str(source.get("SOPInstanceUID", ""))
    return item
