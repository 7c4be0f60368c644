"""A network made ready to answer and never to learn: batch norm inside the convolutions, channels last, bfloat16 where it pays.

Every change is checked on a trial picture when the model is loaded; one that fails is not used, and the log says so.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ptx_node.log import get

if TYPE_CHECKING:
    from collections.abc import Callable

log = get(__name__)

AMPERE = (8, 0)
"""The first CUDA compute capability with bfloat16 in hardware; older GPUs imitate it and lose."""
SAME = 1e-3
"""Logits before and after folding differ by less, relative to the largest: rounding of float32 stays far below, a wrong fold far above."""
TRIAL_SIZE = 64


class Passed(NamedTuple):
    """What one forward pass gives, on its device.

    Attributes:
        class_logit_B: one an image.
        mask_logits_B1HW: one a pixel.
        embedding_BC: the encoder's deepest features, averaged over the picture, float32; None of a network without an encoder.
    """

    class_logit_B: Tensor
    mask_logits_B1HW: Tensor
    embedding_BC: Tensor | None


@dataclass(frozen=True, slots=True)
class InferenceNetwork:
    """A network on its device, in its type. Calling it is one forward pass."""

    network: nn.Module = field(repr=False)
    device: torch.device
    dtype: torch.dtype

    def __call__(self, inputs_B1HW: Tensor) -> Passed:
        """Answers and embeddings by one pass. `inputs_B1HW` may come from anywhere, in any type.

        A network that has an `encoder`, and an `answer` from its outputs, is run in these two steps: the same operations in the same order.
        """
        with torch.inference_mode():
            # Halved before it travels: the same numbers as after, in half the bytes.
            ready_B1HW = inputs_B1HW.to(self.dtype).to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
            encoder, answer = getattr(self.network, "encoder", None), getattr(self.network, "answer", None)
            if encoder is None or answer is None:
                class_logit_B, mask_logits_B1HW = self.network(ready_B1HW)
                return Passed(class_logit_B, mask_logits_B1HW, None)
            features = encoder(ready_B1HW)
            embedding_BC = features[-1].mean(dim=(2, 3), dtype=torch.float32)
            class_logit_B, mask_logits_B1HW = answer(features)
        return Passed(class_logit_B, mask_logits_B1HW, embedding_BC)


def inference_network(network: nn.Module, device: torch.device, *, half: bool) -> InferenceNetwork:
    """A copy of `network` that answers the same, faster.

    Args:
        network: takes pictures of shape B1HW, H and W multiples of 32, and gives (class logits, mask logits); in eval mode.
        device: where it is to answer.
        half: bfloat16 instead of float32. A network without weights, or that cannot work in it, stays in float32.
    """
    ready = fold_batch_norm(network).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if half and next(network.parameters(), None) is not None:
        try:
            answering = InferenceNetwork(halved(ready), device, torch.bfloat16)
            answering(trial_picture())
        except RuntimeError as error:
            log.warning("network stays in float32", error=str(error)[:300])
        else:
            return answering
    return InferenceNetwork(ready, device, torch.float32)


def half_precision_pays(device: torch.device) -> bool:
    """Whether bfloat16 is faster here: on GPUs and CPUs with instructions for it (about twice as fast measured, else slower)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and bool(supported is not None and supported())


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy in which every batch norm that directly follows a convolution has become part of its weights.

    What follows what is seen in one trial pass, so any order of modules may be given. Where the answers of the folded copy
    differ (a convolution's output that is used twice, say), the copy comes back unfolded.
    """
    folded = copy.deepcopy(network).eval()
    trial_B1HW = trial_picture().to(_place_of(network))
    with torch.no_grad():
        expected = folded(trial_B1HW)
        for convolution, norm in _pairs(folded, trial_B1HW):
            source, following = folded.get_submodule(convolution), folded.get_submodule(norm)
            assert isinstance(source, nn.Conv2d)
            assert isinstance(following, nn.BatchNorm2d)
            folded.set_submodule(convolution, fuse_conv_bn_eval(source, following))
            folded.set_submodule(norm, nn.Identity())
        found = folded(trial_B1HW)
    if all(_same(one, other) for one, other in zip(expected, found, strict=True)):
        return folded
    log.warning("batch norm was not folded into the convolutions: the answers would differ")
    return copy.deepcopy(network).eval()


def halved(network: nn.Module) -> nn.Module:
    """A copy in bfloat16, but for linear layers and what batch norm is left.

    The class logit comes out of a linear layer: in bfloat16 it would have eight significant bits, and probabilities near a
    threshold steps of half a percent.
    """
    half = copy.deepcopy(network).to(torch.bfloat16)
    for name, exact in network.named_modules():
        if isinstance(exact, nn.Linear | nn.BatchNorm2d):
            same = half.get_submodule(name)
            same.float()
            same.load_state_dict(exact.state_dict())  # as they were before they lost digits
            if isinstance(exact, nn.Linear):
                same.register_forward_pre_hook(_in_float32)
    return half


def trial_picture() -> Tensor:
    """Two pictures of noise, the same each time, of shape B1HW."""
    return torch.rand((2, 1, TRIAL_SIZE, TRIAL_SIZE), generator=torch.Generator().manual_seed(0))


def _pairs(network: nn.Module, trial_B1HW: Tensor) -> list[tuple[str, str]]:
    """Names of (convolution, batch norm) where the norm takes what the convolution gave, untouched; each module once."""
    given: dict[int, tuple[str, Tensor, int]] = {}
    convolutions: list[str] = []
    pairs: list[tuple[str, str]] = []

    def after_convolution(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            convolutions.append(name)
            # The tensor is held, so that its id stays its own; its version grows when an activation works in place on it.
            given[id(output)] = (name, output, output._version)  # noqa: SLF001 - torch has no other name for it

        return note

    def before_norm(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            source, _, version = given.get(id(inputs[0]), ("", inputs[0], -1))
            if version == inputs[0]._version:  # noqa: SLF001 - as above
                pairs.append((source, name))

        return note

    hooks = [
        module.register_forward_hook(after_convolution(name))
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(before_norm(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        network(trial_B1HW)
    finally:
        for hook in hooks:
            hook.remove()
    norms = [norm for _, norm in pairs]
    return [(source, norm) for source, norm in pairs if convolutions.count(source) == 1 and norms.count(norm) == 1]


def _same(expected: Tensor, found: Tensor) -> bool:
    scale = max(1.0, float(expected.abs().max()))
    return bool(((expected - found).abs() <= SAME * scale).all())


def _place_of(network: nn.Module) -> torch.device:
    return next((one.device for one in network.parameters()), torch.device("cpu"))


def _in_float32(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(one.float() for one in inputs)
