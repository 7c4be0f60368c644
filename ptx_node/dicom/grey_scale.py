"""What stored values mean: modality LUT, VOI LUT or window, and inversion, as tables over all stored words.

A table has one entry for each word of the allocated size, so that an image of any size costs one look-up a pixel
(PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT, C.7.6.3.1.2 Photometric Interpretation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.dicom.decode import MALFORMED

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from ptx_node.dicom.decode import Words

    Table = NDArray[np.float64]

LEAST_CONTRAST = 0.01
"""Standard deviation of the shown picture (0..1) under which a window is taken to be wrong."""


def stored_table(ds: Dataset) -> Table:
    """Stored value (signed or unsigned) of each word: bits above or below the stored ones are ignored."""
    allocated = int(ds.BitsAllocated)
    stored = int(ds.get("BitsStored") or allocated)
    high = int(ds.get("HighBit") if ds.get("HighBit") is not None else stored - 1)
    shift = high - stored + 1 if stored - 1 <= high < allocated else 0
    values = (np.arange(1 << allocated) >> shift) & ((1 << stored) - 1)
    if int(ds.get("PixelRepresentation") or 0) == 1:
        values = np.where(values >= 1 << (stored - 1), values - (1 << stored), values)
    return np.asarray(values, dtype=np.float64)


def modality_table(ds: Dataset, stored: Table) -> Table:
    """Modality LUT or rescale of stored values; a slope of zero or one that is not a number counts as none."""
    lut = _lut(ds, "ModalityLUTSequence")
    if lut is not None:
        return _look_up(lut, stored)
    slope, intercept = _number(ds.get("RescaleSlope"), 1.0), _number(ds.get("RescaleIntercept"), 0.0)
    return np.asarray(stored * (slope if slope != 0 else 1.0) + intercept, dtype=np.float64)


def padding_words(ds: Dataset, stored: Table) -> NDArray[np.bool_]:
    """Which words are Pixel Padding Value, or in the range to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2)."""
    first = _number(ds.get("PixelPaddingValue"), None)
    if first is None:
        return np.zeros(stored.size, dtype=np.bool_)
    limit = _number(ds.get("PixelPaddingRangeLimit"), first)
    modulus = 1 << int(ds.get("BitsStored") or ds.BitsAllocated)
    low, high = min(first, limit), max(first, limit)
    inside = (stored >= low) & (stored <= high)
    if first == limit:  # a writer may give the padding with the other signedness than the pixels
        inside |= np.mod(stored, modulus) == first % modulus
    return np.asarray(inside, dtype=np.bool_)


def display_table(ds: Dataset, words: Words) -> NDArray[np.float32]:
    """Shown brightness 0..1 of each word: modality LUT, then VOI LUT or window, then inversion.

    Of several windows the first counts. Without any, or where it would show next to nothing of this picture, black and
    white are the 1st and 99th percentile of what is neither padding nor a flat border (collimator).
    """
    stored = stored_table(ds)
    padded = padding_words(ds, stored)
    values = modality_table(ds, stored)
    shares = _shares(words, padded, values)
    shown = _voi_table(ds, values)
    if shown is None or _contrast(shown, shares) < LEAST_CONTRAST:
        shown = _percentile_table(values, shares)
    if inverted(ds):
        shown = 1 - shown
    shown[padded] = 0
    return shown.astype(np.float32)


def inverted(ds: Dataset) -> bool:
    """Whether low values are bright. MONOCHROME1 with the shape INVERSE, as DX has it, is one inversion, not two."""
    return bool(ds.get("PhotometricInterpretation") == "MONOCHROME1" or ds.get("PresentationLUTShape") == "INVERSE")


def _voi_table(ds: Dataset, values: Table) -> Table | None:
    lut = _lut(ds, "VOILUTSequence")
    if lut is not None:
        looked_up = _look_up(lut, values)
        # Many writers state more bits than the LUT uses; its own range is what they mean by black and white.
        low, high = float(lut[1].min()), float(lut[1].max())
        return (looked_up - low) / (high - low) if high > low else None
    centre, width = _number(_first(ds.get("WindowCenter")), None), _number(_first(ds.get("WindowWidth")), None)
    if centre is None or width is None:
        return None
    return window(values, centre, width, str(ds.get("VOILUTFunction") or "LINEAR"))


def window(values: Table, centre: float, width: float, function: str) -> Table | None:
    """A window as PS3.3 C.11.2.1.2 and C.11.2.1.3 define it, to 0..1; None where the width is not allowed."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -500, 500))) if width > 0 else None
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1) if width > 0 else None
    if width < 1:
        return None
    if width == 1:
        return np.asarray(values > centre - 0.5, dtype=np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def _shares(words: Words, padded: NDArray[np.bool_], values: Table) -> NDArray[np.float64]:
    """Share of each word in the picture's inner part, without padding and without flat ends of the range."""
    rows, columns = words.shape
    inner = words[rows // 10 : rows - rows // 10 : 3, columns // 10 : columns - columns // 10 : 3]
    counts = np.bincount(inner.ravel(), minlength=values.size).astype(np.float64)
    counts[padded] = 0
    kept = counts.copy()
    order = np.argsort(values, kind="stable")
    present = order[counts[order] > 0]
    for end in (present[:1], present[-1:]) if present.size > 8 else ():  # noqa: PLR2004 - else there is no picture to save
        if kept[end].sum() > 0.03 * counts.sum():
            kept[end] = 0
    total = kept.sum()
    return kept / total if total else counts


def _contrast(shown: Table, shares: NDArray[np.float64]) -> float:
    mean = float((shown * shares).sum())
    return float(np.sqrt(max(0.0, (shown**2 * shares).sum() - mean**2)))


def _percentile_table(values: Table, shares: NDArray[np.float64]) -> Table:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(shares[order])
    if reached[-1] <= 0:
        return np.zeros_like(values)
    low, high = (float(values[order[min(int(np.searchsorted(reached, p)), order.size - 1)]]) for p in (0.01, 0.99))
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1)


def _lut(ds: Dataset, keyword: str) -> tuple[float, NDArray[np.float64]] | None:
    """(first value mapped, entries) of the first item of a LUT sequence, or None where there is no usable one."""
    try:
        item = ds[keyword].value[0]
        descriptor = [int(value) for value in item.LUTDescriptor]
        count, first = descriptor[0] or 65536, descriptor[1]
        data = item.LUTData
        if isinstance(data, bytes):
            eight_bits = len(data) < 2 * count
            data = np.frombuffer(data, dtype=np.uint8 if eight_bits else "<u2")
        entries = np.asarray(data, dtype=np.float64)[:count] % 65536
    except MALFORMED:
        return None
    if entries.size == 0:
        return None
    if first >= 32768 and int(ds.get("PixelRepresentation") or 0) == 1:  # noqa: PLR2004 - SS written as US
        first -= 65536
    return float(first), entries


def _look_up(lut: tuple[float, NDArray[np.float64]], values: Table) -> Table:
    first, entries = lut
    index = np.clip(np.round(values - first), 0, entries.size - 1).astype(np.intp)
    return np.asarray(entries[index], dtype=np.float64)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value


def _number(value: Any, default: Any) -> Any:
    try:
        number = float(_first(value))
    except MALFORMED:
        return default
    return number if np.isfinite(number) else default
