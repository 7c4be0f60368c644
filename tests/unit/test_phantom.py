"""The simulated patients: the same from the same seed, masks where air is, and honest about being simulated."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.finding import Laterality
from ptx_node.simulator.first.ct import ChestVolume
from ptx_node.simulator.first.phantom import frontal
from ptx_node.simulator.first.studies import Profile, Study, side_of_seed, simulate_ct, simulate_hand, simulate_lateral, simulate_radiograph


def every_kind(folder: Path, seed: int) -> list[Study]:
    radiographs = [simulate_radiograph(folder, seed, profile=profile, size=(200, 160)) for profile in Profile]
    return [
        *radiographs,
        simulate_lateral(folder, seed, size=(100, 90)),
        simulate_hand(folder, seed),
        simulate_ct(folder, seed, slices=3, columns=64),
    ]


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    once, again = every_kind(tmp_path / "a", 5), every_kind(tmp_path / "b", 5)
    for one, two in zip(once, again, strict=True):
        assert one.sop_instance_uids == two.sop_instance_uids
        for first, second in zip(one.paths, two.paths, strict=True):
            assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_other_patients_and_sides_have_other_uids(tmp_path: Path) -> None:
    studies = [simulate_radiograph(tmp_path, seed, laterality=side, size=(64, 64)) for seed in (1, 2) for side in (None, *Laterality)]
    assert len({study.sop_instance_uids for study in studies}) == len(studies)
    assert len({study.study_instance_uid for study in studies}) == len(studies)


def test_every_file_says_that_it_is_simulated(tmp_path: Path) -> None:
    for study in every_kind(tmp_path, 3):
        for path in study.paths:
            ds = dcmread(path, stop_before_pixels=True)
            assert "SIMULATED" in str(ds.PatientName)
            assert "SIMULATED" in ds.ImageComments
            assert study.patient_id == ds.PatientID


@pytest.mark.parametrize("seed", range(4))
def test_air_is_darker_than_lung_and_on_its_side(seed: int) -> None:
    """Also proves the side: the patient's left is on the right of the picture."""
    for side, half in ((Laterality.LEFT, slice(150, 300)), (Laterality.RIGHT, slice(0, 150))):
        drawn = frontal(seed, laterality=side, rows=300, columns=300)
        assert drawn.mask_HW[:, half].sum() > 0.95 * drawn.mask_HW.sum() > 0
        beside = np.roll(drawn.mask_HW, -12 if side is Laterality.LEFT else 12, axis=1) & ~drawn.mask_HW
        assert drawn.thickness_HW[drawn.mask_HW].mean() < drawn.thickness_HW[beside].mean()


def test_without_pneumothorax_the_mask_is_empty() -> None:
    drawn = frontal(1, laterality=None, rows=100, columns=100)
    assert not drawn.mask_HW.any()
    assert drawn.laterality is None


def test_pleural_air_in_ct_is_air_and_continues_through_slices() -> None:
    hu, mask, distance = ChestVolume(1, laterality=Laterality.RIGHT, columns=256).series(24)
    assert mask.any()
    assert np.median(hu[mask]) < -940
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    assert len(filled) == filled[-1] - filled[0] + 1 > 2
    assert mask[:, :, :128].sum() > 0.95 * mask.sum()
    assert distance == pytest.approx(285 * 1.1 / 23)


def test_the_truth_of_a_study_is_on_the_grid_of_its_pixels(tmp_path: Path) -> None:
    radiograph = simulate_radiograph(tmp_path, 1, profile=Profile.DX, size=(1400, 1200))
    assert radiograph.laterality is side_of_seed(1) is Laterality.LEFT
    assert radiograph.mask is not None
    assert read_radiograph(radiograph.paths[0]).image_HW.shape == radiograph.mask.shape == (1400, 1200)
    series = simulate_ct(tmp_path, 1, slices=10, columns=96)
    assert series.mask is not None
    assert read_volume(series.paths).hu_ZHW.shape == series.mask.shape == (10, 96, 96)


def test_even_seeds_are_well_and_odd_ones_are_not() -> None:
    assert [side_of_seed(seed) for seed in (0, 2, 4)] == [None] * 3
    assert {side_of_seed(seed) for seed in (1, 3, 5, 7)} == {Laterality.LEFT, Laterality.RIGHT}


def test_drawing_is_fast_enough_to_train_on() -> None:
    """At least 5 pictures a second of 512 x 512 on one core, with room for a busy machine."""
    start = time.process_time()
    for seed in range(3):
        frontal(seed, laterality=Laterality.LEFT)
    assert (time.process_time() - start) / 3 < 0.4
