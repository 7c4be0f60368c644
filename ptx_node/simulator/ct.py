"""The CT series of a simulated patient: Hounsfield units, the exact pleural air and the lungs of every slice. SIMULATED.

A slice averages thin planes over its thickness; a voxel belongs to the mask when pleural air fills at least half of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from typing import Protocol as Structure

import numpy as np

from ptx_node.simulator.anatomy.tubes import Kind
from ptx_node.simulator.ct_frame import Frame
from ptx_node.simulator.ct_organs import CtBody
from ptx_node.simulator.ct_protocol import Protocol
from ptx_node.simulator.ct_texture import reconstruct
from ptx_node.simulator.ct_tubes import lay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ptx_node.simulator.anatomy.body import Solids
    from ptx_node.simulator.anatomy.curves import Plane
    from ptx_node.simulator.anatomy.tubes import Tubes
    from ptx_node.simulator.patient import Patient

USUAL = Protocol()
LOWEST_HU, HIGHEST_HU = -1024, 3071
THIN_MM = 1.3
"""Planes of a slice stand no farther apart than this, up to MOST_PLANES."""
MOST_PLANES = 4
MARGIN_MM = 12.0
_DRAINS = (Kind.CHEST_TUBE,)
_BONES = (Kind.RIB, Kind.CLAVICLE, Kind.STERNUM, Kind.SCAPULA)
"""What lies outside the pleura and may not stand in the lung."""


class Scanned(Structure):
    """What a scanner needs of a body, so that tests can scan a ball."""

    @property
    def tubes(self) -> tuple[Tubes, ...]:
        """Thin things."""

    @property
    def extent_mm(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """(low, high) of x, y and z."""

    def solids(self, x_mm: Plane, y_mm: Plane, z_mm: Plane, *, edge_mm: float) -> Solids:
        """Hounsfield units, pleural air and lung at points that broadcast."""


@dataclass(frozen=True, slots=True)
class CtSeries:
    """Slices from the feet upwards.

    Attributes:
        hu_ZHW: Hounsfield units, -1024 to 3071; columns grow to the patient's left, rows to the back.
        mask_ZHW: pleural air.
        lung_ZHW: lung, without pleural air.
        positions_mm: (Z, 3), LPS, of the first pixel's centre (Image Position (Patient), PS3.3 C.7.6.2.1.1).
        orientation: six cosines, along a row and down a column.
        slice_distance_mm: along the normal, from slice to slice.
        places: number of each slice in the whole acquisition, from 0 at the feet.
    """

    hu_ZHW: NDArray[np.int16] = field(repr=False)
    mask_ZHW: NDArray[np.bool_] = field(repr=False)
    lung_ZHW: NDArray[np.bool_] = field(repr=False)
    pixel_mm: float
    positions_mm: NDArray[np.float64]
    orientation: tuple[float, float, float, float, float, float]
    slice_distance_mm: float
    slice_thickness_mm: float
    patient: Patient | None
    protocol: Protocol
    places: tuple[int, ...]

    @property
    def volume_ml(self) -> float:
        """Of the pleural air that is in the mask."""
        return volume_ml(self.mask_ZHW, self.pixel_mm, self.slice_distance_mm)

    @property
    def share_of_hemithorax(self) -> dict[str, float]:
        """Pleural air over air and lung, 0 to 1, of "left" and "right"; 0 for a side that is not in the picture."""
        return shares(self)


def acquire(patient: Patient, protocol: Protocol = USUAL, *, only: Sequence[int] | None = None) -> CtSeries:
    """The CT of this patient, lying; the same patient and protocol give the same series for ever.

    Args:
        patient: as at the radiograph; the scanner sees them lying.
        protocol: how.
        only: numbers of the slices to take, from 0 at the feet; None for all. A slice is the same alone as in its series.
    """
    return scan(CtBody.of(patient.lying(), protocol.contrast_hu), protocol, patient=patient, seed=patient.seed, only=only)


def slice_count(patient: Patient, protocol: Protocol = USUAL) -> int:
    """How many slices `acquire` takes, without taking one."""
    return len(_centres(CtBody.of(patient.lying(), protocol.contrast_hu), protocol)[0])


def scan(
    body: Scanned, protocol: Protocol, *, patient: Patient | None = None, seed: int = 0, only: Sequence[int] | None = None
) -> CtSeries:
    """As `acquire`, of anything that can be scanned."""
    centres_Z3, distance_mm = _centres(body, protocol)
    places = tuple(range(len(centres_Z3))) if only is None else tuple(only)
    shape = (len(places), protocol.columns, protocol.columns)
    hu_ZHW = np.empty(shape, dtype=np.int16)
    mask_ZHW, lung_ZHW = np.empty(shape, dtype=np.bool_), np.empty(shape, dtype=np.bool_)
    frames = [_frame(centres_Z3[place], protocol) for place in places]
    for number, (place, frame) in enumerate(zip(places, frames, strict=True)):
        rng = np.random.default_rng([seed, 7002, place])
        hu_ZHW[number], mask_ZHW[number], lung_ZHW[number] = _slice(body, protocol, frame, rng)
    axes = protocol.axes_33
    return CtSeries(
        hu_ZHW=hu_ZHW,
        mask_ZHW=mask_ZHW,
        lung_ZHW=lung_ZHW,
        pixel_mm=protocol.pixel_mm,
        positions_mm=np.array([frame.first_3 for frame in frames]).reshape(-1, 3),
        orientation=(*map(float, axes[0]), *map(float, axes[1])),  # type: ignore[arg-type]  # twice three
        slice_distance_mm=float(distance_mm * (protocol.travel_3 @ axes[2])),
        slice_thickness_mm=protocol.slice_thickness_mm,
        patient=patient,
        protocol=protocol,
        places=places,
    )


def volume_ml(mask_ZHW: NDArray[np.bool_], pixel_mm: float, slice_distance_mm: float) -> float:
    """Volume of a mask; the distance is the one along the normal."""
    return float(np.count_nonzero(mask_ZHW)) * pixel_mm**2 * slice_distance_mm / 1000


def shares(series: CtSeries) -> dict[str, float]:
    """Pleural air over air and lung on each side of the sagittal plane through the body's middle."""
    found = {}
    count = series.hu_ZHW.shape[1]
    frame = Frame(series.positions_mm[0], series.protocol.axes_33, series.pixel_mm, count)
    x_mm = np.broadcast_to(frame.points()[0], (count, count))
    for name, here in (("left", x_mm >= 0), ("right", x_mm < 0)):
        air, lung = (int(np.count_nonzero(one & here)) for one in (series.mask_ZHW, series.lung_ZHW))
        found[name] = air / (air + lung) if air + lung else 0.0
    return found


def _centres(body: Scanned, protocol: Protocol) -> tuple[NDArray[np.float64], float]:
    """Middle of each slice, (Z, 3), and how far it is from one to the next."""
    low, high = protocol.range_mm or _lungs(body)
    across = tuple(0.5 * (one[0] + one[1]) for one in body.extent_mm[:2])
    middle = np.array([across[0] + protocol.off_centre_mm[0], across[1] + protocol.off_centre_mm[1], 0.5 * (low + high)])
    count, distance_mm = protocol.slices, protocol.slice_distance_mm
    if count is None:
        count = max(1, round((high - low) / distance_mm) + 1)
    elif count > 1:
        distance_mm = (high - low) / (count - 1)
    steps = (np.arange(count) - (count - 1) / 2) * distance_mm
    return middle + steps[:, None] * protocol.travel_3, distance_mm


def _lungs(body: Scanned) -> tuple[float, float]:
    """Lowest and highest z of lung or pleural air, with a margin, from a coarse look."""
    x, y, z = (np.arange(low, high, step, dtype=np.float32) for (low, high), step in zip(body.extent_mm, (10, 10, 4), strict=True))
    held = body.solids(x[None, None, :], y[None, :, None], z[:, None, None], edge_mm=4.0)
    there = z[((held.lung + held.air) > 0.5).any(axis=(1, 2))]
    low, high = (there[0], there[-1]) if len(there) else body.extent_mm[2]
    return float(low) - MARGIN_MM, float(high) + MARGIN_MM


def _frame(centre_3: NDArray[np.float64], protocol: Protocol) -> Frame:
    axes = protocol.axes_33
    half = (protocol.columns - 1) / 2 * protocol.pixel_mm
    return Frame(centre_3 - half * (axes[0] + axes[1]), axes, protocol.pixel_mm, protocol.columns)


def _planes(frame: Frame, thickness_mm: float) -> list[Frame]:
    """Thin planes through one slice, evenly over its thickness."""
    count = int(np.clip(np.ceil(thickness_mm / THIN_MM), 1, MOST_PLANES))
    return [frame.moved(((number + 0.5) / count - 0.5) * thickness_mm) for number in range(count)]


def _slice(
    body: Scanned, protocol: Protocol, frame: Frame, rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
    """(Hounsfield units, pleural air, lung) of one slice."""
    planes = _planes(frame, protocol.slice_thickness_mm)
    shape = (protocol.columns, protocol.columns)
    hu, air, lung = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    for plane in planes:
        held = body.solids(*plane.points(), edge_mm=protocol.pixel_mm)
        hu += held.hu
        air += held.air
        lung += held.lung
    hu, air, lung = (total / np.float32(len(planes)) for total in (hu, air, lung))
    room: dict[Kind, Plane] = {}
    if isinstance(body, CtBody):
        free = body.paint(hu, air, lung, planes, table=protocol.table)
        room = {Kind.VESSEL: free.vessel} | dict.fromkeys(_BONES, free.bone)
    for tubes in body.tubes:
        whole = lay(tubes, planes, hu, room.get(tubes.kind))
        if whole is not None and tubes.kind in _DRAINS:
            air *= 1 - whole  # a drain takes its place from the air around it
    shown = reconstruct(hu, protocol.kernel, protocol.pixel_mm, protocol.noise_hu, rng)
    if protocol.circle:
        shown[_outside(protocol.columns)] = LOWEST_HU
    return np.clip(np.round(shown), LOWEST_HU, HIGHEST_HU).astype(np.int16), air >= 0.5, (lung >= 0.5) & (air < 0.5)


def _outside(columns: int) -> NDArray[np.bool_]:
    """Pixels outside the circle of reconstruction."""
    step = np.arange(columns) - (columns - 1) / 2
    return np.asarray(step[:, None] ** 2 + step[None, :] ** 2 > (columns / 2) ** 2)
