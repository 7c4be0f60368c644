"""A network made ready for inference answers as it did before, whatever it is built of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ptx_node.model.inference_network import fold_batch_norm, half_precision_pays, halved, inference_network, trial_picture
from ptx_node.model.network import PneumothoraxNet

CPU = torch.device("cpu")
OPTIONS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "atrous centre, hypercolumns, recalibration": {"centre": "aspp", "centre_filters": 16, "hypercolumns": True, "scse": True},
    "plain decoder": {"decoder": "plain", "centre": "convolutions", "centre_filters": 16},
}


def lived(network: nn.Module) -> nn.Module:
    """The network with running statistics and weights as training leaves them: of a new one, folding would change nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.4, 2.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def pictures(size: int = 96) -> Tensor:
    return torch.randn((3, 1, size, size), generator=torch.Generator().manual_seed(5))


@pytest.fixture(params=list(OPTIONS))
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return lived(PneumothoraxNet("resnet10", [16, 16, 8, 8, 8], **OPTIONS[request.param]))


def both(network: Any, images: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return [one.float() for one in network(images)[:2]]


def test_folding_changes_no_answer(network: nn.Module) -> None:
    torch.testing.assert_close(both(network, pictures()), both(fold_batch_norm(network), pictures()), atol=1e-4, rtol=1e-4)


def test_the_network_that_is_folded_stays_as_it_was(network: nn.Module) -> None:
    before, expected = norms(network), both(network, pictures())
    inference_network(network, CPU, half=True)
    assert before == norms(network)
    torch.testing.assert_close(expected, both(network, pictures()), atol=0, rtol=0)


def test_every_norm_behind_a_convolution_is_folded_and_none_behind_an_activation() -> None:
    """The plain decoder's activation works in place: its norm is given the convolution's own tensor, with other values in it."""
    plain = {"decoder_channels": [16, 16, 8, 8, 8], "decoder": "plain"}
    assert 0 == norms(fold_batch_norm(lived(PneumothoraxNet("resnet10", [16, 16, 8, 8, 8]))))
    assert 10 == norms(fold_batch_norm(lived(PneumothoraxNet("resnet10", **plain))))  # type: ignore[arg-type]


class Twice(nn.Module):
    """A convolution whose output is used beside its norm as well: it cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        plain = self.convolution(images)
        mask = self.norm(plain) + plain
        return mask.amax(dim=(1, 2, 3)), mask


def test_a_convolution_that_is_used_twice_is_left_alone() -> None:
    network = lived(Twice())
    folded = fold_batch_norm(network)
    assert 1 == norms(folded)
    torch.testing.assert_close(both(network, pictures()), both(folded, pictures()), atol=0, rtol=0)


def test_bfloat16_answers_nearly_as_float32(network: nn.Module) -> None:
    exact, half = inference_network(network, CPU, half=False), inference_network(network, CPU, half=True)
    assert (torch.float32, torch.bfloat16) == (exact.dtype, half.dtype)
    for expected, found in zip(both(exact, pictures()), both(half, pictures()), strict=True):
        assert float((expected.sigmoid() - found.sigmoid()).abs().max()) < 0.03


def test_in_bfloat16_the_class_logit_keeps_float32s_digits(network: nn.Module) -> None:
    class_logits = inference_network(network, CPU, half=True)(pictures()).class_logit_B
    assert torch.float32 == class_logits.dtype
    assert any(logit != logit.bfloat16().float() for logit in class_logits)


def test_norms_that_stay_keep_their_statistics_in_float32() -> None:
    network = lived(PneumothoraxNet("resnet10", [16, 16, 8, 8, 8], decoder="plain"))
    kept = [module for module in halved(fold_batch_norm(network)).modules() if isinstance(module, nn.BatchNorm2d)]
    statistics = {float(value) for module in network.modules() if isinstance(module, nn.BatchNorm2d) for value in module.running_var}
    assert kept
    assert all(float(value) in statistics for module in kept for value in module.running_var)


class OnlyFloat32(Twice):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.dtype != torch.float32:
            raise RuntimeError("expected scalar type Float")
        return super().forward(images)


def test_a_network_that_cannot_work_in_bfloat16_stays_in_float32() -> None:
    network = lived(OnlyFloat32())
    ready = inference_network(network, CPU, half=True)
    assert torch.float32 == ready.dtype
    torch.testing.assert_close(both(network, pictures()), both(ready, pictures()))


def test_a_network_without_weights_is_given_float32() -> None:
    class Brightness(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.amax(dim=(1, 2, 3)), images

    mask = inference_network(Brightness(), CPU, half=True)(pictures()).mask_logits_B1HW
    torch.testing.assert_close(pictures(), mask, atol=0, rtol=0)


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="asks Linux what the processor can do")
def test_bfloat16_is_chosen_where_the_processor_has_instructions_for_it() -> None:
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "").split()
    assert ("avx512_bf16" in flags) == half_precision_pays(CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_answers_are_the_cpus() -> None:
    network = lived(PneumothoraxNet("resnet10", [16, 16, 8, 8, 8]))
    device = torch.device("cuda")
    ready = inference_network(network, device, half=half_precision_pays(device))
    for expected, found in zip(both(network, pictures()), both(ready, pictures()), strict=True):
        assert float((expected.sigmoid() - found.sigmoid().cpu()).abs().max()) < 0.03


def test_the_trial_picture_is_the_same_each_time() -> None:
    torch.testing.assert_close(trial_picture(), trial_picture(), atol=0, rtol=0)
