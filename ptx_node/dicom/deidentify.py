"""A DICOM object without what tells whose it is: PS3.15 Basic Application Level Confidentiality Profile with four options.

Options: Clean Descriptors, Retain Patient Characteristics, Retain Longitudinal Temporal Information with Modified Dates; device make
and version, which the profile leaves. The object is built anew from what may stay; the original is not changed. Pixels stay byte for
byte. `deidentify_table` says what stays, `validation/leak_scan.py` looks for what was left, and shares nothing with this.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydicom
from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import get_expected_length
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag
from pydicom.uid import UID

from ptx_node.dicom.attributes import UNREADABLE
from ptx_node.dicom.codes import code_item
from ptx_node.dicom.deidentify_pixels import PixelText, Unexportable, text_in_pixels
from ptx_node.dicom.deidentify_table import DESCRIPTIONS, DEVICE, PROFILE_EDITION, Action, action_of
from ptx_node.dicom.deidentify_values import kept, moved, replaced, texts_of, with_texts
from ptx_node.dicom.deidentify_words import clean_code, is_code, is_plain_description
from ptx_node.dicom.file_meta import IMPLEMENTATION_CLASS_UID
from ptx_node.domain.pseudonym import Pseudonyms, age_string_told, patient_identity
from ptx_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

METHOD = (
    f"PS3.15 {PROFILE_EDITION} Basic Profile and options",
    "Keyed pseudonyms, dates moved patient by patient",
    "Private elements removed",
)
METHOD_CODES = (
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113105", "DCM", "Clean Descriptors Option"),
    Code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Code("113108", "DCM", "Retain Patient Characteristics Option"),
)  # CID 7050
IMPLEMENTATION_VERSION_NAME = "PTX_DEIDENTIFIED"


@dataclass(frozen=True, slots=True)
class Deidentified:
    """An object that may leave, and what a person has to know about it.

    Attributes:
        dataset: complete, with file meta information.
        pixel_text: what is known about text in the pixels.
        unreadable: tags that were removed because they could not be decoded, such as `(0018,1030)`.
    """

    dataset: Dataset
    pixel_text: PixelText
    unreadable: tuple[str, ...] = ()

    def part10(self) -> bytes:
        """The object as a DICOM Part 10 file: the same bytes for the same original and key.

        Raises:
            InputError: it has a value that cannot be written (`broken`).
        """
        buffer = io.BytesIO()
        with _quietly():
            try:
                pydicom.dcmwrite(buffer, self.dataset, enforce_file_format=True)
            except UNREADABLE as error:
                raise InputError(Unexportable.BROKEN, f"{type(error).__name__} while writing the object; leave it out") from error
        return buffer.getvalue()


@contextmanager
def _quietly() -> Iterator[None]:
    """Pydicom's warnings quote the values that they are about."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def deidentify_file(path: Path, pseudonyms: Pseudonyms, *, patient: str | None = None, pixels_reviewed: bool = False) -> Deidentified:
    """As `deidentify`, of a file.

    Raises:
        InputError: as there, or the file is no DICOM object (`broken`).
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file, _quietly():
        try:
            ds = pydicom.dcmread(file)
        except (InvalidDicomError, *UNREADABLE) as error:
            raise InputError(Unexportable.BROKEN, f"{type(error).__name__} while reading the object; leave it out") from error
    return deidentify(ds, pseudonyms, patient=patient, pixels_reviewed=pixels_reviewed)


def deidentify(ds: Dataset, pseudonyms: Pseudonyms, *, patient: str | None = None, pixels_reviewed: bool = False) -> Deidentified:
    """Build the object that may leave.

    Args:
        ds: the original, with file meta information; it is read, not changed.
        pseudonyms: of this export.
        patient: who it is of, by `patient_identity`; None takes Patient ID and its issuer from the header, and where there is no
            Patient ID the study, so that patients without a number are not made one.
        pixels_reviewed: a person has looked at the pixels, and nothing in them names anybody.

    Raises:
        InputError: the object may not leave; the reason is one of `Unexportable`, and no retry helps.
    """
    with _quietly():
        try:
            pixel_text = text_in_pixels(ds, reviewed=pixels_reviewed)
            cleaner = _Cleaner(pseudonyms, patient or _identity(ds))
        except UNREADABLE as error:
            raise InputError(Unexportable.BROKEN, f"{type(error).__name__} while reading its header; leave it out") from error
        cleaned = cleaner.cleaned(ds)
        cleaned.file_meta = _file_meta(ds, cleaned)
        _trim_pixels(cleaned)
        _declare(cleaned, cleaner)
    return Deidentified(cleaned, pixel_text, tuple(sorted(cleaner.unreadable)))


def _identity(ds: Dataset) -> str:
    patient_id = str(ds.get("PatientID") or "").strip(" \0")
    if patient_id:
        return patient_identity(patient_id, str(ds.get("IssuerOfPatientID") or ""))
    return patient_identity(str(ds.get("StudyInstanceUID") or ds.get("SOPInstanceUID") or ""), "study without Patient ID")


def _file_meta(ds: Dataset, cleaned: Dataset) -> FileMetaDataset:
    """Written anew: no Source AE title, no private information, nothing of who wrote the original."""
    transfer_syntax = UID(str(getattr(ds, "file_meta", {}).get("TransferSyntaxUID", "")))
    if not transfer_syntax.is_transfer_syntax or transfer_syntax.is_private:
        raise InputError(Unexportable.BROKEN, "its transfer syntax is not one of the standard's; leave it out")
    if not cleaned.get("SOPClassUID") or not cleaned.get("SOPInstanceUID"):
        raise InputError(Unexportable.BROKEN, "it has no SOP Class UID or no SOP Instance UID; leave it out")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = cleaned.SOPClassUID, cleaned.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def _declare(cleaned: Dataset, cleaner: _Cleaner) -> None:
    """What PS3.15 E.1.1 wants said in the object itself."""
    cleaned.PatientName = cleaned.PatientID = cleaner.patient_pseudonym
    cleaned.PatientIdentityRemoved = "YES"
    cleaned.DeidentificationMethod = list(METHOD)
    cleaned.DeidentificationMethodCodeSequence = [code_item(code) for code in METHOD_CODES]
    cleaned.LongitudinalTemporalInformationModified = "MODIFIED"
    if cleaner.beyond_ascii:
        cleaned.SpecificCharacterSet = "ISO_IR 192"


def _trim_pixels(cleaned: Dataset) -> None:
    """Bytes behind the last pixel are nobody's image; those of compressed frames are counted by their items."""
    if "PixelData" not in cleaned or cleaned.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    try:
        length = get_expected_length(cleaned)
    except UNREADABLE as error:
        raise InputError(Unexportable.BROKEN, "its header does not say how many pixels it has; leave it out") from error
    padded = length + length % 2
    if len(cleaned.PixelData) > padded:
        cleaned["PixelData"] = DataElement(cleaned["PixelData"].tag, cleaned["PixelData"].VR, cleaned.PixelData[:padded])


def _unknown(ds: Dataset, tag: BaseTag) -> bool:
    """Whether the file gives the VR as UN: what its bytes are was not known to who wrote them, so nobody vouches for them."""
    element: object = ds.get_item(tag)
    return isinstance(element, RawDataElement) and element.VR == "UN"


class _Cleaner:
    """Walks one object with one patient's pseudonyms."""

    def __init__(self, pseudonyms: Pseudonyms, patient: str) -> None:
        self._pseudonyms, self._patient = pseudonyms, patient
        self.patient_pseudonym = pseudonyms.patient(patient)
        self.unreadable: set[str] = set()
        self.beyond_ascii = False

    def cleaned(self, ds: Dataset) -> Dataset:
        result = Dataset()
        for tag in sorted(ds.keys()):
            action = action_of(tag)
            if action is Action.REMOVE:
                continue
            try:
                element = None if _unknown(ds, tag) else ds[tag]
            except UNREADABLE:
                self.unreadable.add(str(BaseTag(tag)))
                continue
            if element is not None and (acted := self._acted(element, action)) is not None:
                result.add(acted)
        return result

    def _acted(self, element: DataElement, action: Action) -> DataElement | None:
        """The element that takes its place; None where none does."""
        if action in {Action.EMPTY, Action.DUMMY}:
            return replaced(element, action)
        if action is Action.KEEP:
            return self._kept(element)
        if dictionary_VR(element.tag) != element.VR:
            return None
        return self._walked(element) if action is Action.WALK else self._of_text(element, action, texts_of(element))

    def _of_text(self, element: DataElement, action: Action, texts: list[str]) -> DataElement | None:
        match action:
            case Action.PATIENT:
                texts = [self.patient_pseudonym]
            case Action.ACCESSION:
                texts = [self._pseudonyms.accession(text) for text in texts]
            case Action.UID:
                texts = [self._pseudonyms.uid(text) for text in texts]
            case Action.AGE:
                texts = [age_string_told(text) for text in texts[:1]]
            case Action.MOMENT:
                return moved(element, self._shifted)
            case Action.REGISTERED:
                return element if all(UID(text).type == "SOP Class" for text in texts) else None
            case Action.WORDS:
                if not all(map(is_plain_description, texts)):
                    return replaced(element, DESCRIPTIONS[keyword_for_tag(element.tag)])
                texts = [text.upper() for text in texts] if element.VR == "CS" else texts
        return with_texts(element, texts)

    def _shifted(self, day: date) -> date | None:
        return self._pseudonyms.shifted(self._patient, day)

    def _kept(self, element: DataElement) -> DataElement | None:
        same = kept(element)
        if same is not None and keyword_for_tag(element.tag) in DEVICE:
            self.beyond_ascii |= not all(text.isascii() for text in texts_of(same))
        return same

    def _walked(self, element: DataElement) -> DataElement | None:
        """The sequence with each item cleaned. Codes of private schemes go; a sequence of nothing else goes with them."""
        items = [cleaned for item in element.value or [] if (cleaned := self._item(item)) is not None]
        return DataElement(element.tag, "SQ", items) if items or not element.value else None

    def _item(self, item: Dataset) -> Dataset | None:
        """An item by the table; of a code the code alone, with the modifiers that its item holds."""
        cleaned = self.cleaned(item)
        if not is_code(item):
            return cleaned
        try:
            code = clean_code(item)
        except UNREADABLE:
            return None
        if code is not None:
            code.update({element.tag: element for element in cleaned if element.VR == "SQ"})
        return code
