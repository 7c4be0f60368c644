"""One radiograph out of a file: the order of the grey-scale steps, odd headers, damaged pixel data, spacing."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from ptx_node.dicom.pixels import radiograph_spacing, read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError
from ptx_node.simulator.patient import Wishes
from ptx_node.simulator.studies import simulate

LOSSLESS = ("1.2.1.dcm", "1.2.2.dcm", "1.2.1.99.dcm", "4.57.dcm", "4.70.dcm", "4.80.dcm", "4.90.dcm", "1.2.5.dcm")


def image(values: np.ndarray, *, bits: int = 12, signed: bool = False, **attributes: object) -> Dataset:
    """A CR image of these stored values, uncompressed."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = ComputedRadiographyImageStorage, generate_uid(), "CR"
    ds.Rows, ds.Columns = values.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = 8 if bits == 8 else 16
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.PixelData = values.astype("u1" if bits == 8 else ("<i2" if signed else "<u2")).tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def save(ds: Dataset, folder: Path) -> Path:
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def shown(ds: Dataset, folder: Path) -> np.ndarray:
    return read_radiograph(save(ds, folder)).image_HW


@pytest.fixture
def ramp() -> np.ndarray:
    return np.linspace(0, 4095, 64 * 64).round().astype(np.int32).reshape(64, 64)


def lut(values: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.add_new(0x00283006, "US", values)
    item.ModalityLUTType = "US"
    return item


def test_lossless_transfer_syntaxes_of_one_slice_give_the_same_picture(real_files: Path) -> None:
    folder = real_files / "ct-transfer-syntaxes"
    expected = read_radiograph(folder / "CTImage.dcm").image_HW
    read = [path for path in folder.iterdir() if path.name.endswith(LOSSLESS)]
    assert len(read) == len(LOSSLESS)
    for path in read:
        np.testing.assert_array_equal(expected, read_radiograph(path).image_HW, err_msg=path.name)


@pytest.mark.parametrize("syntax", ["4.53.dcm", "4.55.dcm"])
def test_retired_jpeg_processes_are_refused(real_files: Path, syntax: str) -> None:
    (path,) = [path for path in (real_files / "ct-transfer-syntaxes").iterdir() if path.name.endswith(syntax)]
    with pytest.raises(InputError) as caught:
        read_radiograph(path)
    assert Reason.UNSUPPORTED_TRANSFER_SYNTAX == caught.value.reason


def test_a_real_radiograph_has_bright_bones_and_its_spacing(real_files: Path) -> None:
    picture = read_radiograph(real_files / "cxr-jpeg-baseline-8bit.dcm")
    assert (0.168, 0.168) == picture.pixel_spacing_mm
    assert picture.image_HW.dtype == np.float32
    assert picture.image_HW[480:560, 500:540].mean() > picture.image_HW[400:500, 200:300].mean() + 0.2  # spine against lung


@pytest.mark.parametrize(("bits", "signed"), [(8, False), (10, False), (12, False), (16, False), (12, True), (16, True)])
def test_every_depth_and_sign_shows_the_same_ramp(tmp_path: Path, bits: int, signed: bool) -> None:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    expected = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    ds = image(np.round(low + expected * (high - low)), bits=bits, signed=signed)
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = (low + high) / 2, high - low, "LINEAR_EXACT"
    np.testing.assert_allclose(expected, shown(ds, tmp_path), atol=0.51 / (high - low) + 1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_those_stored_are_ignored(tmp_path: Path, ramp: np.ndarray, signed: bool) -> None:
    values = ramp - 2048 if signed else ramp
    clean = image(values, signed=signed, WindowCenter=2048 - 2048 * signed, WindowWidth=4096)
    dirty = image(np.bitwise_and(values, 0x0FFF) | 0x5000, WindowCenter=2048 - 2048 * signed, WindowWidth=4096)
    dirty.PixelRepresentation = int(signed)
    np.testing.assert_array_equal(shown(clean, tmp_path), shown(dirty, tmp_path))


def test_big_endian_shows_what_little_endian_shows(tmp_path: Path, ramp: np.ndarray) -> None:
    little = image(ramp, WindowCenter=1000, WindowWidth=1500)
    big = image(ramp, WindowCenter=1000, WindowWidth=1500)
    big.PixelData = ramp.astype(">u2").tobytes()
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    np.testing.assert_array_equal(shown(little, tmp_path), shown(big, tmp_path))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2.5, -1024)])
def test_rescale_then_window_agree_with_pydicom(tmp_path: Path, ramp: np.ndarray, function: str, slope: float, intercept: float) -> None:
    ds = image(ramp, RescaleSlope=slope, RescaleIntercept=intercept, WindowCenter=1200, WindowWidth=1800, VOILUTFunction=function)
    reference = apply_voi_lut(apply_modality_lut(ramp.astype(np.uint16), ds), ds).astype(np.float64)
    low, high = intercept, intercept + slope * 4095  # the range to which pydicom spreads its output
    expected = (reference - low) / (high - low)
    np.testing.assert_allclose(expected, shown(ds, tmp_path), atol=2e-3)


def test_the_first_of_several_windows_counts(tmp_path: Path, ramp: np.ndarray) -> None:
    one = image(ramp, WindowCenter=900, WindowWidth=700)
    several = image(ramp, WindowCenter=[900, 3000], WindowWidth=[700, 100])
    np.testing.assert_array_equal(shown(one, tmp_path), shown(several, tmp_path))


def test_modality_lut_comes_before_voi_lut(tmp_path: Path) -> None:
    values = np.tile(np.arange(16), (16, 1))
    ds = image(values)
    ds.ModalityLUTSequence = [lut([index * 100 for index in range(16)], 0, 16)]
    ds.VOILUTSequence = [lut([0] * 5 + [10, 20, 30, 40, 50], 500, 8)]
    expected = np.clip(np.arange(16) * 100 - 500, 0, 9)
    expected = np.array([0] * 5 + [10, 20, 30, 40, 50])[expected] / 50
    np.testing.assert_allclose(np.tile(expected, (16, 1)), shown(ds, tmp_path), atol=1e-6)


def test_monochrome1_is_inverted_after_the_window_and_only_once(tmp_path: Path, ramp: np.ndarray) -> None:
    plain = shown(image(ramp, WindowCenter=1000, WindowWidth=500), tmp_path)
    inverted = shown(image(ramp, WindowCenter=1000, WindowWidth=500, PhotometricInterpretation="MONOCHROME1"), tmp_path)
    both = image(ramp, WindowCenter=1000, WindowWidth=500, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    np.testing.assert_allclose(1 - plain, inverted, atol=1e-6)
    np.testing.assert_allclose(inverted, shown(both, tmp_path))


@pytest.mark.parametrize(
    "attributes", [{}, {"WindowCenter": 1, "WindowWidth": 0}, {"WindowCenter": 60000, "WindowWidth": 10}, {"RescaleSlope": 0}]
)
def test_without_a_usable_window_percentiles_make_a_picture(tmp_path: Path, ramp: np.ndarray, attributes: dict[str, object]) -> None:
    picture = shown(image(ramp // 8 + 1000, **attributes), tmp_path)
    assert picture.min() == 0
    assert picture.max() == 1
    assert picture.std() > 0.2


@pytest.mark.parametrize("border", [0, 4095])
def test_a_collimator_border_does_not_flatten_the_picture(tmp_path: Path, ramp: np.ndarray, border: int) -> None:
    inner = ramp // 8 + 1000
    framed = np.full((100, 100), border)
    framed[18:82, 18:82] = inner
    np.testing.assert_allclose(shown(image(inner), tmp_path)[8:-8, 8:-8], shown(image(framed), tmp_path)[26:74, 26:74], atol=0.12)


def test_padding_is_black_and_counts_for_nothing(tmp_path: Path, ramp: np.ndarray) -> None:
    values = ramp // 8 + 1000
    values[:, :16] = 4000
    picture = shown(image(values, PixelPaddingValue=4000, PhotometricInterpretation="MONOCHROME1"), tmp_path)
    assert np.all(picture[:, :16] == 0)
    assert picture[:, 16:].std() > 0.2


def broken(name: str, ramp: np.ndarray, folder: Path) -> Path:
    """A file that cannot be read, of the kind that the name says."""
    ds = image(ramp)
    if name == "short":
        ds.PixelData = ds.PixelData[:-100]
    elif name == "palette":
        ds.PhotometricInterpretation = "PALETTE COLOR"
    elif name == "rgb":
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    elif name == "frames":
        ds.NumberOfFrames, ds.PixelData = 2, ds.PixelData * 2
    elif name == "none":
        del ds.PixelData
    elif name == "one bit":
        ds.BitsAllocated = ds.BitsStored = 1
    elif name == "thirty-two bits":
        ds.BitsAllocated = ds.BitsStored = 32
    elif name == "no rows":
        del ds.Rows
    elif name == "more rows":
        ds = dcmread(simulate(folder, 1, site="siim", size=(64, 64)).paths[0])
        ds.Rows = 80
    elif name in {"rubbish", "cut jpeg"}:
        ds = dcmread(simulate(folder, 1, site="siim", size=(64, 64)).paths[0])
        data = bytes(ds.PixelData[16:])
        ds.PixelData = encapsulate([b"\xff\xd8" + bytes(range(200)) + b"\xff\xd9"] if name == "rubbish" else [data[: len(data) // 2]])
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    elif name == "syntax":
        ds.PixelData = encapsulate([ds.PixelData])
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.53"
    path = save(ds, folder)
    if name in {"cut file", "cut jpeg file"}:
        source = simulate(folder, 1, site="siim", size=(256, 256)).paths[0] if name == "cut jpeg file" else path
        path.write_bytes(source.read_bytes()[:-2000])
    if name == "no dicom":
        path.write_bytes(b"this is text" * 100)
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("short", Reason.PIXEL_DATA_TRUNCATED),
        ("cut file", Reason.PIXEL_DATA_TRUNCATED),
        ("cut jpeg", Reason.PIXEL_DATA_TRUNCATED),
        ("cut jpeg file", Reason.PIXEL_DATA_TRUNCATED),
        ("rubbish", Reason.PIXEL_DATA_CORRUPT),
        ("more rows", Reason.PIXEL_DATA_CORRUPT),
        ("palette", Reason.UNSUPPORTED_PHOTOMETRIC),
        ("rgb", Reason.UNSUPPORTED_PHOTOMETRIC),
        ("frames", Reason.MULTI_FRAME),
        ("none", Reason.NO_PIXEL_DATA),
        ("one bit", Reason.UNSUPPORTED_PIXELS),
        ("thirty-two bits", Reason.UNSUPPORTED_PIXELS),
        ("no rows", Reason.UNSUPPORTED_PIXELS),
        ("syntax", Reason.UNSUPPORTED_TRANSFER_SYNTAX),
        ("no dicom", Reason.UNREADABLE_HEADER),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path: Path, ramp: np.ndarray, name: str, reason: Reason) -> None:
    with pytest.raises(InputError) as caught:
        read_radiograph(broken(name, ramp, tmp_path))
    assert reason == caught.value.reason


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"PixelSpacing": [0.168, 0.168]}, ((0.168, 0.168), None)),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, ((0.2, 0.1), None)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25}, ((0.16, 0.16), None)),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25},
            ((0.16, 0.16), None),
        ),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.15, 0.15]}, ((0.15, 0.15), None)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"}, ((0.2, 0.2), None)),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, ((0.1, 0.1), None)),
        ({}, (None, "pixel_spacing_unknown")),
        ({"PixelSpacing": [0, 0]}, (None, "pixel_spacing_invalid")),
        ({"PixelSpacing": [100, 100]}, (None, "pixel_spacing_invalid")),
    ],
)
def test_spacing_is_that_of_the_patient_or_says_why_not(attributes: dict[str, object], expected: tuple[object, object]) -> None:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    spacing, reason = radiograph_spacing(ds)
    assert expected == (spacing if spacing is None else tuple(round(value, 6) for value in spacing), reason)


@pytest.mark.parametrize("site", ["siim", "toulouse", "bedside"])
def test_simulated_radiographs_of_every_site_look_alike(tmp_path: Path, site: str) -> None:
    """8-bit export, 12-bit inverted DX and windowed CR of one patient show the same thing: bright spine, dark lungs."""
    study = simulate(tmp_path, 3, site=site, size=(512, 448), wishes=Wishes(laterality="none", confounders=frozenset()))
    picture = read_radiograph(study.paths[0]).image_HW
    assert (512, 448) == picture.shape
    assert picture[300:330, 214:234].mean() > picture[220:300, 100:140].mean() + 0.2


@pytest.mark.skipif(not Path("/usr/bin/dcmcjpeg").exists(), reason="dcmtk is not installed")
def test_lossless_jpeg_of_a_simulated_radiograph_is_the_uncompressed_one(tmp_path: Path, ramp: np.ndarray) -> None:
    path = save(image(ramp, WindowCenter=2048, WindowWidth=4096), tmp_path)
    subprocess.run(["/usr/bin/dcmcjpeg", "+e1", path, tmp_path / "compressed.dcm"], check=True)
    np.testing.assert_array_equal(read_radiograph(path).image_HW, read_radiograph(tmp_path / "compressed.dcm").image_HW)


def answer(path: Path) -> str:
    """The coded reason of the refusal, or `ok`; anything else that is raised fails the test."""
    for read in (read_radiograph, lambda one: read_volume([one])):
        try:
            read(path)
        except InputError as error:
            return Reason(error.reason)
    return "ok"


def test_damaged_run_lengths_are_refused_though_their_decoder_panics(tmp_path: Path, ramp: np.ndarray) -> None:
    """The decoder's panic is no `Exception`: not refused here, it would end the worker."""
    ds = image(ramp, WindowCenter=2048, WindowWidth=4096)
    ds.compress(RLELossless)
    data, answers = bytearray(ds.PixelData), set()
    for place in range(90, 130):
        damaged = bytearray(data)
        damaged[place] = 0x7F if damaged[place] != 0x7F else 0x81
        ds.PixelData = bytes(damaged)
        answers.add(answer(save(ds, tmp_path)))
    assert Reason.PIXEL_DATA_CORRUPT in answers


def test_whatever_is_damaged_is_read_or_refused_with_a_reason(real_files: Path, tmp_path: Path) -> None:
    """Cut anywhere, or some bytes changed, in every transfer syntax."""
    rng, answers = random.Random(7), set()
    sources = [*sorted((real_files / "ct-transfer-syntaxes").iterdir()), real_files / "cxr-jpeg-baseline-8bit.dcm"]
    for number in range(6 * len(sources)):
        data = bytearray(sources[number % len(sources)].read_bytes())
        if number % 3 == 0:
            data = data[: rng.randrange(len(data))]
        else:
            end = 3000 if number % 3 == 1 else len(data)
            for _ in range(rng.choice((1, 5, 30))):
                data[rng.randrange(132, end)] = rng.randrange(256)
        path = tmp_path / "damaged.dcm"
        path.write_bytes(data)
        answers.add(answer(path))
    assert len(answers) > 4


def test_a_header_that_asks_for_gigabytes_is_refused_before_they_are_reserved(tmp_path: Path, ramp: np.ndarray) -> None:
    ds = image(ramp)
    ds.Rows = ds.Columns = 60000
    with pytest.raises(InputError) as caught:
        read_radiograph(save(ds, tmp_path))
    assert Reason.UNSUPPORTED_PIXELS == caught.value.reason
