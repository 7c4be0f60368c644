"""The overlay picture shows the contour and the words, and leaves the image as it was."""

from __future__ import annotations

import numpy as np
import pytest

from ptx_node.dicom.secondary_capture import CONTOUR_RGB, DISCLAIMER, caption, draw, outline
from ptx_node.domain.finding import Outcome, ResultKind
from tests import factories as make
from tests.conformance.conftest import Case
from tests.findings import finding

Cases = dict[tuple[str, Outcome], Case]


@pytest.mark.parametrize("name", ["dx", "ct", "enhanced_ct", "secondary_capture"])
def test_the_picture_is_rgb_marked_as_burned_in_and_refers_to_its_source(cases: Cases, name: str) -> None:
    case = cases[name, Outcome.POSITIVE]
    ds = case.read(ResultKind.SC)
    assert ("RGB", "YES", ["DERIVED", "SECONDARY"]) == (ds.PhotometricInterpretation, ds.BurnedInAnnotation, list(ds.ImageType))
    assert DISCLAIMER in ds.DerivationDescription
    mask = case.finding.mask
    assert mask is not None
    index = int(mask.sum(axis=(1, 2)).argmax()) if mask.ndim == 3 else 0
    source = case.sources[min(index, len(case.sources) - 1)]
    assert source.SOPInstanceUID == ds.SourceImageSequence[0].ReferencedSOPInstanceUID
    shown = ds.pixel_array
    plane = mask[index] if mask.ndim == 3 else mask
    contour = (shown[: plane.shape[0]] == CONTOUR_RGB).all(axis=2)
    np.testing.assert_array_equal(outline(plane, width=1), contour)


def test_only_the_contour_differs_from_the_image_and_the_words_stand_below() -> None:
    size = make.Size(400, 300)
    grey, mask = (make.chest(size, bits=8)).astype(np.uint8), make.pneumothorax(size)
    shown = draw(grey, mask, ("words",))
    changed = (shown[: size.rows] != grey[:, :, np.newaxis]).any(axis=2)
    np.testing.assert_array_equal(outline(mask, width=1), changed)
    strip = shown[size.rows :]
    assert strip.shape[0] >= 20
    assert 100 < np.count_nonzero(strip.any(axis=2)) < strip.shape[0] * strip.shape[1] / 2


@pytest.mark.parametrize("width", [1, 3])
def test_the_contour_runs_around_the_mask_also_at_the_edge_of_the_image(width: int) -> None:
    mask = np.zeros((40, 40), bool)
    mask[0:10, 30:40] = True
    ring = outline(mask, width=width)
    assert not (ring & mask).any()
    assert ring[5, 30 - width : 30].all()
    assert ring[10 : 10 + width, 35].all()
    assert ring.sum() == sum(10 + 10 + (step - 1) for step in range(1, width + 1))


def test_an_empty_mask_has_no_contour() -> None:
    assert not outline(np.zeros((5, 5), bool), width=2).any()


def test_the_words_say_answer_side_probability_and_threshold() -> None:
    sources = [make.header(make.dx())]
    assert caption(finding(sources))[:4] == ("Pneumothorax: suspected", "side: right", "probability 0.91", "threshold 0.40")
    assert caption(finding(sources, Outcome.NEGATIVE))[:3] == ("Pneumothorax: not detected", "probability 0.03", "threshold 0.40")


@pytest.mark.parametrize("columns", [64, 128, 512, 2048])
def test_words_fit_the_width_of_every_image(columns: int) -> None:
    words = caption(finding([make.header(make.dx())]))
    strip = draw(np.full((10, columns), 200, np.uint8), None, words)[10:]
    lines = strip.any(axis=(1, 2))
    assert lines.any()
    if columns >= 128:
        assert not strip[:, -2:].any(), "a word is cut off at the right edge"
