"""A lateral chest radiograph of a simulated patient, which a frontal model must refuse: the same body, looked at from its side.

Rays are parallel, from right to left; the arms are raised out of the picture. Columns grow to the patient's back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.anatomy.body import Body
from ptx_node.simulator.anatomy.tubes import Kind
from ptx_node.simulator.beam import Beam
from ptx_node.simulator.grids import finer
from ptx_node.simulator.radiograph import Projection
from ptx_node.simulator.splat import WATER_PER_MM, Canvas
from ptx_node.simulator.texture import texture

if TYPE_CHECKING:
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.patient import Patient

HEIGHT_MM = 400.0
FAR_MM = 1e6
CELL_MM, STEP_MM = 2.0, 6.0
TRUNK_MM = 150.0
"""Beyond, to either side, there are only the shoulders and the raised arms."""
OUT_OF_SIGHT = {Kind.HUMERUS, Kind.SCAPULA, Kind.CLAVICLE}


def project_lateral(patient: Patient, rows: int, columns: int) -> Projection:
    """Rays through this patient's side; nothing is marked in the mask."""
    body, pixel_mm = Body.of(patient), HEIGHT_MM / rows
    beam = Beam(rows, columns, pixel_mm, (0.0, -20.0), (0.0, FAR_MM, 0.0))
    loss, lung_mm = _through(body, beam.coarser(max(1, round(CELL_MM / pixel_mm))))
    attenuation_HW = finer(loss, (rows, columns))
    canvas = Canvas(beam)
    for tubes in body.tubes:
        if tubes.kind not in OUT_OF_SIGHT:
            canvas.tubes(_turned(tubes))
    attenuation_HW = attenuation_HW + canvas.picture()
    attenuation_HW += texture(patient, lung_mm, attenuation_HW)
    nothing_HW = np.zeros((rows, columns), dtype=np.float32)
    return Projection(
        attenuation_HW=np.maximum(attenuation_HW, 0),
        mask_HW=nothing_HW > 0,
        air_mm_HW=nothing_HW,
        lung_HW=finer(lung_mm, (rows, columns)) > STEP_MM,
        pixel_mm=pixel_mm,
        patient=patient,
    )


def _through(body: Body, beam: Beam) -> tuple[Plane, Plane]:
    """(attenuation of everything but tubes, mm of lung) along the patient's width."""
    y, z = beam.axes()
    y, z = y[None, :], z[:, None]
    wide = TRUNK_MM * body.build.stretch[0]
    loss, lung = np.zeros((beam.rows, beam.columns), dtype=np.float32), np.zeros((beam.rows, beam.columns), dtype=np.float32)
    for x in np.arange(-wide, wide + STEP_MM, STEP_MM, dtype=np.float32):
        solids = body.solids(np.full((1, 1), x, dtype=np.float32), y, z, edge_mm=beam.pixel_mm)
        loss += 1 + solids.hu / np.float32(1000)
        lung += solids.lung
    return np.maximum(loss, 0) * np.float32(STEP_MM * WATER_PER_MM), lung * np.float32(STEP_MM)


def _turned(tubes: Tubes) -> Tubes:
    """Depth and width exchanged, as the beam looks along y. A mirror image casts the same shadow."""
    order = [1, 0, 2]
    return replace(tubes, start_S3=tubes.start_S3[:, order], end_S3=tubes.end_S3[:, order], up_S3=tubes.up_S3[:, order])
