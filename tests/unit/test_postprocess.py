"""The decision rule, regions too small, side of the patient, area and volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ptx_node.domain.finding import Laterality
from ptx_node.model.metadata import Decision
from ptx_node.model.postprocess import area_mm2, drop_small, series_probability, side_of_mask, source_masks, volume_ml
from ptx_node.model.preprocess import Letterbox

DECISION = Decision(class_threshold=0.5, pixel_threshold=0.5, min_pixels=10)


def logits(*regions: tuple[int, slice, slice], depth: int = 1) -> torch.Tensor:
    stack = torch.full((depth, 64, 64), -5.0)
    for index, rows, columns in regions:
        stack[index, rows, columns] = 5.0
    return stack


def test_regions_under_the_minimum_are_dropped_and_others_kept() -> None:
    kept = drop_small(logits((0, slice(0, 3), slice(0, 3)), (0, slice(20, 25), slice(20, 22))), DECISION)
    masks = source_masks(kept, Letterbox.fit((128, 128), 64), DECISION)
    assert not masks[0, :20].any()
    assert masks[0, 40:50, 40:44].all()


def test_in_ct_a_region_goes_on_through_neighbouring_slices() -> None:
    thin = [(index, slice(10, 12), slice(10, 12)) for index in range(3)]
    assert (drop_small(logits(*thin, depth=3), DECISION) > 0).sum() == 12
    apart = [(index, slice(10, 12), slice(10, 12)) for index in (0, 2, 4)]
    assert (drop_small(logits(*apart, depth=5), DECISION) > 0).sum() == 0


def test_the_pixel_threshold_holds_on_the_source_grid() -> None:
    stack = logits((0, slice(0, 64), slice(0, 64))) * 0 + float(np.log(0.6 / 0.4))
    box = Letterbox.fit((100, 80), 64)
    assert source_masks(stack, box, Decision(0.5, 0.59, 1)).all()
    assert not source_masks(stack, box, Decision(0.5, 0.61, 1)).any()
    assert source_masks(stack, box, DECISION).shape == (1, 100, 80)


@pytest.mark.parametrize(
    ("orientation", "columns", "expected"),
    [
        ((), slice(0, 20), Laterality.RIGHT),
        ((), slice(80, 100), Laterality.LEFT),
        (("L", "F"), slice(0, 20), Laterality.RIGHT),
        (("R", "F"), slice(0, 20), Laterality.LEFT),
        (("R", "F"), slice(80, 100), Laterality.RIGHT),
        (("LP", "F"), slice(80, 100), Laterality.LEFT),
        (("L", "F"), slice(20, 80), Laterality.BILATERAL),
        (("L", "F"), slice(0, 52), Laterality.RIGHT),
    ],
)
def test_the_side_is_the_patients(orientation: tuple[str, ...], columns: slice, expected: Laterality) -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[10:30, columns] = True
    assert expected is side_of_mask(mask, orientation)


@pytest.mark.parametrize(("orientation", "expected"), [(("F", "L"), Laterality.RIGHT), (("F", "R"), Laterality.LEFT)])
def test_a_picture_lying_on_its_side_is_read_by_rows(orientation: tuple[str, ...], expected: Laterality) -> None:
    mask = np.zeros((100, 60), dtype=bool)
    mask[:20] = True
    assert expected is side_of_mask(mask, orientation)


def test_the_side_of_a_ct_follows_its_columns() -> None:
    mask = np.zeros((10, 11), dtype=bool)
    mask[:, :3] = True
    assert side_of_mask(mask, to_left=True) is Laterality.RIGHT
    assert side_of_mask(mask, to_left=False) is Laterality.LEFT
    assert side_of_mask(mask & False, to_left=True) is None


def test_area_and_volume_are_in_the_patients_units() -> None:
    mask = np.ones((10, 20), dtype=bool)
    assert area_mm2(mask, (0.5, 0.2)) == pytest.approx(20)
    assert volume_ml(np.stack([mask] * 5), (0.5, 0.2), 10) == pytest.approx(1)


def test_a_lone_slice_weighs_less_than_a_run_of_slices() -> None:
    lone, run = np.zeros(40), np.zeros(40)
    lone[20] = run[20:24] = 0.9
    assert series_probability(lone, 3.0, 12.0) == pytest.approx(0.9 / 4)
    assert series_probability(run, 3.0, 12.0) == pytest.approx(0.9)
    assert series_probability(lone, 30.0, 12.0) == pytest.approx(0.9)
    assert series_probability(lone, None, 12.0) == pytest.approx(0.3)
    assert series_probability(lone[20:21], 3.0, 12.0) == pytest.approx(0.9)
