"""What is burned into the pixels of a shown radiograph: collimation, side markers, words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Marker:
    """Letters in the picture.

    Attributes:
        at: (down, across) of the first letter's top left corner, as shares of the picture.
        tall: height of the letters, as a share of the picture's height.
        plate: whether they stand on a plate that is itself a little opaque, as lead letters on tape.
    """

    text: str
    at: tuple[float, float]
    tall: float
    plate: bool = False


def burn_in(shown_HW: NDArray[np.float32], borders: tuple[float, float, float, float], markers: Sequence[Marker]) -> None:
    """Collimate and letter a picture in place; `borders` are shares at the top, right, bottom and left."""
    rows, columns = shown_HW.shape
    top, right, bottom, left = (round(share * size) for share, size in zip(borders, (rows, columns, rows, columns), strict=True))
    shown_HW[:top] = 0
    shown_HW[rows - bottom :] = 0
    shown_HW[:, :left] = 0
    shown_HW[:, columns - right :] = 0
    for marker in markers:
        if not marker.text:
            continue
        letters = _letters(marker.text, max(6, round(marker.tall * rows)))
        row, column = round(marker.at[0] * rows), round(marker.at[1] * columns)
        patch = shown_HW[row : row + letters.shape[0], column : column + letters.shape[1]]
        if marker.plate:
            patch += np.float32(0.18) * (1 - patch)
        patch += letters[: patch.shape[0], : patch.shape[1]] * (np.float32(0.97) - patch)


@lru_cache(maxsize=64)
def _letters(text: str, tall: int) -> NDArray[np.float32]:
    """Coverage of the letters, 0 to 1, with a small margin."""
    font = ImageFont.load_default(size=1.25 * tall)
    low_x, low_y, high_x, high_y = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=font)
    margin = max(1, tall // 6)
    picture = Image.new("L", (int(high_x - low_x) + 2 * margin, int(high_y - low_y) + 2 * margin))
    ImageDraw.Draw(picture).text((margin - low_x, margin - low_y), text, fill=255, font=font, stroke_width=max(0, tall // 28))
    return np.asarray(picture, dtype=np.float32) / np.float32(255)
