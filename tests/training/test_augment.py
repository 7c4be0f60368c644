"""Augmentation: the mask stays on what it marks, the picture stays a radiograph, and without it the input is the node's."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ptx_node.model.preprocess import Letterbox, radiograph_input, slice_input
from tests.training.stand_in import pictures, tiny
from training.augment import Pictures, augmented, hounsfield_input, unchanged
from training.batches import Order, Pool, Position, batches
from training.display import LUMINANCE, _cosines, displayed
from training.settings import Augment, load_settings

OURS = load_settings(Path("joint")).augment
CPU = torch.device("cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def kept(count: int = 6, size: int = 64, *, ct: bool = False) -> Pictures:
    pool = Pool([pictures(count, size=size, ct=ct)])
    return pool.take(np.arange(count), CPU)[0]


def test_without_augmentation_the_input_is_the_nodes() -> None:
    """Of a radiograph and of a slice, through the prepared arrays, to rounding."""
    box = Letterbox.fit((64, 48), 64)
    data, ct = pictures(4), pictures(4, ct=True)
    inputs, masks = unchanged(kept(4), "radiograph", 64)
    slices, _ = unchanged(kept(4, ct=True), "ct", 64)
    nothing, _ = augmented(kept(4), Augment(), "radiograph", 64, seeded(0))
    for index in range(4):
        expected, _ = radiograph_input((data.images_NHW[index][box.window] / 255).astype(np.float32), 64)
        np.testing.assert_allclose(expected, inputs[index, 0], atol=1e-5)
        np.testing.assert_allclose(expected, nothing[index, 0], atol=1e-4)
        np.testing.assert_array_equal(data.masks_NHW[index], masks[index, 0])
        np.testing.assert_allclose(slice_input(ct.images_NHW[index], 64)[0], slices[index, 0], atol=1e-5)


def test_larger_prepared_pictures_shrink_to_nearly_the_nodes_input() -> None:
    box = Letterbox.fit((96, 72), 96)
    data = pictures(2, size=96)
    inputs, masks = unchanged(kept(2, size=96), "radiograph", 64)
    expected, _ = radiograph_input((data.images_NHW[1][box.window] / 255).astype(np.float32), 64)
    assert np.abs(expected - inputs[1, 0].numpy()).mean() < 0.05
    assert set(masks.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reads", ["radiograph", "ct"])
def test_the_mask_moves_with_what_it_marks(seed: int, reads: str) -> None:
    """The marked square is bright: after any movement the mean under the mask is far above the rest of the picture."""
    moves = Augment(flip=0.5, rotation_deg=15, zoom=(0.8, 1.3), stretch=0.1, shift=0.1, warp=0.2)
    inputs, masks = augmented(kept(8, ct=reads == "ct"), moves, reads, 64, seeded(seed))  # type: ignore[arg-type]
    for image in range(1, 8, 2):
        marked = inputs[image][masks[image] > 0]
        if marked.numel() > 20:
            around = torch.nn.functional.max_pool2d(masks[image], 9, 1, 4) > masks[image]
            assert marked.mean() > inputs[image][around].mean() + 0.3


def test_a_flip_is_a_mirror_and_a_zoom_magnifies() -> None:
    plain, mask = augmented(kept(), Augment(), "radiograph", 64, seeded(0))
    flipped, flipped_mask = augmented(kept(), Augment(flip=1.0), "radiograph", 64, seeded(0))
    torch.testing.assert_close(plain.flip(3), flipped, atol=1e-4, rtol=1e-4)
    assert torch.equal(mask.flip(3), flipped_mask)
    middle = torch.zeros(1, 64, 64)
    middle[:, 24:40, 24:40] = 1
    twice = augmented(Pictures(middle, middle, torch.tensor([[-1.0, 1, -1, 1]])), Augment(zoom=(2.0, 2.0)), "radiograph", 64, seeded(0))[1]
    assert 32 * 32 == pytest.approx(twice.sum().item(), rel=0.01)


def test_whole_pixels_show_the_very_values_of_a_place_in_the_slice() -> None:
    pool = kept(4, size=64, ct=True)
    exact = Augment(zoom=(2.0, 2.0), shift=0.25, whole_pixels=True)
    inputs, masks = augmented(pool, exact, "ct", 32, seeded(5))
    source = hounsfield_input(pool.images_BHW)
    for index in range(4):
        places = source[index].unfold(0, 32, 1).unfold(1, 32, 1)
        distance = (places - inputs[index, 0]).abs().amax(dim=(2, 3))
        row, column = divmod(int(distance.argmin()), distance.shape[1])
        assert float(distance[row, column]) < 1e-3
        np.testing.assert_array_equal(pool.masks_BHW[index, row : row + 32, column : column + 32], masks[index, 0])
    between, _ = augmented(pool, exact.model_copy(update={"whole_pixels": False}), "ct", 32, seeded(5))
    assert float((between - inputs).abs().amax()) > 0.05


def test_a_symmetric_warp_leaves_the_middle_and_moves_corners_within_its_range() -> None:
    dots = torch.zeros(1, 65, 65)
    dots[:, 31:34, 31:34] = 1
    for seed in range(5):
        warped = augmented(Pictures(dots, dots, torch.tensor([[-1.0, 1, -1, 1]])), Augment(warp=0.2), "radiograph", 64, seeded(seed))[1][
            0, 0
        ]
        centre = warped.nonzero().float().mean(0)
        assert (centre - 31.5).abs().max() < 6.5, "the middle stays where it is, but for the tilt"


def test_the_same_seed_is_the_same_augmentation_and_another_is_not() -> None:
    first, again, other = (augmented(kept(), OURS, "radiograph", 64, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_padding_is_zero_and_the_picture_has_unit_deviation() -> None:
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[Letterbox.fit((64, 48), 64).window] = False
    still = OURS.model_copy(update={"rotation_deg": 0, "zoom": (1, 1), "stretch": 0, "shift": 0, "warp": 0, "crop": 0})
    unmoved, _ = augmented(kept(), still, "radiograph", 64, seeded(3))
    assert 0 == unmoved[:, 0, outside].abs().max() < unmoved[:, 0, ~outside].abs().min(dim=1).values.max()
    inputs, _ = augmented(kept(), OURS, "radiograph", 64, seeded(3))
    for image in inputs:
        inside = image[image != 0]
        assert inside.mean().item() == pytest.approx(0, abs=0.02)
        assert inside.std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "name", ["detail", "compression", "gamma", "curve", "contrast", "brightness", "noise", "blur", "collimation", "text", "jpeg"]
)
def test_each_change_of_display_changes_the_picture_and_never_inverts_it(name: str) -> None:
    ramp = torch.linspace(0.1, 0.9, 64).expand(8, 1, 64, 64).contiguous() + 0.02 * torch.rand(8, 1, 64, 64, generator=seeded(9))
    shown = displayed(
        ramp.clone(), torch.ones_like(ramp), Augment(**{name: 1.0 if name in {"blur", "collimation", "text", "jpeg"} else 0.3}), seeded(4)
    )
    assert 0 <= shown.min() <= shown.max() <= 1
    for before, after in zip(ramp, shown, strict=True):
        assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0.3
    assert any(not torch.equal(before, after) for before, after in zip(ramp, shown, strict=True))


def test_the_display_curve_rises_everywhere() -> None:
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256).expand(64, 1, 8, 256).contiguous()
    shown = displayed(ramp, torch.ones_like(ramp), Augment(gamma=0.5, curve=2.0, contrast=0.3, brightness=0.1), seeded(5))
    assert (shown.diff(dim=3) >= -1e-6).all()


def test_jpeg_artefacts_are_those_of_a_real_encoder() -> None:
    """At the same quality the simulated artefacts lie within a level or so of Pillow's."""
    rng = np.random.default_rng(0)
    picture = np.clip(np.cumsum(rng.normal(0, 6, (64, 64)), axis=1) + 120, 0, 255).astype(np.uint8)
    coded = io.BytesIO()
    Image.fromarray(picture).save(coded, "JPEG", quality=50)
    expected = np.asarray(Image.open(coded), dtype=np.float32)
    cosines, steps = _cosines(), torch.tensor(LUMINANCE, dtype=torch.float32)
    blocks = (torch.from_numpy(picture).float() - 128).reshape(8, 8, 8, 8).transpose(1, 2)
    back = cosines.T @ (((cosines @ blocks @ cosines.T) / steps).round() * steps) @ cosines
    found = (back.transpose(1, 2).reshape(64, 64) + 128).clamp(0, 255).numpy()
    assert np.abs(expected - found).mean() < 0.7


def test_ct_noise_stays_in_hounsfield_units() -> None:
    water = Pictures(torch.full((32, 64, 64), -400.0), torch.zeros(32, 64, 64), torch.zeros(32, 4))
    inputs, _ = augmented(water, Augment(hu_shift=20.0, hu_noise=40.0), "ct", 64, seeded(6))
    levels = inputs.mean(dim=(1, 2, 3)) - hounsfield_input(torch.tensor(-400.0))
    assert 10 < levels.abs().max() * 600 < 25
    assert 20 < inputs.std(dim=(1, 2, 3)).max() * 600 < 42


def test_a_pneumothorax_that_is_cropped_away_is_no_longer_the_label() -> None:
    settings = tiny(augment={"zoom": [3.0, 3.0], "shift": 0.0, "rotation_deg": 0.0})
    pool = Pool([pictures(60)])
    order = Order(pool.label_N, np.arange(60), seed=1, batch=30)
    batch = next(batches(pool, order, settings, Position(), lambda _: 1.0, CPU, threads=0))
    seen = batch.truth.mask_B1HW.amax((1, 2, 3))
    assert torch.equal(seen, batch.truth.label_B)
    assert 0 < seen.sum() < 30
