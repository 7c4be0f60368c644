"""Prepared arrays agree with what the node would make of the same files; handling does what its names say."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.errors import ConfigurationError, UsageError
from ptx_node.model.preprocess import HU_RANGE, radiograph_input, shrink, slice_input
from tests.factories import Place, Size, as_file, chest, cr, dx
from tests.training.real_formats import blob, write_ct, write_siim
from training import prepared as module
from training.datasets import NODE, Handling, open_data_set, read
from training.datasets.handling import Standardise, Values
from training.datasets.landmarks import PERCENTILES, landmarks_of, learn, standardised
from training.datasets.lung_fields import lung_window
from training.datasets.writing import save_seg
from training.prepared import prepare
from training.records import Record


def radiographs(folder, count: int = 5) -> list[Record]:
    for number in range(1, count + 1):
        ds = (dx if number % 2 else cr)(Place(study=number, patient_id=f"P{number}"), size=Size(100 + 7 * number, 90))
        (folder / f"{number}.dcm").write_bytes(as_file(ds))
        if number == 2:
            mask = np.zeros((1, ds.Rows, ds.Columns), bool)
            mask[0, 20:60, 30:50] = True
            save_seg(folder / "mask.dcm", [ds], mask)
    return list(open_data_set("dicom_seg", folder).records)


def test_prepared_radiographs_are_what_the_node_makes_of_the_files(tmp_path):
    records = radiographs(tmp_path)
    found = prepare(records, tmp_path / "cache", size=64, processes=1)
    assert ((5, 64, 64), np.uint8) == (found.images_NHW.shape, found.images_NHW.dtype)
    for index, record in enumerate(records):
        image, mask = read(record)
        expected, box = radiograph_input(image, 64)
        assert box == found.box(index)
        small = shrink(image, box.scaled)
        assert np.abs(small - found.image(index)[box.window]).max() <= 0.5 / 255 + 1e-6
        assert np.abs(expected - found.network_input(index)).max() < 1 / 255 / small.std() + 0.01
        assert record.label == found.label(index)
        assert bool(record.label) == bool(found.mask(index).any())
        assert mask.mean() == pytest.approx(found.mask(index)[box.window].mean(), abs=0.01)
    assert 0 == found.images_NHW[0, :, :2].max()


def test_sixteen_bits_keep_more_than_eight(tmp_path):
    records = radiographs(tmp_path, 1)
    exact = shrink(read(records[0])[0], prepare(records, tmp_path / "c", size=64, processes=1).box(0).scaled)
    errors = []
    for bits in (8, 16):
        found = prepare(records, tmp_path / "c", size=64, handling=Handling(bits=bits), processes=1)
        errors.append(float(np.abs(exact - found.image(0)[found.box(0).window]).max()))
    assert errors[1] < 1 / 2000 < errors[0] <= 1 / 255


def test_prepared_ct_slices_are_what_the_node_makes_of_them(tmp_path):
    slices = write_ct(tmp_path / "s")
    save_seg(tmp_path / "s" / "mask.dcm", slices, blob())
    records = open_data_set("ct_folder", tmp_path / "s").records
    found = prepare(records, tmp_path / "cache", size=32, reads="ct", processes=1)
    assert np.int16 == found.images_NHW.dtype
    for index, record in enumerate(records):
        hu, _ = read(record)
        expected, box = slice_input(hu, 32)
        assert box == found.box(index)
        assert np.abs(expected - found.network_input(index)).max() <= 2 * 0.51 / (HU_RANGE[1] - HU_RANGE[0])
        assert 0 <= found.image(index).min() <= found.image(index).max() <= 1
        assert record.label == int(found.mask(index).any())


def test_a_second_call_reads_no_file_and_another_handling_size_or_file_is_prepared_anew(tmp_path, monkeypatch):
    records = radiographs(tmp_path)
    first = prepare(records, tmp_path / "cache", size=32, processes=1)
    calls = []
    monkeypatch.setattr(module, "read", lambda record, handling: calls.append(record) or read(record, handling))
    relabelled = [replace(record, label=1, site="elsewhere") for record in records]
    second = prepare(relabelled, tmp_path / "cache", size=32, processes=1)
    assert [] == calls
    assert first.folder == second.folder
    assert 1 == second.label(0)
    prepare(records, tmp_path / "cache", size=40, processes=1)
    prepare(records, tmp_path / "cache", size=32, handling=Handling(values=Values.FULL_RANGE), processes=1)
    records[0].path.write_bytes(as_file(dx(Place(study=1), size=Size(80, 80))))
    assert (80, 80) == prepare(records, tmp_path / "cache", size=32, processes=1).box(0).source
    assert 3 * len(records) == len(calls)


def test_another_process_is_sent_the_place_of_the_arrays_and_not_their_content(tmp_path):
    found = prepare(radiographs(tmp_path), tmp_path / "cache", size=256, processes=1)
    sent = pickle.dumps(found)
    assert len(sent) < found.images_NHW.nbytes / 10
    np.testing.assert_array_equal(found.images_NHW, pickle.loads(sent).images_NHW)


def test_a_killed_preparation_goes_on_where_it_was(tmp_path, monkeypatch):
    records = radiographs(tmp_path)
    calls = []

    def killed(record, handling):
        calls.append(record.image_id)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return read(record, handling)

    monkeypatch.setattr(module, "read", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(records, tmp_path / "cache", size=32, processes=1)
    found = prepare(records, tmp_path / "cache", size=32, processes=1)
    assert [record.image_id for record in records[:4]] + [record.image_id for record in records[3:]] == calls
    monkeypatch.undo()
    whole = prepare(records, tmp_path / "other", size=32, processes=1)
    np.testing.assert_array_equal(whole.images_NHW, found.images_NHW)


def test_unreadable_images_are_named_and_leave_no_gap(tmp_path):
    records = radiographs(tmp_path)
    whole = prepare(records, tmp_path / "cache", size=32, processes=1)
    records[1].path.write_bytes(records[1].path.read_bytes()[:3000])
    found = prepare(records, tmp_path / "cache", size=32, processes=1)
    assert [record.image_id for record in records if record != records[1]] == [record.image_id for record in found.records]
    np.testing.assert_array_equal(whole.images_NHW[[0, 2, 3, 4]], found.images_NHW)
    assert records[1].path == found.problems[0].path
    assert "pixel data" in found.problems[0].reason
    assert found.problems == prepare(records, tmp_path / "cache", size=32, processes=1).problems
    with pytest.raises(UsageError, match="none of 1 images can be read"):
        prepare(records[1:2], tmp_path / "cache", size=32)


def test_two_processes_fill_the_same_arrays_as_one(tmp_path, monkeypatch):
    write_siim(tmp_path, [(n, "-1" if n % 3 else f"{n * 7} 40 20 30") for n in range(30)], files=range(30))
    records = open_data_set("siim", tmp_path).records
    one = prepare(records, tmp_path / "one", size=24, processes=1)
    two = prepare(records, tmp_path / "two", size=24, processes=2)
    np.testing.assert_array_equal(one.images_NHW, two.images_NHW)
    np.testing.assert_array_equal(one.masks_NHW, two.masks_NHW)
    assert 10 == sum(mask.any() for mask in two.masks_NHW)


# --- handling


def shown(ds, path, **handling):
    path.write_bytes(as_file(ds))
    return read(Record("x", "p", path, 0), Handling(**handling))[0]


def test_the_default_is_the_nodes_own_reading_bit_for_bit(tmp_path):
    for number, ds in enumerate((dx(photometric="MONOCHROME1"), cr(), dx(WindowCenter=1200, WindowWidth=900))):
        image = shown(ds, tmp_path / f"{number}.dcm")
        np.testing.assert_array_equal(read_radiograph(tmp_path / f"{number}.dcm").image_HW, image)


def test_values_can_be_windowed_full_range_or_divided_by_255_as_in_the_thesis(tmp_path):
    ds, size = dx(WindowCenter=1200, WindowWidth=900), Size()
    stored = chest(size).astype(np.float32)
    full = shown(ds, tmp_path / "x.dcm", values=Values.FULL_RANGE)
    np.testing.assert_allclose(stored / 4095, full, atol=1e-6)
    thesis = shown(ds, tmp_path / "x.dcm", values=Values.DIVIDE_255)
    np.testing.assert_allclose(np.clip(stored / 255, 0, 1), thesis, atol=1e-6)
    assert (thesis == 1).mean() > 0.9
    assert np.abs(full - shown(ds, tmp_path / "x.dcm")).max() > 0.2


@pytest.mark.parametrize("values", [Values.WINDOW, Values.FULL_RANGE])
def test_monochrome1_is_turned_round_only_if_asked_for(tmp_path, values):
    ds = dx(photometric="MONOCHROME1")
    turned = shown(ds, tmp_path / "x.dcm", values=values)
    left = shown(ds, tmp_path / "x.dcm", values=values, invert_monochrome1=False)
    np.testing.assert_allclose(turned, 1 - left, atol=1e-5)
    assert turned[128, 112] > turned[128, 60]


def test_landmarks_undo_any_rising_curve_over_the_picture():
    rng = np.random.default_rng(5)
    image = np.clip(chest(Size()).astype(np.float32) / 4095 + rng.normal(0, 0.02, (256, 224)), 0, 1).astype(np.float32)
    curved = (0.1 + 0.6 * image**2.2).astype(np.float32)
    reference = learn([image, np.clip(image * 0.9 + 0.05, 0, 1)])
    one, other = standardised(image, reference), standardised(curved, reference)
    assert np.abs(image - curved).mean() > 0.1
    assert np.abs(one - other).mean() < 0.01
    np.testing.assert_allclose(reference, landmarks_of(other), atol=0.01)
    assert len(PERCENTILES) == len(reference)


def test_standardising_keeps_a_flat_picture_finite(tmp_path):
    flat = np.full((40, 40), 0.5, np.float32)
    assert np.isfinite(standardised(flat, NODE.reference)).all()


def test_the_lung_crop_keeps_both_lungs_and_the_mask_follows_it(tmp_path):
    wide = np.full((300, 400), 0.02, np.float32)
    wide[30:286, 90:314] = chest(Size(), bits=8) / np.float32(255)
    rows, columns = lung_window(wide)
    assert 30 < rows.start < 66
    assert 90 < columns.start < 120
    assert 258 < rows.stop < 300
    assert 290 < columns.stop < 315
    ds = dx(Place(study=5), size=Size(300, 280))
    (tmp_path / "1.dcm").write_bytes(as_file(ds))
    mask = np.zeros((1, 300, 280), bool)
    mask[0, 60:90, 60:90] = True
    save_seg(tmp_path / "mask.dcm", [ds], mask)
    record = open_data_set("dicom_seg", tmp_path).records[0]
    image, drawn = read(record, Handling(lung_crop=True))
    window = lung_window(read(record)[0])
    assert image.shape == drawn.shape != (300, 280)
    np.testing.assert_array_equal(mask[0][window], drawn)


def test_a_picture_without_lungs_is_not_cropped():
    noise = np.random.default_rng(1).random((200, 160)).astype(np.float32)
    assert (slice(0, 200), slice(0, 160)) == lung_window(noise)
    assert (slice(0, 200), slice(0, 160)) == lung_window(np.zeros((200, 160), np.float32))


def test_handling_comes_back_from_json_and_refuses_what_does_not_exist():
    one = Handling(Values.FULL_RANGE, invert_monochrome1=False, standardise=Standardise.LANDMARKS, lung_crop=True, bits=16)
    assert one == Handling.of(json.loads(json.dumps(one.to_json())))
    assert NODE == Handling.of({})
    for wrong in ({"windows": 1}, {"values": "raw"}, {"bits": 12}, {"reference": [0.5] * 11}):
        with pytest.raises(ConfigurationError):
            Handling.of(wrong)
