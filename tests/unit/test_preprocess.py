"""The way to the network's grid and exactly back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptx_node.model.preprocess import Letterbox, radiograph_input, shrink, slice_input, to_source

SHAPES = [(256, 256), (512, 512), (2500, 2048), (2048, 2500), (300, 1000), (1024, 1024), (128, 64)]


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    """A disc given in parts of the longest edge."""
    longest = max(shape)
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.hypot(rows - centre[0] * shape[0], columns - centre[1] * shape[1]) < radius * longest


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_put_through_the_geometry_and_back_lands_where_it_was(shape: tuple[int, int]) -> None:
    mask = disc(shape, (0.4, 0.6), 0.12)
    box = Letterbox.fit(shape, 256)
    square = np.full((256, 256), -10, dtype=np.float32)
    square[box.window] = shrink((mask * 20 - 10).astype(np.float32), box.scaled)
    back = (to_source(torch.from_numpy(square), box) > 0).numpy()
    assert shape == back.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.985
    for axis in (0, 1):
        expected, found = (np.average(np.arange(m.shape[axis]), weights=m.sum(axis=1 - axis)) for m in (mask, back))
        assert abs(expected - found) < 0.1 * max(1, max(shape) / 256)


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([64, 256, 320]))
@settings(max_examples=200, deadline=None)
def test_every_shape_has_a_place_inside_the_square(rows: int, columns: int, size: int) -> None:
    box = Letterbox.fit((rows, columns), size)
    assert max(box.scaled) == size
    assert min(box.offset) >= 0
    assert all(offset + scaled <= size for offset, scaled in zip(box.offset, box.scaled, strict=True))


def test_an_identity_geometry_changes_no_pixel() -> None:
    logits = torch.randn(256, 256)
    torch.testing.assert_close(logits, to_source(logits, Letterbox.fit((256, 256), 256)))


def test_a_radiograph_is_normalised_over_its_picture_and_not_over_the_padding() -> None:
    picture = np.random.default_rng(0).random((200, 100), dtype=np.float32)
    square, box = radiograph_input(picture, 256)
    inside = square[box.window]
    assert inside.mean() == pytest.approx(0, abs=1e-4)
    assert inside.std() == pytest.approx(1, abs=1e-3)
    outside = np.ones((256, 256), dtype=bool)
    outside[box.window] = False
    assert outside.any()
    assert np.all(square[outside] == 0)


def test_brightness_and_contrast_do_not_change_a_radiographs_input() -> None:
    picture = np.random.default_rng(0).random((300, 300), dtype=np.float32)
    np.testing.assert_allclose(radiograph_input(picture, 256)[0], radiograph_input(picture * 0.4 + 0.3, 256)[0], atol=1e-3)


def test_an_even_picture_gives_finite_input() -> None:
    assert np.all(np.isfinite(radiograph_input(np.zeros((64, 64), dtype=np.float32), 64)[0]))


def test_a_slice_keeps_hounsfield_units_apart_below_soft_tissue() -> None:
    hu = np.array([[-1024, -850], [0, 3000]], dtype=np.int16).repeat(128, 0).repeat(128, 1)
    square, _ = slice_input(hu, 256)
    air, lung, water, bone = square[60, 60], square[60, 190], square[190, 60], square[190, 190]
    assert -1 <= air < lung - 0.2
    assert lung < water < bone == 1
