"""A CT series out of files: order, Hounsfield units, odd geometry, mixed series, enhanced multi-frame."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from ptx_node.dicom.volume import read_volume
from ptx_node.domain.eligibility import Reason
from ptx_node.errors import InputError
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.studies import Study, simulate


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return simulate(tmp_path_factory.mktemp("ct"), 2, site="ct64", protocol=Protocol(slices=6, columns=64))


def changed(study: Study, folder: Path, change: Callable[[int, Dataset], None], places: Sequence[int] = range(6)) -> list[Path]:
    """Copies of the study's slices after a change."""
    paths = []
    for index in places:
        ds = dcmread(study.paths[index])
        change(index, ds)
        paths.append(folder / f"{len(paths)}.dcm")
        ds.save_as(paths[-1])
    return paths


def test_the_order_of_the_files_does_not_matter(study: Study) -> None:
    expected = read_volume(study.paths)
    shuffled = list(study.paths)
    random.Random(1).shuffle(shuffled)
    assert shuffled != list(study.paths)
    found = read_volume(shuffled, threads=1)
    np.testing.assert_array_equal(expected.hu_ZHW, found.hu_ZHW)
    assert study.sop_instance_uids == found.sop_instance_uids == expected.sop_instance_uids


def test_values_are_hounsfield_units_whatever_the_rescale_of_a_slice(study: Study, tmp_path: Path) -> None:
    expected = read_volume(study.paths)

    def rescale(index: int, ds: Dataset) -> None:
        values = ds.pixel_array.astype(np.int32)
        ds.PixelRepresentation, ds.RescaleSlope, ds.RescaleIntercept = 1, 0.5 if index % 2 else 1, -index * 10 - 24
        signed = (values - 1024 + index * 10 + 24) * (2 if index % 2 else 1)
        ds.BitsStored, ds.HighBit, ds.PixelData = 16, 15, signed.astype("<i2").tobytes()

    found = read_volume(changed(study, tmp_path, rescale))
    assert found.hu_ZHW.dtype == np.int16
    assert expected.hu_ZHW.min() < -900
    np.testing.assert_array_equal(expected.hu_ZHW, found.hu_ZHW)


def test_padding_is_air(study: Study, tmp_path: Path) -> None:
    def pad(_index: int, ds: Dataset) -> None:
        values = ds.pixel_array.copy()
        values[:4] = 4000
        ds.add_new("PixelPaddingValue", "US", 4000)
        ds.PixelData = values.tobytes()

    assert np.all(read_volume(changed(study, tmp_path, pad)).hu_ZHW[:, :4] == -1024)


def test_distance_is_along_the_normal_also_with_a_tilted_gantry(study: Study, tmp_path: Path) -> None:
    tilt = np.deg2rad(20)

    def turn(index: int, ds: Dataset) -> None:
        ds.ImageOrientationPatient = [1, 0, 0, 0, float(np.cos(tilt)), -float(np.sin(tilt))]
        ds.ImagePositionPatient = [-100, -100, 10 * index]

    found = read_volume(changed(study, tmp_path, turn))
    assert found.slice_spacing_mm == pytest.approx(10 * np.cos(tilt), rel=1e-4)
    assert found.spacing_reason is None


def test_columns_that_grow_to_the_right_are_told(study: Study, tmp_path: Path) -> None:
    def mirror(_index: int, ds: Dataset) -> None:
        ds.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]

    assert read_volume(study.paths).columns_to_left
    assert not read_volume(changed(study, tmp_path, mirror)).columns_to_left


def test_a_missing_slice_leaves_the_volume_unmeasured(study: Study) -> None:
    found = read_volume([path for index, path in enumerate(study.paths) if index != 3])
    assert (None, "missing_slices") == (found.slice_spacing_mm, found.spacing_reason)
    assert len(found.hu_ZHW) == 5


def test_inconsistent_distances_leave_the_volume_unmeasured(study: Study, tmp_path: Path) -> None:
    def move(index: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [-100, -100, 10 * index + (3 if index > 3 else 0)]

    found = read_volume(changed(study, tmp_path, move))
    assert (None, "inconsistent_spacing") == (found.slice_spacing_mm, found.spacing_reason)


def test_one_slice_has_no_distance(study: Study) -> None:
    found = read_volume(study.paths[:1])
    assert (None, "too_few_slices") == (found.slice_spacing_mm, found.spacing_reason)


def test_without_pixel_spacing_the_volume_says_so(study: Study, tmp_path: Path) -> None:
    def drop(_index: int, ds: Dataset) -> None:
        del ds.PixelSpacing

    found = read_volume(changed(study, tmp_path, drop))
    assert (None, "pixel_spacing_unknown") == (found.pixel_spacing_mm, found.spacing_reason)


def test_a_slice_sent_twice_under_another_uid_counts_once(tmp_path: Path) -> None:
    study = simulate(tmp_path / "source", 4, site="ct64", protocol=Protocol(slices=12, columns=32))

    def copy(_index: int, ds: Dataset) -> None:
        ds.SOPInstanceUID, ds.InstanceNumber = generate_uid(), 99

    paths = [*study.paths, *changed(study, tmp_path, copy, [5])]
    found = read_volume(paths[::-1])
    assert study.sop_instance_uids == found.sop_instance_uids
    assert found.spacing_reason is None


def test_localizers_in_the_series_are_left_out(study: Study, tmp_path: Path) -> None:
    def localizer(_index: int, ds: Dataset) -> None:
        ds.ImageType, ds.ImageOrientationPatient, ds.Rows = ["ORIGINAL", "PRIMARY", "LOCALIZER"], [1, 0, 0, 0, 0, -1], 32
        ds.SOPInstanceUID = generate_uid()

    found = read_volume([*changed(study, tmp_path, localizer, [0]), *study.paths])
    assert study.sop_instance_uids == found.sop_instance_uids


def spoil(name: str) -> Callable[[int, Dataset], None]:
    def change(index: int, ds: Dataset) -> None:
        if index != 2 and name not in {"phases", "localizers"}:
            return
        if name == "size":
            ds.Rows, ds.PixelData = 32, ds.PixelData[: len(ds.PixelData) // 2]
        elif name == "series":
            ds.SeriesInstanceUID = generate_uid()
        elif name == "turned":
            ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        elif name == "position":
            del ds.ImagePositionPatient
        elif name == "orientation":
            ds.ImageOrientationPatient = [0, 0, 0, 0, 0, 0]
        elif name == "short":
            ds.PixelData = ds.PixelData[:-64]
        elif name == "phases":
            ds.ImagePositionPatient = [0, 0, 10 * (index // 2)]
        elif name == "localizers":
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    return change


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("size", Reason.INCONSISTENT_SIZES),
        ("series", Reason.MIXED_SERIES),
        ("turned", Reason.INCONSISTENT_ORIENTATION),
        ("position", Reason.MISSING_GEOMETRY),
        ("orientation", Reason.INCONSISTENT_ORIENTATION),
        ("short", Reason.PIXEL_DATA_TRUNCATED),
        ("phases", Reason.DUPLICATE_SLICES),
        ("localizers", Reason.LOCALIZER),
    ],
)
def test_a_series_that_cannot_be_read_is_refused_with_its_reason(study: Study, tmp_path: Path, name: str, reason: Reason) -> None:
    with pytest.raises(InputError) as caught:
        read_volume(changed(study, tmp_path, spoil(name)))
    assert reason == caught.value.reason


def test_no_file_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        read_volume([])
    assert Reason.TOO_FEW_SLICES == caught.value.reason


def enhanced(study: Study, folder: Path, order: Sequence[int]) -> Path:
    """The study as one multi-frame instance, its frames in this order."""
    slices = [dcmread(study.paths[index]) for index in order]
    ds = slices[0]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    ds.NumberOfFrames = len(slices)
    ds.PixelData = b"".join(one.PixelData for one in slices)
    shared, orientation, measures, transform = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = ds.ImageOrientationPatient
    measures.PixelSpacing = ds.PixelSpacing
    transform.RescaleSlope, transform.RescaleIntercept = ds.RescaleSlope, ds.RescaleIntercept
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [transform]
    ds.SharedFunctionalGroupsSequence, frames = [shared], []
    for one in slices:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(ds, keyword)
    path = folder / "enhanced.dcm"
    ds.save_as(path)
    return path


@pytest.mark.parametrize("order", [range(6), range(5, -1, -1)])
def test_enhanced_ct_reads_like_its_slices_in_the_order_of_its_frames(study: Study, tmp_path: Path, order: Sequence[int]) -> None:
    expected = read_volume(study.paths)
    found = read_volume([enhanced(study, tmp_path, order)])
    np.testing.assert_array_equal(expected.hu_ZHW[list(order)], found.hu_ZHW)
    assert len(found.sop_instance_uids) == 1
    assert found.slice_spacing_mm == pytest.approx(expected.slice_spacing_mm)
    assert expected.pixel_spacing_mm == found.pixel_spacing_mm


def test_enhanced_frames_that_jump_are_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_volume([enhanced(study, tmp_path, [0, 3, 1, 4, 2, 5])])
    assert Reason.INCONSISTENT_SPACING == caught.value.reason


def test_every_readable_transfer_syntax_of_a_real_slice_becomes_a_volume(real_files: Path) -> None:
    folder = real_files / "ct-transfer-syntaxes"
    expected = read_volume([folder / "CTImage.dcm"]).hu_ZHW
    assert expected.min() >= -1024
    names = ("1.2.1.dcm", "1.2.2.dcm", "1.2.1.99.dcm", "4.57.dcm", "4.70.dcm", "4.80.dcm", "4.90.dcm", "1.2.5.dcm")
    lossless = [path for path in folder.iterdir() if path.name.endswith(names)]
    assert len(lossless) == len(names)
    for path in lossless:
        np.testing.assert_array_equal(expected, read_volume([path]).hu_ZHW, err_msg=path.name)
