"""Commissioning looks at a SEG's own pixels: on the air, the right way round, on the phantom's images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from ptx_node.commission.checks import Returned, checks
from ptx_node.commission.phantoms import Phantom
from ptx_node.commission.read_back import ReadBack
from ptx_node.db.answers import Answers, Said, Sent
from ptx_node.domain.finding import Laterality, Outcome, ResultKind
from ptx_node.domain.result_policy import DestinationPolicy
from ptx_node.pipeline.results import encode_results
from tests.factories import ct_series, dx, header
from tests.findings import CONTEXT, finding, picture

SEG = ResultKind.SEG


def verdict(sources: Sequence[Dataset], mask: NDArray[np.bool_], truth: NDArray[np.bool_], images: Sequence[str] | None = None) -> str:
    """What commissioning says of a SEG with this mask: "" where nothing fails."""
    headers = [header(ds) for ds in sources]
    (written,) = encode_results(finding(headers, mask=mask), headers, kinds=[SEG], context=CONTEXT, picture=picture(headers))
    study, uid = str(sources[0].StudyInstanceUID), str(written.dataset.SOPInstanceUID)
    images = images or [str(ds.SOPInstanceUID) for ds in sources]
    phantom = Phantom("x", study, tuple(images), str(sources[0].PatientID), (), Outcome.POSITIVE, Laterality.RIGHT, mask=truth)
    sent = Sent("seg", str(written.dataset.SOPClassUID), uid, "1.8", study, "pacs", "committed", "c_find", None, None)
    answers = Answers(
        dict.fromkeys(images, "queued"),
        {"M"},
        [Said("m", "1", "1.7", "positive", None, 0.9, "right")],
        [sent],
        {("pacs", frozenset({SEG}))},
    )
    returned = Returned(answers, {"pacs": ReadBack("C-GET", {uid: written.dataset})}, {"pacs": DestinationPolicy(frozenset({SEG}), 1.0)})
    return "; ".join(one.detail for one in checks(phantom, returned) if not one.passed)


def corner(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Air in the first slices, above, on the patient's right."""
    mask = np.zeros(shape, dtype=np.bool_)
    mask[..., : shape[-2] // 3, : shape[-1] // 3] = True
    if len(shape) > 2:
        mask[shape[0] // 2 :] = False
    return mask


@pytest.mark.parametrize("kind", ["radiograph", "ct"])
def test_a_mask_on_the_air_passes_and_one_the_wrong_way_round_is_named(kind: str) -> None:
    sources = [dx()] if kind == "radiograph" else ct_series(6)
    shape = (int(sources[0].Rows), int(sources[0].Columns))
    truth = corner(shape) if kind == "radiograph" else corner((6, *shape))
    assert not verdict(sources, truth, truth)
    assert not verdict(sources, np.roll(truth, 2, axis=-1), truth)
    for axes in ((-1,), (-2,), (-1, -2), *([(0,)] if kind == "ct" else [])):
        assert "the wrong way round" in verdict(sources, np.flip(truth, axes), truth), axes


def test_a_mask_beside_the_air_or_on_other_images_fails() -> None:
    ds = dx()
    truth = corner((int(ds.Rows), int(ds.Columns)))
    beside = np.zeros_like(truth)
    beside[truth.shape[0] // 2, truth.shape[1] // 2] = True
    assert "1 pixels, Dice 0.00" in verdict([ds], beside, truth)
    assert "refers to none of the images" in verdict([ds], truth, truth, ["1.2.3"])
    assert "its grid is" in verdict([ds], truth, truth[::2])
