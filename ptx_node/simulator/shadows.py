"""Shadows that are known exactly without sampling: ellipsoids and folds of skin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptx_node.simulator.splat import per_mm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.simulator.anatomy.blobs import Blob
    from ptx_node.simulator.anatomy.confounders import Fold
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.beam import Beam

_FOLD_Y = 118.0


def draw_blobs(attenuation_HW: Plane, beam: Beam, blobs: Sequence[Blob], lung_mm_HW: Plane) -> None:
    """Add ellipsoids to a picture in place; those of the lung no more than there is lung along the ray."""
    x_all, z_all = beam.axes()
    for blob in blobs:
        x, z = beam.at_depth(x_all, z_all, blob.centre[1])
        columns = _between(x, blob.centre[0], blob.radii[0] + blob.wall_mm)
        rows = _between(z, blob.centre[2], blob.radii[2] + blob.wall_mm)
        if columns.stop <= columns.start or rows.stop <= rows.start:
            continue
        across, down = x[None, columns], z[rows, None]
        inside = blob.way(across, down)
        shadow = np.float32(per_mm(blob.hu) - per_mm(blob.surround_hu)) * inside
        if blob.wall_mm:
            shadow = shadow + np.float32(per_mm(0.0) - per_mm(blob.surround_hu)) * (blob.way(across, down, blob.wall_mm) - inside)
        if blob.in_lung:
            shadow = shadow * np.minimum(lung_mm_HW[rows, columns] / np.maximum(inside, np.float32(10)), 1)
        attenuation_HW[rows, columns] += shadow


def _between(at: Plane, centre: float, reach: float) -> slice:
    found = np.flatnonzero(np.abs(at - np.float32(centre)) <= reach)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def fold_shadow(beam: Beam, fold: Fold) -> Plane:
    """Attenuation of a fold of skin between the patient and the detector."""
    x, z = beam.axes()
    x, z = beam.at_depth(x, z, -np.sign(beam.source_mm[1]) * _FOLD_Y)
    return fold.way(x[None, :], z[:, None]) * np.float32(per_mm(20.0))
