"""Networks: their options, their encoder's start, and what a bundle may ask of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from monai.networks.nets.resnet import ResNetFeatures
from safetensors.torch import save_file

from ptx_node.errors import ConfigurationError, ModelError
from ptx_node.model.bundle import load_bundle, save_bundle
from ptx_node.model.network import AtrousCentre, PneumothoraxNet, Recalibration, ResidualEncoder
from ptx_node.model.patch_network import class_logit
from training.losses import Truth, total_loss
from training.networks.build import build, freeze, joint_arguments, load_encoder
from training.networks.clasegnet import ClaSegNet
from training.settings import Loss, Network

SMALL = (16, 16, 8, 8, 8)
SHUFFLED = (16, 16, 8, 8)
"""Four steps: the mask's last doubling is a sub-pixel convolution."""
ALL: dict[str, Any] = {"centre": "aspp", "centre_filters": 24, "hypercolumns": True, "scse": True, "decoder": "plain"}


def network(**values: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(Network(**{"backbone": "resnet10", "decoder_channels": SMALL} | values))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"centre": "convolutions"},
        {"centre": "aspp"},
        {"hypercolumns": True},
        {"scse": True},
        {"decoder": "plain"},
        ALL,
        {"decoder": "monai", "scse": True, "hypercolumns": True, "centre": "aspp"},
        {"backbone": "resnet18"},
        {"backbone": "resnet50"},
        {"decoder_channels": SHUFFLED},
        ALL | {"decoder_channels": SHUFFLED},
    ],
)
def test_every_weight_of_every_variant_learns(values: dict[str, Any]) -> None:
    """Also those of the shortcuts, through which MONAI's own ResNet-18 and -34 pass no gradient."""
    one = network(**values).train()
    logit, mask_logits = one(torch.randn(2, 1, 64, 96))
    assert (2,) == logit.shape
    assert (2, 1, 64, 96) == mask_logits.shape
    (logit.sum() + mask_logits.square().mean()).backward()
    still = [name for name, weight in one.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert [] == [name for name in still if not name.endswith(".bias")]


def test_the_studies_networks_have_the_sizes_that_are_known() -> None:
    """32.55 million parameters are reported for the CT study's network, of three input channels; ours has one."""
    plain = PneumothoraxNet("resnet50", (256, 128, 64, 32, 16), decoder="plain")
    assert 32.55e6 == pytest.approx(sum(weight.numel() for weight in plain.parameters()), rel=0.002)


def test_depths_are_monais_but_for_the_shortcut() -> None:
    for name in ("resnet10", "resnet50"):
        monai = ResNetFeatures(name, pretrained=False, spatial_dims=2, in_channels=1).state_dict()
        assert {key: value.shape for key, value in monai.items()} == {
            key: value.shape for key, value in ResidualEncoder(name).state_dict().items()
        }


def test_the_atrous_centre_sees_at_four_distances_and_the_whole() -> None:
    centre = AtrousCentre(8, 12).eval()
    assert [(1, 1), (6, 6), (12, 12), (18, 18)] == [branch[0].dilation for branch in centre.branches]
    assert [(1, 1), (3, 3), (3, 3), (3, 3)] == [branch[0].kernel_size for branch in centre.branches]
    assert {12} == {branch[0].out_channels for branch in centre.branches}
    assert (5 * 12, 12) == (centre.joined[0].in_channels, centre.joined[0].out_channels)
    x = torch.zeros(1, 8, 64, 64, requires_grad=True)
    centre(x + torch.randn_like(x))[0, :, 32, 32].sum().backward()
    assert x.grad is not None
    rows = set(x.grad.abs().sum(dim=(0, 1, 3)).gt(x.grad.abs().sum(dim=(0, 1, 3)).median() * 5).nonzero().flatten().tolist())
    assert {32 + sign * rate for rate in (6, 12, 18) for sign in (-1, 1)} | {32} == rows


def test_recalibration_is_the_sum_of_channel_and_place() -> None:
    torch.manual_seed(1)
    one, x = Recalibration(6), torch.randn(2, 6, 4, 5)
    by_channel = torch.sigmoid(one.channel(x.mean((2, 3), keepdim=True)))
    by_place = torch.sigmoid(one.space(x))
    assert (2, 6, 1, 1) == by_channel.shape
    assert (2, 1, 4, 5) == by_place.shape
    torch.testing.assert_close(x * by_channel + x * by_place, one(x))


def test_recalibration_stands_at_both_ends_of_every_decoder_step() -> None:
    one = network(scse=True, decoder="plain")
    seen = []
    for name, module in one.named_modules():
        if isinstance(module, Recalibration) or name.endswith(("convs.0", "convs.5")):
            module.register_forward_hook(lambda _, inputs, __, name=name: seen.append((name, inputs[0].shape[1])))
    one(torch.zeros(2, 1, 32, 32))
    steps = [("recalibrate_in", "convs.0", "convs.5", "recalibrate_out")] * 5
    for step, parts in enumerate(steps):
        names = [name for name, _ in seen[4 * step : 4 * step + 4]]
        assert [f"{part}.{step}" if "recal" in part else f"decoder.blocks.{step}.{part}" for part in parts] == names


def test_hypercolumns_read_the_mask_from_every_decoder_step() -> None:
    one = network(hypercolumns=True).eval()
    assert sum(SMALL) == one.segmentation_head[0].in_channels
    with torch.no_grad():
        before = one(torch.ones(1, 1, 64, 64))[1]
        one.segmentation_head[0].weight[:, : SMALL[0]] += 1  # the columns of the deepest step alone
        assert not torch.equal(before, one(torch.ones(1, 1, 64, 64))[1])


def test_a_bundle_keeps_the_options_of_its_network(tmp_path: Path) -> None:
    settings = Network(backbone="resnet10", decoder_channels=SMALL, **ALL)
    one = build(settings)
    metadata = {
        "name": "t",
        "version": "1",
        "ptx": {
            "manufacturer": "t",
            "reads": "radiograph",
            "input_size": 64,
            "decision": {"class_threshold": 0.5, "pixel_threshold": 0.5, "min_pixels": 1},
        },
    }
    assert isinstance(one, PneumothoraxNet)
    bundle = save_bundle(tmp_path, network=one, metadata=metadata, arguments=joint_arguments(settings), card="")
    x = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(one.eval()(x)[1], bundle.network(x)[1], atol=0.02, rtol=0.02)
    inference = tmp_path / "configs" / "inference.json"
    for change, says in (
        ({"hooks": "os.system"}, "hooks"),
        ({"scse": "yes"}, "scse"),
        ({"centre": "other"}, "centre"),
        ({"backbone": "resnet9"}, "resnet9"),
    ):
        content = json.loads(inference.read_text())
        content["network_def"] |= change
        (tmp_path / "other").mkdir(exist_ok=True)
        original = inference.read_text()
        inference.write_text(json.dumps(content))
        with pytest.raises(ModelError, match=says):
            load_bundle(tmp_path)
        inference.write_text(original)


def test_all_options_together_export_to_onnx(tmp_path: Path) -> None:
    one = network(**ALL).eval()
    x = torch.randn(2, 1, 64, 64)
    torch.onnx.export(one, (x,), str(tmp_path / "n.onnx"), dynamo=True, verbose=False, input_names=["image"])
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = one(x)
    for want, found in zip(expected, session.run(None, {"image": x.numpy()}), strict=True):
        np.testing.assert_allclose(want.numpy(), found, atol=1e-3)


def torchvision_like(name: str) -> dict[str, torch.Tensor]:
    """A state of torchvision's names: three colours in, a classifier at the end."""
    torch.manual_seed(5)
    state = ResidualEncoder(name, in_channels=3).state_dict()
    state["conv1.weight"] = torch.randn_like(state["conv1.weight"])
    return state | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_encoder_weights_come_from_a_local_file(tmp_path: Path, suffix: str) -> None:
    state, path = torchvision_like("resnet18"), tmp_path / f"w{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    one = network(backbone="resnet18", encoder_weights=str(path))
    torch.testing.assert_close(state["conv1.weight"].sum(1, keepdim=True), one.encoder.conv1.weight.detach())
    torch.testing.assert_close(state["layer4.1.conv2.weight"], one.encoder.state_dict()["layer4.1.conv2.weight"])


def test_weights_of_another_depth_are_refused_with_key_and_shapes(tmp_path: Path) -> None:
    torch.save(torchvision_like("resnet50"), tmp_path / "w.pth")
    with pytest.raises(
        ConfigurationError, match=r"w\.pth: layer1\.0\.conv1\.weight has shape \(64, 64, 1, 1\), resnet34 needs \(64, 64, 3, 3\)"
    ):
        load_encoder(ResidualEncoder("resnet34"), tmp_path / "w.pth", "resnet34")
    torch.save({key: value for key, value in torchvision_like("resnet34").items() if "layer3.5" not in key}, tmp_path / "w.pth")
    with pytest.raises(ConfigurationError, match=r"layer3\.5\.conv1\.weight is missing"):
        load_encoder(ResidualEncoder("resnet34"), tmp_path / "w.pth", "resnet34")
    (tmp_path / "w.pth").write_bytes(b"no weights")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_encoder(ResidualEncoder("resnet34"), tmp_path / "w.pth", "resnet34")
    with pytest.raises(ConfigurationError, match=r"none\.pth.*cannot be read"):
        load_encoder(ResidualEncoder("resnet34"), tmp_path / "none.pth", "resnet34")


def test_a_run_begins_where_another_ended(tmp_path: Path) -> None:
    """Half precision, as a bundle holds it, is read too; another network's weights are refused by key and shapes."""
    torch.manual_seed(1)
    other = network(backbone="resnet10")
    save_file(
        {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in other.state_dict().items()},
        tmp_path / "w.safetensors",
    )
    one = network(backbone="resnet10", start=str(tmp_path / "w.safetensors"))
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
        assert tensor.dtype == other.state_dict()[name].dtype
    with pytest.raises(ConfigurationError, match=r"w\.safetensors: \S+ (is missing|has shape)"):
        network(backbone="resnet18", start=str(tmp_path / "w.safetensors"))


def test_an_unknown_depth_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match=r"resnet9.*resnet10"):
        network(backbone="resnet9")


@pytest.mark.parametrize(
    ("what", "still"), [("none", ""), ("early", "conv1 bn1 layer1 layer2"), ("encoder", "conv1 bn1 layer1 layer2 layer3 layer4")]
)
def test_frozen_layers_do_not_learn_and_the_others_do(what: str, still: str) -> None:
    one = network()
    freeze(one, "encoder")
    freeze(one, what)
    frozen = {name.split(".")[1] for name, weight in one.named_parameters() if not weight.requires_grad}
    assert set(still.split()) == frozen


def test_the_classifier_has_no_mask() -> None:
    logit, mask = network(kind="classifier")(torch.randn(3, 1, 64, 64))
    assert (3,) == logit.shape
    assert mask is None


@pytest.mark.parametrize(("patch", "edge"), [(2, 32), (4, 16), (8, 8), (16, 4)])
def test_clasegnet_answers_in_patches_when_it_learns_and_in_pixels_when_it_is_asked(patch: int, edge: int) -> None:
    one = network(kind="clasegnet", patch=patch)
    assert isinstance(one, ClaSegNet)
    assert (2, 1, edge, edge) == one.train()(torch.randn(2, 1, 64, 64))[1].shape
    assert (2, 1, 64, 64) == one.eval()(torch.randn(2, 1, 64, 64))[1].shape


def test_the_class_score_is_the_maps_and_ranks_where_probability_is_one() -> None:
    p = torch.tensor([[0.1, 0.2, 0.05, 0.3]], dtype=torch.float64)
    any_of = 1 - (1 - p).prod()
    patches = p.logit().view(1, 1, 2, 2)
    torch.testing.assert_close(any_of.logit()[None], class_logit(patches, "noisy_or"))
    torch.testing.assert_close(p.max().logit()[None], class_logit(patches, "max"))
    sure = class_logit(torch.stack([torch.full((1, 64, 64), level) for level in (1.0, 2.0, 3.0)]), "noisy_or")
    assert sure[0] < sure[1] < sure[2]


def test_clasegnet_learns_to_mark_a_bright_patch() -> None:
    torch.manual_seed(0)
    one = ClaSegNet("resnet10", SMALL, 8, "noisy_or").train()
    images, mask = torch.zeros(4, 1, 64, 64), torch.zeros(4, 1, 64, 64)
    for image, place in enumerate((8, 40)):
        mask[image, :, place : place + 16, place : place + 16] = 1
    images += 2 * mask
    truth = Truth(torch.tensor([1.0, 1.0, 0.0, 0.0]), mask, torch.tensor([True, True, True, True]))
    optimiser = torch.optim.Adam(one.parameters(), 3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        loss, _ = total_loss(*one(images), truth, Loss(mil=1))
        loss.backward()
        optimiser.step()
    logit, patches = one(images)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(mask, 8), (patches > 0).float())
    assert [True, True, False, False] == (logit > 0).tolist()
