"""A radiograph of a simulated patient: rays through the body, what they lose on the way, and exactly where they cross pleural air.

`project` knows no noise; `expose` (detector) and `display` (the vendor's processing) make of it what a site sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.body import MUSCLE_HU, PLEURA_MM, Body
from ptx_node.simulator.beam import Beam
from ptx_node.simulator.chords import Chord
from ptx_node.simulator.detector import Detector, expose
from ptx_node.simulator.display import Look, display
from ptx_node.simulator.grids import finer
from ptx_node.simulator.shadows import draw_blobs, fold_shadow
from ptx_node.simulator.splat import Canvas, per_mm
from ptx_node.simulator.texture import texture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.pleura import Hemithorax
    from ptx_node.simulator.patient import Patient

__all__ = ["Detector", "Look", "Projection", "display", "expose", "project"]

MASK_MM = 2.0
"""Least way through pleural air that counts as pneumothorax in the mask."""
_LUNG_MM = 8.0
_STEP_MM = 5.5
_CELLS_MM = 0.3, 0.9, 2.0
"""Of the grids on which tubes are drawn, lungs and the rest of the trunk sampled, unless the picture's own is coarser."""
_CHUNK = 256


@dataclass(frozen=True)
class Projection:
    """What the rays met, before any detector. Columns grow to the patient's left, rows to the feet.

    Attributes:
        attenuation_HW: line integrals of attenuation, dimensionless; 0 beside the patient.
        mask_HW: pixels whose ray crosses more than `MASK_MM` of pleural air.
        air_mm_HW: way through pleural air.
        lung_HW: lung fields, pleural air included.
        pixel_mm: in the patient's middle plane.
    """

    attenuation_HW: NDArray[np.float32]
    mask_HW: NDArray[np.bool_]
    air_mm_HW: NDArray[np.float32]
    lung_HW: NDArray[np.bool_]
    pixel_mm: float
    patient: Patient


def project(patient: Patient, rows: int = 1024, columns: int = 1024, *, field_mm: float | None = None) -> Projection:
    """Rays through this patient.

    Args:
        patient: who stands or lies in the beam.
        rows: of the picture.
        columns: of the picture.
        field_mm: width of the picture in the patient's middle plane; by chance where not given.
    """
    body, beam = Body.of(patient), Beam.of(patient, rows, columns, field_mm)
    sharp, coarse, rough = (beam.coarser(max(1, round(cell_mm / beam.pixel_mm))) for cell_mm in _CELLS_MM)
    air, hollow, loss = _chest(body, coarse)
    slant = coarse.slant()
    attenuation = finer(loss * slant, (rows, columns)) + finer(_trunk(body, rough) * rough.slant(), (rows, columns))
    canvas = Canvas(sharp)
    for tubes in body.tubes:
        canvas.tubes(tubes)
    attenuation += finer(canvas.picture(), (rows, columns))
    attenuation += texture(patient, hollow - air, attenuation)
    draw_blobs(attenuation, beam, body.blobs, finer(hollow - air, (rows, columns)))
    for fold in body.folds:
        attenuation += fold_shadow(beam, fold)
    air_mm = finer(air * slant, (rows, columns))
    return Projection(
        attenuation_HW=np.maximum(attenuation, 0),
        mask_HW=air_mm > MASK_MM,
        air_mm_HW=air_mm,
        lung_HW=finer(hollow, (rows, columns)) > _LUNG_MM,
        pixel_mm=beam.pixel_mm,
        patient=patient,
    )


def _chest(body: Body, beam: Beam) -> tuple[Plane, Plane, Plane]:
    """(mm of pleural air, mm of cavity, attenuation against solid tissue), per millimetre of depth, of both sides."""
    air, hollow, loss = (np.zeros((beam.rows, beam.columns), dtype=np.float32) for _ in range(3))
    tissue, gas = per_mm(MUSCLE_HU), per_mm(-1000.0)
    for side in body.sides:
        lung_loss = per_mm(1000 * (side.density - 1))
        for window, cavity, pleura, lung in _side(body, side, beam):
            hollow[window] += cavity
            air[window] += cavity - pleura
            loss[window] += (gas - tissue) * (cavity - pleura) + (lung_loss - tissue) * lung
    return air, hollow, loss


def _side(body: Body, side: Hemithorax, beam: Beam) -> Iterator[tuple[tuple[slice, slice], Plane, Plane, Plane]]:
    """For each part of the picture: ways through the cavity, the lung with its pleura, the lung, in mm of depth."""
    x_all, z_all = beam.axes()
    sx, sy, sz = body.build.stretch
    slack = 34 + abs(body.build.shift_mm) + 0.09 * abs(beam.source_mm[0])
    across = x_all * side.side
    columns = _run((across > -slack) & (across < 158 * sx + slack))
    depths = np.arange(-101, 101 + _STEP_MM / sy, _STEP_MM / sy) * sy
    for top in range(0, beam.rows, _CHUNK):
        rows = slice(top, min(top + _CHUNK, beam.rows))
        if z_all[rows.start] < -195 * sz - 30 or z_all[rows.stop - 1] > 128 * sz + 30:
            continue
        x, z = x_all[None, columns], z_all[rows, None]
        shape = rows.stop - rows.start, columns.stop - columns.start
        cavity, pleura, lung = Chord(shape), Chord(shape), Chord(shape)
        for y in depths:
            xx, zz = beam.at_depth(x, z, float(y))
            point = body.template(xx, np.array([[y]], dtype=np.float32), zz)
            both = side.cavity(*point)
            cavity.add(both[0])
            if side.gap is not None:
                distance = side.lung(*point, both)
                lung.add(distance)
                pleura.add(np.maximum(both[0], distance - np.float32(PLEURA_MM)))
        step = np.float32(_STEP_MM)
        if side.gap is None:
            yield (rows, columns), cavity.total * step, cavity.total * step, cavity.total * step
        else:
            yield (rows, columns), cavity.total * step, pleura.total * step, lung.total * step


def _run(keep: NDArray[np.bool_]) -> slice:
    found = np.flatnonzero(keep)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _trunk(body: Body, beam: Beam) -> Plane:
    """Attenuation of the body as if it were solid, per millimetre of depth."""
    x, z = (one.reshape(shape) for one, shape in zip(beam.axes(), ((1, -1), (-1, 1)), strict=True))
    low, high = body.extent_mm[1]
    depths = np.linspace(low, high, 36)
    skin, muscle = Chord((beam.rows, beam.columns)), Chord((beam.rows, beam.columns))
    for y in depths:
        xx, zz = beam.at_depth(x, z, float(y))
        point = body.template(xx, np.array([[y]], dtype=np.float32), zz)
        skin.add(body.shell.skin(*point))
        muscle.add(body.shell.muscle(*point))
    fat, tissue = per_mm(-100.0), per_mm(MUSCLE_HU)
    return (fat * skin.total + (tissue - fat) * muscle.total) * np.float32(depths[1] - depths[0])
