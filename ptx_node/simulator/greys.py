"""How a system stores a shown picture: values, and the window or look-up table that brings the picture back (PS3.3 C.11.2).

Readers that ignore the window, the table or MONOCHROME1 get another picture: that is the point of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset

from ptx_node.simulator.sites import Grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ptx_node.simulator.sites import System

USED = {
    Grey.NONE: (0.0, 1.0),
    Grey.WINDOW: (0.08, 0.86),
    Grey.TWO_WINDOWS: (0.15, 0.80),
    Grey.SIGMOID: (0.05, 0.95),
    Grey.VOI_LUT: (0.10, 0.72),
}
"""Part of the range of Bits Stored that values use, lowest and highest."""
TAIL = 0.004
"""Brightness at which the sigmoid and the VOI LUT are cut off; beyond they are black or white."""


STEPS = 65_535
"""A picture's brightnesses are told apart so finely before they become stored values: far finer than those."""


def store(ds: Dataset, shown_HW: NDArray[np.float32], system: System) -> NDArray[np.uint16]:
    """Stored values of a picture 0 black to 1 white; the attributes that show it again are set on `ds`."""
    steps_HW = (shown_HW * np.float32(STEPS) + np.float32(0.5)).astype(np.uint16)
    return _table(ds, system)[steps_HW]


def _table(ds: Dataset, system: System) -> NDArray[np.uint16]:
    """Stored value of each step of brightness; the attributes that show it again are set on `ds`."""
    brightness = np.linspace(0, 1, STEPS + 1)
    top = (1 << system.bits) - 1
    low, high = (round(share * top) for share in USED[system.grey])
    wanted = 1 - brightness if system.inverted else brightness
    ds.PhotometricInterpretation = "MONOCHROME1" if system.inverted else "MONOCHROME2"
    if system.grey is Grey.SIGMOID:
        centre, width = (low + high) / 2, float(_sigmoid_width(low, high))
        ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = round(centre, 1), round(width, 1), "SIGMOID"
        clipped = np.clip(wanted, TAIL, 1 - TAIL)
        return _rounded(centre + width / 4 * np.log(clipped / (1 - clipped)), low, high)
    if system.grey is Grey.VOI_LUT:
        curve = _curve(high - low + 1)
        ds.VOILUTSequence = [_look_up_table(curve, low)]
        return _rounded(low + np.interp(wanted, curve, np.arange(curve.size)), low, high)
    if system.grey is not Grey.NONE:
        centres, widths = [(low + high + 1) / 2], [high - low + 1]
        if system.grey is Grey.TWO_WINDOWS:
            centres, widths = [*centres, round(centres[0] * 0.9)], [*widths, round(widths[0] * 0.6)]
            ds.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]
        ds.WindowCenter, ds.WindowWidth = (centres, widths) if len(centres) > 1 else (centres[0], widths[0])
    return _rounded(low + wanted * (high - low), low, high)


def _sigmoid_width(low: int, high: int) -> float:
    return 2 * (high - low) / float(np.log((1 - TAIL) / TAIL))


def _curve(entries: int) -> NDArray[np.float64]:
    """A film-like curve over so many stored values, 0 to 1: flat at both ends, where logarithmic exposure has few details."""
    steep = np.log((1 - TAIL) / TAIL)
    rising = 1 / (1 + np.exp(-np.linspace(-steep, steep, entries)))
    return np.asarray((rising - rising[0]) / (rising[-1] - rising[0]), dtype=np.float64)


def _look_up_table(curve: NDArray[np.float64], first: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [curve.size, first, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTExplanation = "SIMULATED CURVE"
    item.LUTData = np.round(curve * 65535).astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def _rounded(values: NDArray[np.floating], low: int, high: int) -> NDArray[np.uint16]:
    return np.clip(np.round(values), low, high).astype(np.uint16)
