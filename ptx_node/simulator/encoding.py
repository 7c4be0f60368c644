"""Files of simulated instances in the transfer syntax of their system. Lossless ones go through encoders that did not read our code."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

IMPLEMENTATION_CLASS_UID = "2.25.250873305264181541253920186419172853541"
QUALITY = 92
DCMTK = {JPEGLosslessSV1: ("dcmcjpeg", "+e1"), JPEGLSLossless: ("dcmcjpls", "+el"), RLELossless: ("dcmcrle",)}
"""Programs and their words by transfer syntax. They keep the SOP Instance UID: the compression is lossless."""


def save(ds: Dataset, values_HW: NDArray[np.uint16], folder: Path, transfer_syntax: UID) -> Path:
    """Write the file under its UID, uncompressed where the encoder is not installed.

    Raises:
        PtxError: an encoder failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    native = ImplicitVRLittleEndian if transfer_syntax == ImplicitVRLittleEndian else ExplicitVRLittleEndian
    program = DCMTK.get(transfer_syntax)
    if transfer_syntax == JPEGBaseline8Bit:
        _jpeg(ds, values_HW)
    elif transfer_syntax == JPEG2000Lossless:
        _jpeg_2000(ds, values_HW)
    else:
        data = values_HW.astype("<u2" if ds.BitsAllocated == 16 else np.uint8).tobytes()
        ds.PixelData = data + b"\0" * (len(data) % 2)
        ds["PixelData"].VR = "OW"
        ds.file_meta = _meta(ds, native)
    ds.save_as(path, enforce_file_format=True)
    if program and (encoder := shutil.which(program[0], path="/usr/bin:/usr/local/bin")):
        done = subprocess.run([encoder, *program[1:], path, path], capture_output=True, check=False)  # noqa: S603 - dcmtk on our own file
        if done.returncode != 0:
            raise PtxError(f"{encoder} failed on a simulated instance: {done.stderr.decode(errors='replace')[:300]}")
    return path


def _jpeg(ds: Dataset, values_HW: NDArray[np.uint16]) -> None:
    buffer = BytesIO()
    Image.fromarray(values_HW.astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    _encapsulate(ds, buffer.getvalue(), JPEGBaseline8Bit)
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"
    ds.LossyImageCompressionRatio = round(values_HW.size / len(ds.PixelData), 2)


def _jpeg_2000(ds: Dataset, values_HW: NDArray[np.uint16]) -> None:
    buffer = BytesIO()
    Image.fromarray(values_HW).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    _encapsulate(ds, buffer.getvalue(), JPEG2000Lossless)


def _encapsulate(ds: Dataset, data: bytes, transfer_syntax: UID) -> None:
    ds.PixelData = encapsulate([data + b"\0" * (len(data) % 2)])
    ds["PixelData"].VR = "OB"
    ds.file_meta = _meta(ds, transfer_syntax)


def _meta(ds: Dataset, transfer_syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    return meta
