"""The simulated CT: known Hounsfield units, exact masks, geometry that maps a known point to the same place however it is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.anatomy.body import Body, Solids
from ptx_node.simulator.anatomy.tubes import Course, Kind, Tubes, join
from ptx_node.simulator.ct import CtSeries, acquire, scan, slice_count, volume_ml
from ptx_node.simulator.ct_organs import CtBody
from ptx_node.simulator.ct_protocol import Kernel, Protocol, draw_protocol
from ptx_node.simulator.patient import Confounder, Patient, Size, Wishes, draw_patient
from ptx_node.simulator.radiograph import project

QUIET = Protocol(columns=128, field_mm=256, slice_distance_mm=2, slice_thickness_mm=2, noise_hu=0, table=False)
BALL_MM, CAP_MM, AT = 60.0, 18.0, (-20.3, 15.45, 30.2)
FRONT = np.array((0.36, -0.87, 0.34)) / np.linalg.norm((0.36, -0.87, 0.34))
"""A ball of lung, off the origin; its cap in front of a plane that faces this way is pleural air, along no row of voxels."""


@dataclass(frozen=True)
class Ball:
    """Water that holds the ball of lung with its cap of air."""

    tubes: tuple[Tubes, ...] = ()
    extent_mm: tuple[tuple[float, float], tuple[float, float], tuple[float, float]] = ((-110, 110), (-100, 100), (-100, 120))

    def solids(self, x_mm: NDArray[np.float32], y_mm: NDArray[np.float32], z_mm: NDArray[np.float32], *, edge_mm: float) -> Solids:
        x, y, z = x_mm - np.float32(AT[0]), y_mm - np.float32(AT[1]), z_mm - np.float32(AT[2])
        ball = np.clip(0.5 - (np.sqrt(x * x + y * y + z * z) - BALL_MM) / edge_mm, 0, 1).astype(np.float32)
        ahead = x * FRONT[0] + y * FRONT[1] + z * FRONT[2] - (BALL_MM - CAP_MM)
        cap = np.minimum(ball, np.clip(0.5 + ahead / edge_mm, 0, 1)).astype(np.float32)
        return Solids(hu=-1000 * cap - 850 * (ball - cap), air=cap, lung=ball - cap)


CAP_ML = np.pi * CAP_MM**2 * (3 * BALL_MM - CAP_MM) / 3 / 1000


@cache
def sick(laterality: Laterality = Laterality.LEFT, size: Size = Size.LARGE) -> Patient:
    return draw_patient(5, Wishes(laterality=laterality, size=size, confounders=frozenset()))


@cache
def series(laterality: Laterality = Laterality.LEFT, size: Size = Size.LARGE) -> CtSeries:
    return acquire(sick(laterality, size), replace(QUIET, columns=128, field_mm=400, slice_distance_mm=22, slice_thickness_mm=1))


def centre_of(mask: NDArray[np.bool_], taken: CtSeries) -> NDArray[np.float64]:
    """Mean place of the mask in patient millimetres, from what a DICOM reader would know."""
    slices, rows, columns = np.nonzero(mask)
    along, down = np.array(taken.orientation[:3]), np.array(taken.orientation[3:])
    places = taken.positions_mm[slices] + columns[:, None] * taken.pixel_mm * along + rows[:, None] * taken.pixel_mm * down
    return np.asarray(places.mean(axis=0))


def test_the_same_patient_and_protocol_give_the_same_series() -> None:
    protocol = Protocol(columns=64, noise_hu=12)
    one, again = (acquire(sick(), protocol, only=[3, 40]) for _ in range(2))
    assert np.array_equal(one.hu_ZHW, again.hu_ZHW)
    assert not np.array_equal(one.hu_ZHW, acquire(replace(sick(), seed=6), protocol, only=[3, 40]).hu_ZHW)


def test_a_slice_alone_is_the_slice_of_its_series() -> None:
    protocol = Protocol(columns=48, slice_distance_mm=20, noise_hu=12)
    whole = acquire(sick(), protocol)
    alone = acquire(sick(), protocol, only=[5])
    assert slice_count(sick(), protocol) == len(whole.hu_ZHW)
    assert np.array_equal(whole.hu_ZHW[5], alone.hu_ZHW[0])
    assert np.allclose(whole.positions_mm[5], alone.positions_mm[0])


def test_slices_go_from_the_feet_to_the_head_by_their_distance() -> None:
    heights = series().positions_mm[:, 2]
    assert np.allclose(np.diff(heights), 22)
    assert series().slice_distance_mm == pytest.approx(22)
    assert len(acquire(sick(), Protocol(columns=32, slices=7)).hu_ZHW) == 7


@pytest.mark.parametrize("thickness_mm", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("columns", [128, 192])
def test_the_mask_of_a_ball_holds_its_analytic_volume_whatever_the_thickness(thickness_mm: float, columns: int) -> None:
    taken = scan(Ball(), replace(QUIET, columns=columns, slice_thickness_mm=thickness_mm))
    assert pytest.approx(CAP_ML, rel=0.03) == taken.volume_ml


def test_the_mask_does_not_depend_on_kernel_noise_or_table() -> None:
    protocol = replace(QUIET, columns=96, field_mm=400, slice_distance_mm=30)
    other = replace(protocol, noise_hu=30, kernel=Kernel.LUNG, table=True, contrast_hu=200, circle=True)
    assert np.array_equal(acquire(sick(), protocol).mask_ZHW, acquire(sick(), other).mask_ZHW)


@pytest.mark.parametrize(
    "turned",
    [
        {"tilt_deg": 18.0},
        {"tilt_deg": -25.0},
        {"oblique_deg": (12.0, 0.0, 0.0)},
        {"oblique_deg": (9.0, -14.0, 20.0)},
        {"off_centre_mm": (25.0, -18.0)},
    ],
)
def test_a_turned_or_shifted_series_maps_the_air_to_the_same_place_with_the_same_volume(turned: dict[str, object]) -> None:
    straight = scan(Ball(), QUIET)
    other = scan(Ball(), replace(QUIET, **turned))  # type: ignore[arg-type]
    cap = np.array(AT) + FRONT * 0.75 * (2 * BALL_MM - CAP_MM) ** 2 / (3 * BALL_MM - CAP_MM)
    assert np.allclose(cap, centre_of(straight.mask_ZHW, straight), atol=1.0)
    assert np.allclose(cap, centre_of(other.mask_ZHW, other), atol=1.0)
    assert pytest.approx(CAP_ML, rel=0.03) == other.volume_ml


def test_a_tilted_gantry_moves_along_the_table_and_measures_its_distance_along_the_normal() -> None:
    taken = scan(Ball(), replace(QUIET, tilt_deg=20.0))
    assert np.allclose(np.diff(taken.positions_mm, axis=0), (0, 0, 2))
    assert taken.slice_distance_mm == pytest.approx(2 * np.cos(np.deg2rad(20)))
    normal = np.cross(taken.orientation[:3], taken.orientation[3:])
    assert normal[2] == pytest.approx(np.cos(np.deg2rad(20)))


def test_volume_is_counted_in_millilitres() -> None:
    mask = np.zeros((4, 10, 10), dtype=np.bool_)
    mask[1:3, 2:7, 3:5] = True
    assert volume_ml(mask, 2.0, 5.0) == pytest.approx(20 * 4 * 5 / 1000)


def test_a_rod_lies_where_it_was_put_with_its_own_density_and_section() -> None:
    rod = join(Kind.VESSEL, [Course(np.array([(60.3, 20.4, -50.0), (60.3, 20.4, 110.0)]), np.array((9.0, 9.0)))], hu=300.0)
    plain = scan(Ball(), replace(QUIET, range_mm=(0, 0), slices=1))
    taken = scan(Ball(tubes=(rod,)), replace(QUIET, range_mm=(0, 0), slices=1))
    bright = (taken.hu_ZHW - plain.hu_ZHW) > 150
    assert np.count_nonzero(bright) * taken.pixel_mm**2 == pytest.approx(np.pi * 81, rel=0.06)
    assert np.allclose((60.3, 20.4, 0), centre_of(bright, taken), atol=0.7)
    assert taken.hu_ZHW[bright].max() == pytest.approx(300, abs=15)


def test_a_hollow_tube_has_a_wall_and_a_core() -> None:
    ring = join(
        Kind.AIRWAY,
        [Course(np.array([(30.0, 40.0, -50.0), (60.0, 40.0, 110.0)]), np.array((10.0, 10.0)))],
        hu=40.0,
        core_hu=-990.0,
        wall_mm=3.0,
    )
    hu = scan(Ball(tubes=(ring,)), replace(QUIET, columns=256, range_mm=(0, 0), slices=1)).hu_ZHW[0]
    row = int(128 + 40 / 1.0 - 0)
    line = hu[row]
    core = np.flatnonzero(line < -900)
    assert len(core) == pytest.approx(14, abs=4)
    assert line[core[0] - 3] > -100


def test_tissues_have_their_hounsfield_units() -> None:
    taken = series()
    body = CtBody.of(sick().lying())
    hu = taken.hu_ZHW.astype(float)
    mask, lung = taken.mask_ZHW, taken.lung_ZHW
    inner = mask & np.roll(mask, 2, 1) & np.roll(mask, -2, 1) & np.roll(mask, 2, 2) & np.roll(mask, -2, 2)
    assert np.median(hu[inner]) == pytest.approx(-1000, abs=15)
    assert -900 < np.median(hu[lung]) < -500
    assert 30 < np.median(_at(hu, taken, body.body, "left ventricle")) < 60
    inside = hu[(hu > -180) & (hu < 20)]
    assert np.median(inside[inside < -60]) == pytest.approx(-98, abs=20)
    assert hu.max() > 400
    assert np.median(hu[:, :6, :6]) == pytest.approx(-1000, abs=5)


def test_contrast_brightens_the_blood_and_not_the_lung() -> None:
    middle = [slice_count(sick(), QUIET) * 4 // 10]
    body = CtBody.of(sick().lying()).body
    plain, bright = (acquire(sick(), replace(QUIET, field_mm=400, contrast_hu=hu), only=middle) for hu in (0, 150))
    gained = [np.median(_at(one.hu_ZHW.astype(float), one, body, "right atrium")) for one in (plain, bright)]
    assert gained[1] - gained[0] == pytest.approx(0.95 * 150, abs=25)
    assert np.median(plain.hu_ZHW[plain.lung_ZHW]) == pytest.approx(np.median(bright.hu_ZHW[bright.lung_ZHW]), abs=5)


def _at(hu: NDArray[np.float64], taken: CtSeries, body: Body, chamber: str) -> NDArray[np.float64]:
    """Hounsfield units well inside a chamber of the heart, wherever slices meet it."""
    one = next(part for part in body.mediastinum.chambers if part.name == chamber)
    found = []
    for number, first in enumerate(taken.positions_mm):
        step = np.arange(hu.shape[1]) * taken.pixel_mm
        points = body.template(first[0] + step[None, :], first[1] + step[:, None], np.full((1, 1), first[2]))
        found.append(hu[number][one.distance(*points) < -16])
    return np.concatenate(found)


def test_noise_is_as_strong_as_asked_and_the_lung_kernel_is_noisier() -> None:
    protocol = replace(QUIET, columns=256, field_mm=380, noise_hu=15)
    place = [slice_count(sick(), QUIET) // 2]
    still = acquire(sick(), replace(protocol, noise_hu=0), only=place).hu_ZHW.astype(float)
    soft = acquire(sick(), protocol, only=place).hu_ZHW - still
    sharp = acquire(sick(), replace(protocol, kernel=Kernel.LUNG), only=place).hu_ZHW - acquire(
        sick(), replace(protocol, kernel=Kernel.LUNG, noise_hu=0), only=place
    ).hu_ZHW.astype(float)
    middle = np.s_[0, 100:160, 100:160]
    assert 8 < soft[middle].std() < 25
    assert 1.8 < sharp[middle].std() / soft[middle].std() < 3.5


@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.RIGHT])
def test_the_air_lies_on_the_patients_side_which_is_the_other_side_of_the_picture(side: Laterality) -> None:
    taken = series(side)
    columns = np.flatnonzero(taken.mask_ZHW.any(axis=(0, 1)))
    x_mm = taken.positions_mm[0, 0] + columns.mean() * taken.pixel_mm
    assert bool(x_mm > 0) is (side is Laterality.LEFT)
    here, there = taken.share_of_hemithorax[side.value], taken.share_of_hemithorax["right" if side is Laterality.LEFT else "left"]
    assert here > 0.03
    assert there == 0


@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.RIGHT])
def test_radiograph_and_ct_show_the_air_on_the_same_side(side: Laterality) -> None:
    shadow = project(sick(side), 128, 128).mask_HW
    from_left = np.nonzero(shadow)[1].mean() / shadow.shape[1]
    slices = series(side).mask_ZHW
    assert (from_left > 0.5) == (np.nonzero(slices)[2].mean() / slices.shape[2] > 0.5) == (side is Laterality.LEFT)


def test_no_pneumothorax_gives_no_mask() -> None:
    well = draw_patient(8, Wishes(laterality="none"))
    taken = acquire(well, replace(QUIET, field_mm=400, slice_distance_mm=12))
    assert not taken.mask_ZHW.any()
    assert taken.lung_ZHW.any()


def test_more_air_fills_more_of_the_hemithorax() -> None:
    shares = [series(size=size).share_of_hemithorax["left"] for size in (Size.OCCULT, Size.SMALL, Size.MEDIUM, Size.LARGE, Size.TENSION)]
    assert sorted(shares) == shares
    assert 0 < shares[0] < 0.03
    assert shares[-1] > 0.3


def test_lying_air_gathers_in_front() -> None:
    taken = series(size=Size.SMALL)
    assert centre_of(taken.mask_ZHW, taken)[1] < centre_of(taken.lung_ZHW, taken)[1] - 15


def test_a_chest_tube_in_the_air_is_not_air() -> None:
    tubed = draw_patient(5, Wishes(laterality=Laterality.LEFT, size=Size.LARGE, confounders=frozenset({Confounder.CHEST_TUBE})))
    rod = join(Kind.CHEST_TUBE, [Course(np.array([(-10.0, -35.0, -30.0), (-2.0, -25.0, 90.0)]), np.array((4.0, 4.0)))], hu=400.0)
    without, with_tube = scan(Ball(), QUIET), scan(Ball(tubes=(rod,)), QUIET)
    assert np.count_nonzero(without.mask_ZHW) > np.count_nonzero(with_tube.mask_ZHW)
    assert acquire(tubed, replace(QUIET, slices=3)).mask_ZHW.any()


def test_protocols_drawn_by_chance_differ_and_stay_possible() -> None:
    drawn = [draw_protocol(seed) for seed in range(300)]
    assert {draw_protocol(4)} == {drawn[4]}
    assert {one.kernel for one in drawn} == set(Kernel)
    assert all(0.5 <= one.slice_distance_mm <= one.slice_thickness_mm <= 5 for one in drawn)
    assert any(one.tilt_deg for one in drawn)
    assert any(any(one.oblique_deg) for one in drawn)
