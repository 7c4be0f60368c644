"""Another vendor's display of a radiograph: tone curve, detail, blur, noise, collimation, burned-in text, JPEG artefacts.

Values are 0 black to 1 white before and after; a picture is never inverted. Each image of the batch draws its own strengths.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

from training.chance import noise_like, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from training.settings import Augment

WORDS = ("L", "R", "AP", "PA", "PORTABLE", "SUPINE", "ERECT", "SEMI-UPRIGHT", "BEDSIDE", "10:42", "G", "D", "COUCHE", "120 kV")
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of quantisation at quality 50, ITU-T T.81 table K.1."""


def displayed(images_B1HW: Tensor, inside_B1HW: Tensor, settings: Augment, rng: Generator) -> Tensor:
    """The same pictures as another machine would show them; only what `settings` asks for costs time."""
    images_B1HW = _toned(_processed(images_B1HW, inside_B1HW, settings, rng).clamp(0, 1), settings, rng)
    if settings.blur:
        soft = torch.rand(images_B1HW.shape[0], 1, 1, 1, generator=rng) < settings.blur
        blurred_B1HW = functional.avg_pool2d(images_B1HW, 3, 1, 1, count_include_pad=False)
        images_B1HW = torch.where(soft.to(images_B1HW.device), blurred_B1HW, images_B1HW)
    if settings.noise:  # brighter is less exposed, and noisier
        width = _strengths(images_B1HW, 0, 1, rng).square() * settings.noise
        images_B1HW = images_B1HW + noise_like(images_B1HW, rng) * width * (0.4 + images_B1HW)
    if settings.collimation:
        images_B1HW = _collimated(images_B1HW, inside_B1HW, settings.collimation, rng)
    if settings.text:
        images_B1HW = _lettered(images_B1HW, settings.text, rng)
    if settings.jpeg:
        images_B1HW = _jpeg(images_B1HW, settings.jpeg, rng)
    return images_B1HW.clamp(0, 1)


def _strengths(images_B1HW: Tensor, low: float, high: float, rng: Generator) -> Tensor:
    """One number an image, (B, 1, 1, 1)."""
    return uniform(rng, images_B1HW.shape[0], low, high).view(-1, 1, 1, 1).to(images_B1HW.device)


def _processed(images_B1HW: Tensor, inside_B1HW: Tensor, settings: Augment, rng: Generator) -> Tensor:
    """More or less detail, less contrast between the large parts: multi-scale processing as vendors do it."""
    if settings.detail:
        fine_B1HW = images_B1HW - _smooth(images_B1HW, 4)
        images_B1HW = images_B1HW + fine_B1HW * _strengths(images_B1HW, -0.6 * settings.detail, 1.4 * settings.detail, rng)
    if settings.compression:
        mean_B = (images_B1HW * inside_B1HW).sum((1, 2, 3), keepdim=True) / inside_B1HW.sum((1, 2, 3), keepdim=True).clamp(min=1)
        coarse_B1HW = _smooth(torch.where(inside_B1HW > 0, images_B1HW, mean_B), 32) - mean_B
        images_B1HW = images_B1HW - coarse_B1HW * _strengths(images_B1HW, -0.3 * settings.compression, settings.compression, rng)
    return images_B1HW


def _toned(images_B1HW: Tensor, settings: Augment, rng: Generator) -> Tensor:
    """Gamma, a curve that is steeper or flatter in the middle, contrast and brightness."""
    if settings.gamma:
        images_B1HW = images_B1HW.clamp(min=1e-3) ** _strengths(images_B1HW, -settings.gamma, settings.gamma, rng).exp()
    if settings.curve:
        bend = _strengths(images_B1HW, -0.8 * settings.curve, 0.9 * settings.curve, rng)
        bend = bend.clamp(-1.9, 0.95)  # from -2 to 1 it rises everywhere
        images_B1HW = images_B1HW + bend * images_B1HW * (1 - images_B1HW) * (2 * images_B1HW - 1)
    if settings.contrast or settings.brightness:
        gain = _strengths(images_B1HW, -settings.contrast, settings.contrast, rng).exp()
        level = _strengths(images_B1HW, -settings.brightness, settings.brightness, rng)
        images_B1HW = ((images_B1HW - 0.5) * gain + 0.5 + level).clamp(0, 1)
    return images_B1HW


def _smooth(images_B1HW: Tensor, factor: int) -> Tensor:
    """Without detail finer than so many pixels."""
    small = functional.avg_pool2d(images_B1HW, factor)
    return functional.interpolate(small, size=images_B1HW.shape[2:], mode="bilinear", align_corners=False)


def _collimated(images_B1HW: Tensor, inside_B1HW: Tensor, odds: float, rng: Generator) -> Tensor:
    """Dark borders of up to an eighth on each side, evenly dark or nearly so."""
    count, _, rows, columns = images_B1HW.shape
    edges_B4 = uniform(rng, 4 * count, -0.06, 0.125).view(count, 4).clamp(min=0) * (torch.rand(count, 1, generator=rng) < odds)
    level_B = uniform(rng, count, 0, 0.08).view(-1, 1, 1, 1)
    y_H, x_W = torch.linspace(0, 1, rows), torch.linspace(0, 1, columns)
    open_BH = (y_H >= edges_B4[:, 0:1]) & (y_H <= 1 - edges_B4[:, 1:2])
    open_BW = (x_W >= edges_B4[:, 2:3]) & (x_W <= 1 - edges_B4[:, 3:4])
    shut_B1HW = ~(open_BH[:, None, :, None] & open_BW[:, None, None, :]).to(images_B1HW.device)
    dark_B1HW = torch.minimum(images_B1HW, level_B.to(images_B1HW.device))
    return torch.where(shut_B1HW & (inside_B1HW > 0), dark_B1HW, images_B1HW)


@functools.cache
def _word(text: str, height: int) -> Tensor:
    font = ImageFont.load_default(size=height)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(picture).text((1 - left, 1 - top), text, fill=255, font=font)
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)


def _lettered(images_B1HW: Tensor, odds: float, rng: Generator) -> Tensor:
    """One to three words near the borders, bright on what is there."""
    count, _, rows, columns = images_B1HW.shape
    images_B1HW = images_B1HW.clone()
    for image in range(count):
        if torch.rand((), generator=rng) >= odds:
            continue
        for _ in range(int(torch.randint(1, 4, (), generator=rng))):
            height = max(6, int(rows * float(uniform(rng, 1, 0.02, 0.06))))
            word_HW = _word(WORDS[int(torch.randint(len(WORDS), (), generator=rng))], height)
            word_HW = word_HW[: rows // 2, : columns // 2].to(images_B1HW.device)
            y, x, level, across = torch.rand(4, generator=rng).tolist()
            y, x = (round(y) if across < 0.5 else y), (x if across < 0.5 else round(x))  # along a border
            y = 0.03 + 0.94 * y
            x = 0.03 + 0.94 * x
            top, left = int(y * (rows - word_HW.shape[0])), int(x * (columns - word_HW.shape[1]))
            place = images_B1HW[image, 0, top : top + word_HW.shape[0], left : left + word_HW.shape[1]]
            place.copy_(torch.maximum(place, word_HW * (0.6 + 0.4 * level)))
    return images_B1HW


@functools.cache
def _cosines() -> Tensor:
    place_8 = torch.arange(8, dtype=torch.float32)
    matrix_88 = torch.cos((2 * place_8[None] + 1) * place_8[:, None] * torch.pi / 16) / 2
    matrix_88[0] /= 2**0.5
    return matrix_88


def _jpeg(images_B1HW: Tensor, odds: float, rng: Generator) -> Tensor:
    """What JPEG Baseline leaves of some of the pictures: blocks of 8 x 8 cosines, quantised (ITU-T T.81); no real coding."""
    count, _, rows, columns = images_B1HW.shape
    chosen_B, quality_B = torch.rand(count, generator=rng) < odds, uniform(rng, count, 25, 90)
    if not bool(chosen_B.any()):
        return images_B1HW
    device = images_B1HW.device
    quality_C = quality_B[chosen_B]
    scale_C = torch.where(quality_C < 50, 50 / quality_C, 2 - quality_C / 50)
    steps_C88 = (torch.tensor(LUMINANCE, dtype=torch.float32) * scale_C[:, None, None]).round().clamp(min=1).to(device)
    cosines_88, chosen_B = _cosines().to(device), chosen_B.to(device)
    blocks = (images_B1HW[chosen_B, 0] * 255 - 128).reshape(-1, rows // 8, 8, columns // 8, 8).transpose(2, 3)
    coefficients = cosines_88 @ blocks @ cosines_88.T
    steps = steps_C88[:, None, None]
    back = cosines_88.T @ ((coefficients / steps).round() * steps) @ cosines_88
    images_B1HW = images_B1HW.clone()
    images_B1HW[chosen_B, 0] = (back.transpose(2, 3).reshape(-1, rows, columns) + 128) / 255
    return images_B1HW
