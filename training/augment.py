"""Another place, size, turn and display of each picture of a batch; then exactly the normalisation of `ptx_node.model.preprocess`.

Whole batches at once, on whatever device they lie; one interpolation however many movements. All chance comes from the generator given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from ptx_node.model.preprocess import HU_RANGE, MIN_STD
from training.chance import noise_like, uniform
from training.display import displayed

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from training.settings import Augment

Reads = Literal["radiograph", "ct"]


@dataclass(frozen=True, slots=True)
class Pictures:
    """A batch as it is kept.

    Attributes:
        images_BHW: float32; radiographs 0 black to 1 white, CT in Hounsfield units.
        masks_BHW: float32, 0 or 1.
        windows_B4: where the picture lies in its square: top, bottom, left, right in -1 .. 1 (edges, not centres).
    """

    images_BHW: Tensor
    masks_BHW: Tensor
    windows_B4: Tensor


def augmented(pictures: Pictures, settings: Augment, reads: Reads, size: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """Network inputs and masks (0 or 1), both B1HW float32 of `size`; the generator is on the CPU."""
    fill = 0.0 if reads == "radiograph" else HU_RANGE[0]
    count, kept = pictures.images_BHW.shape[0], pictures.images_BHW.shape[-1]
    grid_BHW2 = _grid(_movements(count, settings, kept, rng), size, pictures.images_BHW.device)
    both_B2HW = torch.stack([pictures.images_BHW - fill, pictures.masks_BHW], dim=1)
    moved_B2HW = functional.grid_sample(both_B2HW, grid_BHW2, mode="bilinear", padding_mode="zeros", align_corners=False)
    images_B1HW, masks_B1HW = moved_B2HW[:, :1] + fill, (moved_B2HW[:, 1:] > 0.5).float()
    if reads == "ct":
        return hounsfield_input(_ct_noise(images_B1HW, settings, rng)), masks_B1HW
    inside_B1HW = _inside(grid_BHW2, _cut(pictures.windows_B4, settings.crop, rng))
    return radiograph_norm(displayed(images_B1HW, inside_B1HW, settings, rng), inside_B1HW), masks_B1HW * inside_B1HW


def unchanged(pictures: Pictures, reads: Reads, size: int) -> tuple[Tensor, Tensor]:
    """Network inputs and masks of the pictures as they are, for validation."""
    images_B1HW, masks_B1HW = pictures.images_BHW[:, None], pictures.masks_BHW[:, None]
    if reads == "ct":
        images_B1HW = hounsfield_input(images_B1HW)
    if images_B1HW.shape[-1] != size:
        both = torch.cat([images_B1HW, masks_B1HW], dim=1)
        both = functional.interpolate(both, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
        images_B1HW, masks_B1HW = both[:, :1], (both[:, 1:] > 0.5).float()
    if reads == "ct":
        return images_B1HW, masks_B1HW
    still = torch.eye(3).expand(images_B1HW.shape[0], 3, 3)
    return radiograph_norm(images_B1HW, _inside(_grid(still, size, images_B1HW.device), pictures.windows_B4)), masks_B1HW


def radiograph_norm(images_B1HW: Tensor, inside_B1HW: Tensor) -> Tensor:
    """Zero mean and unit deviation over the picture, 0 outside: what `radiograph_input` does to one image."""
    count_B = inside_B1HW.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    mean_B = (images_B1HW * inside_B1HW).sum(dim=(1, 2, 3), keepdim=True) / count_B
    centred_B1HW = (images_B1HW - mean_B) * inside_B1HW
    std_B = (centred_B1HW.square().sum(dim=(1, 2, 3), keepdim=True) / count_B).sqrt()
    return centred_B1HW / std_B.clamp(min=MIN_STD)


def hounsfield_input(images_B1HW: Tensor) -> Tensor:
    """`HU_RANGE` to -1 .. 1: what `slice_input` does to one slice."""
    low, high = HU_RANGE
    return ((images_B1HW - low) * (2 / (high - low)) - 1).clamp(-1, 1)


def _movements(count: int, settings: Augment, kept: int, rng: Generator) -> Tensor:
    """Matrices (B, 3, 3) that take a place of the new square, -1 .. 1, to its place in the old one of `kept` pixels."""
    turn_B = uniform(rng, count, -settings.rotation_deg, settings.rotation_deg) * (math.pi / 180)
    zoom_B = 1 / uniform(rng, count, *settings.zoom)
    stretch_B = 1 + uniform(rng, count, -settings.stretch, settings.stretch)
    flip_B = torch.where(torch.rand(count, generator=rng) < settings.flip, -1.0, 1.0)
    across_B, down_B = zoom_B * stretch_B * flip_B, zoom_B / stretch_B
    matrix_B33 = torch.zeros(count, 3, 3)
    matrix_B33[:, 0, 0], matrix_B33[:, 0, 1] = turn_B.cos() * across_B, -turn_B.sin() * down_B
    matrix_B33[:, 1, 0], matrix_B33[:, 1, 1] = turn_B.sin() * across_B, turn_B.cos() * down_B
    for axis in (0, 1):
        shift_B = uniform(rng, count, -settings.shift, settings.shift)
        matrix_B33[:, axis, 2] = 2 * ((shift_B * kept).round() / kept if settings.whole_pixels else shift_B)  # the square is two wide
    matrix_B33[:, 2, 2] = 1
    return matrix_B33 @ _warps(count, settings.warp, rng) if settings.warp else matrix_B33


def _warps(count: int, most: float, rng: Generator) -> Tensor:
    """Homographies (B, 3, 3) that move the square's corners: each edge grows or shrinks about its middle, as a tilted sheet's does."""
    corners_42 = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    x_4, y_4 = corners_42.T
    edges_B4 = uniform(rng, 4 * count, -most, most).view(count, 4)  # of top, bottom, left, right
    new_x_B4 = x_4 * (1 + torch.where(y_4 < 0, edges_B4[:, 0:1], edges_B4[:, 1:2]))
    new_y_B4 = y_4 * (1 + torch.where(x_4 < 0, edges_B4[:, 2:3], edges_B4[:, 3:4]))
    # Two equations a corner for the eight unknowns of a homography.
    system_B88, right_B8 = torch.zeros(count, 8, 8), torch.zeros(count, 8)
    for corner in range(4):
        x, y, to_x_B, to_y_B = x_4[corner], y_4[corner], new_x_B4[:, corner], new_y_B4[:, corner]
        system_B88[:, 2 * corner, :3] = system_B88[:, 2 * corner + 1, 3:6] = torch.stack([x, y, torch.ones(())])
        system_B88[:, 2 * corner, 6], system_B88[:, 2 * corner, 7] = -x * to_x_B, -y * to_x_B
        system_B88[:, 2 * corner + 1, 6], system_B88[:, 2 * corner + 1, 7] = -x * to_y_B, -y * to_y_B
        right_B8[:, 2 * corner], right_B8[:, 2 * corner + 1] = to_x_B, to_y_B
    return torch.cat([torch.linalg.solve(system_B88, right_B8), torch.ones(count, 1)], dim=1).view(count, 3, 3)


def _grid(matrix_B33: Tensor, size: int, device: torch.device) -> Tensor:
    """Where each pixel of the new square comes from, (B, H, W, 2) as x, y in -1 .. 1."""
    tilted = bool((matrix_B33[:, 2, :2] != 0).any())  # asked before the matrices go to the device, which would have to be waited for
    matrix_B33 = matrix_B33.to(device)
    line = (torch.arange(size, device=device) * 2 + 1) / size - 1
    # Rows and columns apart: sums of two vectors instead of a product with every pixel.
    down_B3H = matrix_B33[:, :, 1:2] * line + matrix_B33[:, :, 2:3]
    across_B3W = matrix_B33[:, :, 0:1] * line
    place_B3HW = down_B3H[..., :, None] + across_B3W[..., None, :]
    xy_B2HW = place_B3HW[:, :2]
    if tilted:
        xy_B2HW = xy_B2HW / place_B3HW[:, 2:]
    return xy_B2HW.permute(0, 2, 3, 1)


def _inside(grid_BHW2: Tensor, windows_B4: Tensor) -> Tensor:
    """Which pixels show the picture, B1HW float."""
    top, bottom, left, right = (edge_B[:, None, None] for edge_B in windows_B4.to(grid_BHW2.device).unbind(1))
    x_BHW, y_BHW = grid_BHW2.unbind(-1)
    return ((x_BHW > left) & (x_BHW < right) & (y_BHW > top) & (y_BHW < bottom))[:, None].float()


def _cut(windows_B4: Tensor, most: float, rng: Generator) -> Tensor:
    """Smaller windows, as of another site's crop: each edge moves in by up to half of `most`; half of the pictures stay whole."""
    if not most:
        return windows_B4
    count = windows_B4.shape[0]
    cuts_B4 = uniform(rng, 4 * count, 0, most / 2).view(count, 4) * (torch.rand(count, 1, generator=rng) < 0.5)
    height_B, width_B = windows_B4[:, 1] - windows_B4[:, 0], windows_B4[:, 3] - windows_B4[:, 2]
    edges_B4 = torch.stack([height_B, -height_B, width_B, -width_B], dim=1)
    return windows_B4 + cuts_B4.to(windows_B4.device) * edges_B4


def _ct_noise(images_B1HW: Tensor, settings: Augment, rng: Generator) -> Tensor:
    count, device = images_B1HW.shape[0], images_B1HW.device
    if settings.blur:
        soft = (torch.rand(count, 1, 1, 1, generator=rng) < settings.blur).to(device)
        images_B1HW = torch.where(soft, functional.avg_pool2d(images_B1HW, 3, 1, 1, count_include_pad=False), images_B1HW)
    if settings.hu_noise:
        width_B = uniform(rng, count, 0, settings.hu_noise).view(-1, 1, 1, 1)
        images_B1HW = images_B1HW + noise_like(images_B1HW, rng) * width_B.to(device)
    return images_B1HW + uniform(rng, count, -settings.hu_shift, settings.hu_shift).view(-1, 1, 1, 1).to(device)
