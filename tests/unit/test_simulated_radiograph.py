"""The simulated body and the radiograph of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptx_node.domain.finding import Laterality
from ptx_node.simulator.anatomy.body import Body
from ptx_node.simulator.anatomy.build import LEFT, RIGHT
from ptx_node.simulator.anatomy.tubes import Kind
from ptx_node.simulator.beam import Beam
from ptx_node.simulator.overlay import Marker
from ptx_node.simulator.patient import NOBODY, Confounder, Patient, Posture, Size, Wishes, draw_patient
from ptx_node.simulator.radiograph import MASK_MM, Detector, Look, Projection, display, expose, project

NONE: frozenset[Confounder] = frozenset()
FIELD_MM = 400.0


def somebody(seed: int = 7, **wishes: object) -> Patient:
    """A straight patient in the middle of everything but what is wished."""
    chosen = {"laterality": NOBODY, "posture": Posture.UPRIGHT_PA, "confounders": NONE} | wishes
    return replace(draw_patient(seed, Wishes(**chosen)), rotation_deg=0.0, tilt_deg=0.0)


def look_at(patient: Patient, size: int = 256) -> Projection:
    return project(patient, size, size, field_mm=FIELD_MM)


def test_the_same_seed_gives_the_same_pixels_for_ever():
    first, again = (
        display(
            expose(project(draw_patient(11), 128, 128), Detector.sample(np.random.default_rng(1)), 5), Look.sample(np.random.default_rng(2))
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    other = display(expose(project(draw_patient(12), 128, 128), Detector(), 5), Look())
    assert np.abs(first - other).mean() > 0.01


@pytest.mark.parametrize(
    ("posture", "size"),
    [(Posture.UPRIGHT_PA, Size.MEDIUM), (Posture.BEDSIDE_AP, Size.LARGE), (Posture.SUPINE, Size.SMALL), (Posture.UPRIGHT_PA, Size.TENSION)],
)
def test_air_along_a_ray_is_the_air_of_the_body_in_three_dimensions(posture, size):
    patient = draw_patient(21, Wishes(laterality=Laterality.LEFT, posture=posture, size=size))
    picture = project(patient, 192, 192, field_mm=FIELD_MM)
    body, beam = Body.of(patient), Beam.of(patient, 192, 192, FIELD_MM)
    x, z = beam.axes()
    summed = np.zeros((192, 192), dtype=np.float32)
    step = 2.0
    for y in np.arange(-110, 110, step):
        across, down = beam.at_depth(x[None, :], z[:, None], float(y))
        summed += body.solids(across, np.array([[y]], dtype=np.float32), down, edge_mm=1.5).air
    summed *= step * beam.slant()
    assert summed.sum() == pytest.approx(picture.air_mm_HW.sum(), rel=0.03)
    assert np.abs(summed - picture.air_mm_HW).mean() < 0.04 * summed[summed > 0].mean()
    assert (picture.mask_HW != (summed > MASK_MM)).sum() < 0.08 * picture.mask_HW.sum()


def test_the_mask_is_where_a_ray_crosses_enough_air():
    picture = look_at(somebody(laterality=Laterality.BILATERAL, size=Size.MEDIUM))
    np.testing.assert_array_equal(picture.air_mm_HW > MASK_MM, picture.mask_HW)
    assert picture.mask_HW.any()
    assert not (picture.mask_HW & ~picture.lung_HW & (picture.air_mm_HW > 10)).any()


@pytest.mark.parametrize("seed", range(5))
def test_nobody_without_pleural_air_has_a_mask(seed):
    everything = frozenset(Confounder)
    picture = look_at(somebody(seed, confounders=everything, posture=list(Posture)[seed % 3]), 128)
    assert 0 == picture.air_mm_HW.max()
    assert not picture.mask_HW.any()


def test_a_left_pneumothorax_stands_on_the_right_of_the_picture():
    for side, low, high in ((Laterality.LEFT, 0.5, 1.0), (Laterality.RIGHT, 0.0, 0.5)):
        mask = look_at(somebody(laterality=side, size=Size.MEDIUM)).mask_HW
        columns = np.flatnonzero(mask.any(axis=0)) / mask.shape[1]
        assert low < columns.min() < columns.max() < high
    both = look_at(somebody(laterality=Laterality.BILATERAL, size=Size.MEDIUM)).mask_HW
    assert both[:, :128].any()
    assert both[:, 128:].any()


@pytest.mark.parametrize("posture", Posture)
def test_there_is_more_air_the_larger_the_pneumothorax(posture):
    volumes = [look_at(somebody(laterality=Laterality.RIGHT, size=size, posture=posture), 128).air_mm_HW.sum() for size in Size]
    assert sorted(volumes) == volumes
    assert volumes[0] > 0


def test_small_ones_take_a_few_thousandths_of_the_picture_and_tension_a_large_part():
    share = {
        size: [look_at(somebody(s, laterality=Laterality.LEFT, size=size), 128).mask_HW.mean() for s in range(5)]
        for size in (Size.SMALL, Size.MEDIUM, Size.TENSION)
    }
    assert 0.001 < np.median(share[Size.SMALL]) < 0.012
    assert 0.01 < np.median(share[Size.MEDIUM]) < 0.04
    assert 0.15 < np.median(share[Size.TENSION]) < 0.35


def test_upright_air_gathers_at_the_apex_and_lying_air_at_the_base():
    rows = {}
    for posture in (Posture.UPRIGHT_PA, Posture.SUPINE):
        mask = look_at(somebody(laterality=Laterality.LEFT, size=Size.SMALL, posture=posture)).mask_HW
        rows[posture] = np.flatnonzero(mask.any(axis=1)).mean()
    assert rows[Posture.UPRIGHT_PA] < 90
    assert rows[Posture.SUPINE] > 140


def test_the_sulcus_is_deep_on_the_side_of_the_air_when_lying():
    lowest = {}
    for name, wishes in {"air": {"laterality": Laterality.LEFT, "size": Size.MEDIUM}, "none": {}}.items():
        body = Body.of(somebody(posture=Posture.SUPINE, **wishes))
        lowest[name] = float(body.sides[0].dome.height(np.array([135.0], dtype=np.float32), np.array([-20.0], dtype=np.float32))[0])
    assert lowest["air"] < lowest["none"] - 10


def test_vessels_end_at_the_lungs_edge():
    for size in (Size.SMALL, Size.LARGE, Size.TENSION):
        body = Body.of(somebody(laterality=Laterality.LEFT, size=size))
        (tree,) = (one for one in body.tubes if one.kind is Kind.VESSEL)
        middle = 0.5 * (tree.start_S3 + tree.end_S3)
        solids = body.solids(*middle.T)
        assert len(tree) > 2000
        assert 0.02 > solids.air.max()
        sides = np.sign(middle[:, 0])
        assert (sides == LEFT).sum() > 500
        assert (sides == RIGHT).sum() > 500


def test_tension_pushes_heart_and_trachea_to_the_other_side_and_the_dome_down():
    calm, tense = (Body.of(somebody(laterality=Laterality.LEFT, size=size)) for size in (Size.SMALL, Size.TENSION))
    at = np.array([0.0], dtype=np.float32), np.array([-60.0], dtype=np.float32)
    for side in (LEFT, RIGHT):
        assert tense.mediastinum.edge[side](*at)[0] < calm.mediastinum.edge[side](*at)[0] - 8
    assert tense.build.dome_mm[LEFT] < calm.build.dome_mm[LEFT] - 15
    carina = [next(one for one in body.tubes if one.kind is Kind.AIRWAY).end_S3[70, 0] for body in (calm, tense)]
    assert carina[1] < carina[0] - 5
    heart = [look_at(body.patient).lung_HW[120:150, :128].sum() for body in (calm, tense)]
    assert heart[1] < 0.93 * heart[0]


def test_a_collapsed_lung_is_denser():
    calm, tense = (Body.of(somebody(laterality=Laterality.LEFT, size=size)).sides[0].density for size in (Size.OCCULT, Size.TENSION))
    assert tense > 1.5 * calm


def test_a_deep_breath_lowers_the_domes_and_narrows_the_heart():
    poor, deep = (replace(somebody(), inspiration=share) for share in (0.1, 0.9))
    lungs = [look_at(patient, 128).lung_HW for patient in (poor, deep)]
    assert lungs[1].sum() > 1.1 * lungs[0].sum()
    assert Body.of(deep).build.dome_mm[RIGHT] < Body.of(poor).build.dome_mm[RIGHT] - 20
    assert Body.of(deep).build.heart < Body.of(poor).build.heart


def test_the_heart_is_larger_in_ap_since_the_detector_is_behind():
    front = np.array([[80.0, -60.0, -60.0]], dtype=np.float32)
    column = {
        p: Beam.of(replace(somebody(), posture=p), 512, 512, FIELD_MM).project(front)[2][0]
        for p in (Posture.UPRIGHT_PA, Posture.BEDSIDE_AP)
    }
    assert column[Posture.UPRIGHT_PA] < 1 < column[Posture.BEDSIDE_AP]


def test_rotation_moves_the_front_against_the_back():
    def apart(patient: Patient) -> float:
        points = np.array([[0, -80, 60], [0, 90, 60]], dtype=np.float32)
        column, _, _ = Beam.of(patient, 512, 512, FIELD_MM).project(points)
        return float(column[0] - column[1])

    straight = somebody()
    assert apart(straight) == pytest.approx(0, abs=1)
    assert apart(replace(straight, rotation_deg=8.0)) * apart(replace(straight, rotation_deg=-8.0)) < 0
    assert abs(apart(replace(straight, rotation_deg=8.0))) > 15


BOXES = {
    Confounder.CHEST_TUBE: (0.1, 0.9, 0.5, 1.0),
    Confounder.SKIN_FOLD: (0.1, 1.0, 0.0, 1.0),
    Confounder.BULLA: (0.1, 0.65, 0.1, 0.9),
    Confounder.SUBCUTANEOUS_AIR: (0.0, 1.0, 0.5, 1.0),
    Confounder.EFFUSION: (0.15, 1.0, 0.05, 0.95),
    Confounder.SCAPULA_EDGE: (0.0, 0.75, 0.0, 1.0),
    Confounder.LINE: (0.0, 0.6, 0.0, 1.0),
    Confounder.TRACHEAL_TUBE: (0.0, 0.5, 0.4, 0.6),
    Confounder.GASTRIC_TUBE: (0.0, 1.0, 0.4, 0.8),
    Confounder.ELECTRODES: (0.0, 1.0, 0.0, 1.0),
    Confounder.PACEMAKER: (0.1, 0.8, 0.0, 1.0),
    Confounder.CONSOLIDATION: (0.1, 0.9, 0.1, 0.9),
}
"""Shares of the picture (top, bottom, left, right) in which each must change it, and outside of which it must not."""


@pytest.mark.parametrize("confounder", Confounder)
def test_a_confounder_changes_the_picture_where_it_is_and_nowhere_else(confounder):
    plain = somebody(31, posture=Posture.UPRIGHT_PA)
    marked = replace(plain, confounders=frozenset([confounder]), tube_side=Laterality.LEFT)
    before, after = look_at(plain), look_at(marked)
    changed_at = np.abs(after.attenuation_HW - before.attenuation_HW) > 0.02
    top, bottom, left, right = (round(256 * share) for share in BOXES[confounder])
    inside = changed_at[top:bottom, left:right].sum()
    assert inside > 60
    assert changed_at.sum() - inside <= 0.02 * inside + 3
    assert not after.mask_HW.any()


def test_metal_and_plastic_are_brighter_than_what_they_cover():
    plain = somebody(31)
    for confounder in (Confounder.PACEMAKER, Confounder.ELECTRODES, Confounder.LINE, Confounder.CHEST_TUBE):
        more = look_at(replace(plain, confounders=frozenset([confounder]))).attenuation_HW - look_at(plain).attenuation_HW
        assert more.max() > 0.08


def test_a_fold_of_skin_is_a_step_and_no_line():
    """Thicker towards its edge, then nothing: the picture never falls below what it was without the fold."""
    plain = somebody(31, posture=Posture.BEDSIDE_AP)
    more = look_at(replace(plain, confounders=frozenset([Confounder.SKIN_FOLD]))).attenuation_HW - look_at(plain).attenuation_HW
    assert more.min() > -1e-4
    row = more[np.argmax(more.max(axis=1))]
    assert np.abs(np.diff(row)).max() > 0.3 * row.max()
    assert (row > 0.1 * row.max()).sum() > 6


def test_the_visceral_pleura_is_a_thin_line_at_the_edge_of_the_lung():
    body = Body.of(somebody(laterality=Laterality.LEFT, size=Size.LARGE))
    x = np.linspace(20, 160, 1401, dtype=np.float32)
    solids = body.solids(x, np.float32(0), np.float32(40), edge_mm=0.1)
    air = np.flatnonzero(solids.air > 0.5)
    assert len(air) > 50
    line = solids.hu[air[0] - 12 : air[0]]
    assert line.max() > -50
    assert 0.5 < 0.1 * (solids.hu[air[0] - 40 : air[0]] > -300).sum() < 1.6


def test_a_coarse_picture_is_the_fine_one_made_smaller():
    patient = somebody(laterality=Laterality.LEFT, size=Size.LARGE)
    fine, coarse = look_at(patient, 512), look_at(patient, 256)
    smaller = fine.attenuation_HW.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    assert np.abs(smaller - coarse.attenuation_HW).mean() < 0.02
    assert fine.mask_HW.mean() == pytest.approx(coarse.mask_HW.mean(), rel=0.05)
    assert coarse.pixel_mm == pytest.approx(2 * fine.pixel_mm)


def test_pictures_need_not_be_square():
    picture = project(somebody(laterality=Laterality.LEFT, size=Size.MEDIUM), 250, 210, field_mm=350.0)
    assert (250, 210) == picture.attenuation_HW.shape == picture.mask_HW.shape == picture.lung_HW.shape == picture.air_mm_HW.shape
    assert picture.pixel_mm == pytest.approx(350 / 210)
    assert picture.attenuation_HW.dtype == picture.air_mm_HW.dtype == np.float32


def test_nothing_is_lost_beside_the_patient():
    picture = look_at(somebody())
    assert 0 == np.abs(picture.attenuation_HW[:12, :12]).max()
    assert picture.attenuation_HW[200:, 100:150].min() > 2


def test_fewer_quanta_are_more_noise_and_scatter_is_less_contrast():
    picture = look_at(somebody())

    def noise(quanta: float) -> float:
        one, two = (expose(picture, Detector(quanta=quanta), seed) for seed in (1, 2))
        return float(np.std(np.log(one) - np.log(two)))

    assert noise(5_000) > 2 * noise(80_000)
    lung, heart = picture.lung_HW, picture.attenuation_HW > np.percentile(picture.attenuation_HW, 90)
    contrast = [
        np.log(signal[lung].mean() / signal[heart].mean()) for signal in (expose(picture, Detector(scatter=s), 1) for s in (0.0, 1.5))
    ]
    assert contrast[1] < 0.85 * contrast[0]


def test_the_shown_picture_has_dark_lungs_bright_heart_and_its_marker():
    picture = look_at(somebody())
    signal = expose(picture, Detector(), 3)
    plain = display(signal, Look())
    assert plain.dtype == np.float32
    assert 0 <= plain.min() < 0.05
    assert 0.95 < plain.max() <= 1
    assert np.median(plain[picture.lung_HW]) < 0.55
    assert 0.8 < np.median(plain[200:, 100:150])
    marked = display(signal, Look(borders=(0.0, 0.1, 0.0, 0.0), markers=(Marker("L", (0.05, 0.8), 0.06),)))
    assert 0 == marked[:, -25:].max()
    changed = np.argwhere(np.abs(marked - plain)[:, :-26] > 0.05)
    assert 0.04 * 256 < changed[:, 0].min() < changed[:, 0].max() < 0.15 * 256
    assert 0.79 * 256 < changed[:, 1].min()


def test_each_vendor_has_its_own_taste():
    signal = expose(look_at(somebody(), 128), Detector(), 3)
    shown = {
        vendor: display(signal, replace(Look.sample(np.random.default_rng(4), vendor), markers=()))
        for vendor in ("Agfa", "FUJIFILM Corporation")
    }
    assert np.abs(shown["Agfa"] - shown["FUJIFILM Corporation"]).mean() > 0.01
