"""The network: a residual encoder and a U-Net decoder as MONAI builds them, and a classification branch after the centre.

The decoder comes in two styles and takes three additions (atrous centre, hypercolumns, recalibration), all off in plain bundles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from monai.networks.nets.flexible_unet import SegmentationHead, UNetDecoder
from monai.networks.nets.resnet import ResNet, ResNetFeatures, resnet_params
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

Centre = Literal["none", "convolutions", "aspp"]
DecoderStyle = Literal["monai", "plain"]
DILATIONS = (6, 12, 18)
WIDTHS = (64, 128, 256, 512)


class ResidualEncoder(ResNetFeatures):
    """MONAI's ResNet features, with projection shortcuts at every depth.

    MONAI gives ResNet-18 and -34 shortcuts without weights that also cut the gradient; with projections the gradient flows, and
    torchvision's weights fit by name. The other depths are as in MONAI.

    Args:
        name: `resnet10` to `resnet200`.

    Raises:
        ValueError: no such depth.
    """

    def __init__(self, name: str, in_channels: int = 1) -> None:
        if name not in resnet_params:
            raise ValueError(f"backbone {name!r} (one of {', '.join(resnet_params)})")
        block, layers = resnet_params[name][:2]
        ResNet.__init__(  # not ResNetFeatures': it has no argument for the shortcut
            self,
            block=block,
            layers=layers,
            block_inplanes=list(WIDTHS),
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            shortcut_type="B",
            feed_forward=False,
            bias_downsample=False,
        )
        expansion = 4 if block == "bottleneck" else 1
        self.channels = (WIDTHS[0], *(expansion * width for width in WIDTHS))
        """Of the five outputs, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size."""


def plain_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Twice convolution 3 x 3, ReLU, batch norm: one layer of the plain decoder."""
    parts: list[nn.Module] = []
    for channels in (inputs, outputs):
        parts += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts)


class PlainLayer(nn.Module):
    """Up-sampling, and the convolutions after the concatenation: the two halves that `UpCat` has too."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.convs = plain_convolutions(inputs + skip, outputs)


class PlainDecoder(nn.Module):
    """Layers of the plain style, from the deepest."""

    def __init__(self, encoder_channels: Sequence[int], decoder_channels: Sequence[int]) -> None:
        super().__init__()
        inputs = (encoder_channels[-1], *decoder_channels[:-1])
        skips = (*reversed(encoder_channels[:-1]), 0)[: len(inputs)]
        self.blocks = nn.ModuleList(PlainLayer(*sizes) for sizes in zip(inputs, skips, decoder_channels, strict=True))


class AtrousCentre(nn.Module):
    """Atrous spatial pyramid pooling: 1 x 1, three dilated 3 x 3, the pooled picture; concatenated, then 1 x 1."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True))
            for convolution in (
                nn.Conv2d(inputs, filters, 1, bias=False),
                *(nn.Conv2d(inputs, filters, 3, padding=rate, dilation=rate, bias=False) for rate in DILATIONS),
            )
        )
        # Without batch norm: one value a channel and image has no spread in a batch of one.
        self.pooled = nn.Sequential(nn.Conv2d(inputs, filters, 1), nn.ReLU(inplace=True))
        self.joined = nn.Sequential(nn.Conv2d(filters * 5, filters, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(inplace=True))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The same height and width, `filters` channels."""
        pooled = self.pooled(x_BCHW.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, x_BCHW.shape[2], x_BCHW.shape[3])
        joined_BCHW: Tensor = self.joined(torch.cat([*(branch(x_BCHW) for branch in self.branches), pooled], dim=1))
        return joined_BCHW


class Recalibration(nn.Module):
    """Spatial and channel squeeze-and-excitation: the input weighted by place, plus the input weighted by channel."""

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.channel = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.ReLU(inplace=True), nn.Conv2d(inner, channels, 1))
        self.space = nn.Conv2d(channels, 1, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The same shape."""
        weight_BCHW: Tensor = self.channel(x_BCHW.mean(dim=(2, 3), keepdim=True)).sigmoid() + self.space(x_BCHW).sigmoid()
        return x_BCHW * weight_BCHW


class PneumothoraxNet(nn.Module):
    """Joint probability and mask: one logit an image, one logit a pixel.

    Args:
        backbone: depth of the residual encoder, such as `resnet34`.
        decoder_channels: output channels of the decoder steps, from the deepest: five, each doubling the size; or four, and the mask's
            last doubling is a sub-pixel convolution (four logits a place, shuffled), which spares the costliest step.
        dropout: before the classification layer; matters in training only.
        centre: what stands between encoder and decoder: nothing, two convolutions, or atrous spatial pyramid pooling.
        centre_filters: channels of the centre, where there is one.
        hypercolumns: the mask is read from all decoder outputs, brought to full size, instead of from the last alone.
        scse: spatial and channel recalibration before the first and after the last convolution of every decoder step.
        decoder: `monai`: convolution, batch norm, ReLU after a halving 1 x 1; `plain`: convolution, ReLU, batch norm.

    Raises:
        ValueError: an option that there is not.
    """

    def __init__(
        self,
        backbone: str,
        decoder_channels: Sequence[int],
        dropout: float = 0.2,
        *,
        centre: Centre = "none",
        centre_filters: int = 256,
        hypercolumns: bool = False,
        scse: bool = False,
        decoder: DecoderStyle = "monai",
    ) -> None:
        super().__init__()
        shuffled, doubled = (len(decoder_channels) == len(WIDTHS) + more for more in (0, 1))
        if centre not in get_args(Centre) or decoder not in get_args(DecoderStyle) or not (shuffled or doubled):
            raise ValueError(f"centre {centre!r}, decoder {decoder!r} or four or five decoder_channels {tuple(decoder_channels)}")
        self.encoder = ResidualEncoder(backbone)
        self.hypercolumns = hypercolumns
        channels = (*self.encoder.channels[:-1], self.encoder.channels[-1] if centre == "none" else centre_filters)
        self.decoder = _decoder(decoder, channels, tuple(decoder_channels))
        head = sum(decoder_channels) if hypercolumns else decoder_channels[-1]
        self.segmentation_head = SegmentationHead(spatial_dims=2, in_channels=head, out_channels=4 if shuffled else 1)
        self.to_full_size: nn.Module = nn.PixelShuffle(2) if shuffled else nn.Identity()
        self.classification_head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * channels[-1], 1))
        self.centre: nn.Module = nn.Identity()
        if centre != "none":
            make = AtrousCentre if centre == "aspp" else plain_convolutions
            self.centre = make(self.encoder.channels[-1], centre_filters)
        entering, leaving = _recalibrated(channels, decoder_channels, monai=decoder == "monai") if scse else ((), ())
        self.recalibrate_in = nn.ModuleList(Recalibration(count) for count in entering)
        self.recalibrate_out = nn.ModuleList(Recalibration(count) for count in leaving)

    def forward(self, image_B1HW: Tensor) -> tuple[Tensor, Tensor]:
        """(class logits of shape B, mask logits of shape B1HW); height and width are multiples of 32."""
        return self.answer(self.encoder(image_B1HW))

    def answer(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What `forward` gives, from the encoder's outputs."""
        deepest = self.centre(features[-1])
        pooled = torch.cat([deepest.mean(dim=(2, 3)), deepest.amax(dim=(2, 3))], dim=1)
        class_logit_B = self.classification_head(pooled).squeeze(1)
        mask_logits_B1HW = self.to_full_size(self.segmentation_head(self._decode(deepest, features[-2::-1])))
        return class_logit_B, mask_logits_B1HW

    def _decode(self, x_BCHW: Tensor, skips: Sequence[Tensor]) -> Tensor:
        outputs = []
        for step, block in enumerate(self.decoder.blocks):  # type: ignore[arg-type]  # a ModuleList of either style
            x_BCHW = block.upsample(x_BCHW)
            if step < len(skips):
                x_BCHW = torch.cat([skips[step], x_BCHW], dim=1)
            if len(self.recalibrate_in):
                x_BCHW = self.recalibrate_in[step](x_BCHW)
            x_BCHW = block.convs(x_BCHW)
            if len(self.recalibrate_out):
                x_BCHW = self.recalibrate_out[step](x_BCHW)
            outputs.append(x_BCHW)
        if not self.hypercolumns:
            return x_BCHW
        size = outputs[-1].shape[2:]
        larger = [functional.interpolate(one, size=size, mode="bilinear", align_corners=False) for one in outputs[:-1]]
        return torch.cat([*larger, outputs[-1]], dim=1)


def _decoder(style: DecoderStyle, encoder_channels: tuple[int, ...], decoder_channels: tuple[int, ...]) -> nn.Module:
    if style == "plain":
        return PlainDecoder(encoder_channels, decoder_channels)
    decoder = UNetDecoder(
        spatial_dims=2,
        encoder_channels=(1, *encoder_channels),
        decoder_channels=(*decoder_channels, decoder_channels[-1])[: len(encoder_channels)],  # MONAI builds five
        act=("relu", {"inplace": True}),
        norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
        dropout=0.0,
        bias=False,
        upsample="nontrainable",
        pre_conv="default",
        interp_mode="nearest",
        align_corners=None,
        is_pad=True,
    )
    decoder.blocks = decoder.blocks[: len(decoder_channels)]
    return decoder


def _recalibrated(encoder_channels: Sequence[int], decoder_channels: Sequence[int], *, monai: bool) -> tuple[list[int], list[int]]:
    """Channels that enter and that leave the convolutions of every decoder step."""
    inputs = (encoder_channels[-1], *decoder_channels[:-1])
    skips = (*reversed(encoder_channels[:-1]), 0)[: len(inputs)]
    entering = [(count // 2 if monai and skip else count) + skip for count, skip in zip(inputs, skips, strict=True)]
    return entering, list(decoder_channels)
