"""Each half of the chest out of Hounsfield units, on bodies of known volumes."""

from __future__ import annotations

import numpy as np
import pytest

from ptx_node.domain.finding import Laterality
from ptx_node.model.hemithorax import hemithoraces, hemithorax_shares
from ptx_node.simulator.ct import acquire
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.patient import Size, Wishes, draw_patient

SPACING_MM = (6.0, 3.0, 3.0)


def ellipsoid(centre_mm, radii_mm, shape=(42, 110, 130)):
    """Voxels whose centre is inside; millimetres from the first voxel."""
    axes = np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, SPACING_MM, strict=True)), indexing="ij", sparse=True)
    return sum(((axis - middle) / radius) ** 2 for axis, middle, radius in zip(axes, centre_mm, radii_mm, strict=True)) < 1


def chest(*, front_junction: bool = True):
    """A body with two lungs, vessels, trachea, stomach bubble and couch; and the lungs' masks (patient's right, left)."""
    hu = np.full((42, 110, 130), -1000, dtype=np.int16)
    body = ellipsoid((125, 160, 195), (900, 120, 180))
    hu[body] = 40
    right, left = (ellipsoid((125, 160, x), (105, 85, 62)) for x in (120, 270))
    if front_junction:
        left |= ellipsoid((140, 120, 200), (40, 12, 25))
    hu[right | left] = -840
    hu[ellipsoid((125, 160, 115), (90, 4, 40)) | ellipsoid((125, 160, 275), (90, 4, 40))] = 50
    hu[ellipsoid((200, 170, 195), (80, 9, 9))] = -1000
    hu[ellipsoid((10, 120, 260), (12, 25, 25))] = -1000
    hu[:, 97:100, 20:110] = 200
    hu += np.random.default_rng(1).normal(0, 25, hu.shape).astype(np.int16)
    return hu, right, left


def ml(mask):
    return np.count_nonzero(mask) * np.prod(SPACING_MM) / 1000


@pytest.mark.parametrize("front_junction", [False, True])
def test_both_sides_have_their_volume(front_junction):
    hu, right, left = chest(front_junction=front_junction)
    found = hemithoraces(hu, SPACING_MM)
    assert ml(right) == pytest.approx(found.volume_ml(Laterality.RIGHT), rel=0.06)
    assert ml(left) == pytest.approx(found.volume_ml(Laterality.LEFT), rel=0.06)


def test_a_mirrored_stack_changes_the_sides():
    hu, _, _ = chest()
    hu[ellipsoid((20, 160, 120), (40, 100, 80))] = 40  # the right lung is the smaller one
    one, other = hemithoraces(hu, SPACING_MM), hemithoraces(hu[:, :, ::-1], SPACING_MM, to_left=False)
    assert one.volume_ml(Laterality.RIGHT) < 0.95 * one.volume_ml(Laterality.LEFT)
    assert one.volume_ml(Laterality.RIGHT) == pytest.approx(other.volume_ml(Laterality.RIGHT), rel=0.02)


def test_share_of_a_known_pneumothorax():
    hu, _, left = chest(front_junction=False)
    air = left & ~ellipsoid((125, 175, 262), (100, 68, 52))
    hu[air] = -1000
    (found,) = hemithorax_shares(hu, [air], SPACING_MM)
    assert 100 * ml(air) / ml(left) == pytest.approx(found[Laterality.LEFT], rel=0.06)
    assert 0.0 == pytest.approx(found[Laterality.RIGHT], abs=0.3)


def test_one_lung_alone_is_one_side():
    hu, right, left = chest(front_junction=False)
    hu[left] = 20
    found = hemithoraces(hu, SPACING_MM)
    assert ml(right) == pytest.approx(found.volume_ml(Laterality.RIGHT), rel=0.06)
    assert 0.0 == found.volume_ml(Laterality.LEFT)


def test_no_chest_has_no_share():
    hu = np.full((4, 40, 40), 30, dtype=np.int16)
    assert [{}] == hemithorax_shares(hu, [np.zeros(hu.shape, bool)], SPACING_MM)


def test_simulated_chest_has_the_volumes_that_were_drawn():
    patient = draw_patient(2, Wishes(laterality=Laterality.LEFT, size=Size.MEDIUM, confounders=frozenset())).lying()
    series = acquire(patient, Protocol(columns=80, slice_distance_mm=9.0, slice_thickness_mm=5.0))
    spacing = (series.slice_distance_mm, series.pixel_mm, series.pixel_mm)
    drawn = series.lung_ZHW | series.mask_ZHW
    voxel_ml = float(np.prod(spacing)) / 1000
    right, left = (float(np.count_nonzero(half)) * voxel_ml for half in (drawn[:, :, :40], drawn[:, :, 40:]))
    found = hemithoraces(series.hu_ZHW, spacing)
    assert right == pytest.approx(found.volume_ml(Laterality.RIGHT), rel=0.1)
    assert left == pytest.approx(found.volume_ml(Laterality.LEFT), rel=0.1)
    (shares,) = hemithorax_shares(series.hu_ZHW, [series.mask_ZHW], spacing)
    assert 100 * np.count_nonzero(series.mask_ZHW) * voxel_ml / left == pytest.approx(shares[Laterality.LEFT], rel=0.1)


def test_a_stomach_against_the_dome_is_no_lung():
    hu, _, left = chest(front_junction=False)
    hu[ellipsoid((0, 130, 262), (15, 40, 40)) | ellipsoid((21, 145, 268), (14, 5, 5))] = -1000  # with a leak through the dome
    found = hemithoraces(hu, SPACING_MM)
    assert ml(left) == pytest.approx(found.volume_ml(Laterality.LEFT), rel=0.02)
