"""Every knob of a run, declared once with its help text; frozen, read from one TOML file and `--set key=value`.

An unknown key is an error that names file and key. A run folder keeps the settings that it was made with as `config.toml`.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ptx_node.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIGS = Path(__file__).parent / "configs"
"""The files that ship: one a founding document, and ours for radiographs and CT."""


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Data(Section):
    """Which images, how large, how often."""

    size: int = Field(256, ge=32, multiple_of=32, description="edge of the network's square input, pixels")
    stored: int = Field(0, ge=0, description="edge at which images are kept; above `size` it leaves room to zoom in; 0: as `size`")
    answer: int = Field(
        0, ge=0, multiple_of=32, description="edge at which the whole picture is answered; 0: as `size`, else a crop learns"
    )
    positive_rate: tuple[float, float] | None = Field(
        None, description="share of positives in a batch at the start and at the end of training; without it every image once an epoch"
    )
    balanced: bool = Field(default=False, description="as many negatives as positives in each part, drawn once by the seed")
    train_images: int = Field(0, ge=0, description="at most so many images to train on; 0: all")
    validation_images: int = Field(0, ge=0, description="at most so many images to validate on; 0: all")
    epoch_images: int = Field(0, ge=0, description="images that count as one epoch; 0: as many as there are to train on")
    handling: dict[str, Any] = Field(default_factory=dict, description="pixel handling when files are read: training.prepared.Handling")

    @property
    def kept(self) -> int:
        """Edge at which images are kept."""
        return self.stored or self.answered

    @property
    def answered(self) -> int:
        """Edge of the whole picture when it is answered, in validation and in the node."""
        return self.answer or self.size


class Network(Section):
    """Which network."""

    kind: Literal["joint", "classifier", "clasegnet"] = Field("joint", description="mask and class; class alone; patches and class")
    backbone: str = Field("resnet34", description="residual encoder: resnet10, 18, 34, 50, 101, 152, 200")
    decoder_channels: tuple[int, ...] = Field(
        (256, 128, 64, 32, 16), min_length=4, max_length=5, description="of the decoder steps; four: the last is sub-pixel"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="before the classification layer")
    centre: Literal["none", "convolutions", "aspp"] = Field("none", description="between encoder and decoder")
    centre_filters: int = Field(256, ge=1, description="channels of the centre, and of each branch of ASPP")
    hypercolumns: bool = Field(default=False, description="the mask is read from all decoder outputs")
    scse: bool = Field(default=False, description="spatial and channel squeeze-and-excitation in every decoder step")
    decoder: Literal["monai", "plain"] = Field("monai", description="monai: conv, norm, ReLU; plain: twice conv, ReLU, batch norm")
    patch: Literal[2, 4, 8, 16] = Field(8, description="ClaSegNet: edge of a patch in input pixels")
    score: Literal["noisy_or", "max"] = Field("noisy_or", description="ClaSegNet: how the class score comes from the map")
    encoder_weights: str = Field("", description="local file of encoder weights, torchvision's names, .pth or .safetensors; empty: none")
    start: str = Field("", description="weights that a run of the same network ended with, or a bundle's, to begin with; empty: random")


class Loss(Section):
    """Weights of the terms that are added up; 0 leaves a term out."""

    bce: float = Field(0.0, ge=0, description="binary cross-entropy of pixels")
    dice: float = Field(0.0, ge=0, description="soft Dice over the batch")
    lovasz: float = Field(0.0, ge=0, description="Lovasz hinge, each image for itself")
    jaccard: float = Field(0.0, ge=0, description="soft Jaccard over the batch")
    image: float = Field(0.0, ge=0, description="binary cross-entropy of the image's class")
    cross_entropy: float = Field(0.0, ge=0, description="cross-entropy of the softmax over two classes")
    mil: float = Field(0.0, ge=0, description="ClaSegNet's multiple-instance likelihood")

    @property
    def classes(self) -> bool:
        """Whether the class answer is trained at all."""
        return bool(self.image or self.cross_entropy or self.mil)


class Stage(Section):
    """One part of training with its own learning rate and frozen layers."""

    epochs: float = Field(gt=0, description="length; under --minutes the stages share the time in this proportion")
    rate_from: float = Field(gt=0, description="learning rate at its start")
    rate_to: float = Field(ge=0, description="learning rate at its end, on a cosine")
    warm_up: int = Field(0, ge=0, description="steps over which the rate rises linearly at its start")
    frozen: Literal["none", "early", "encoder"] = Field("none", description="what is not trained: nothing, up to layer2, the encoder")


class Optimiser(Section):
    """How weights move."""

    name: Literal["adam", "adamw", "radam"] = Field("adamw", description="the method")
    batch: int = Field(16, ge=2, description="images a step")
    weight_decay: float = Field(0.0, ge=0, description="decoupled, except for Adam")
    clip: float = Field(0.0, ge=0, description="largest norm of the gradient; 0: not clipped")
    ema: float = Field(0.0, ge=0, lt=1, description="share that the averaged weights keep at each step; 0: no average")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="auto: bfloat16 where the device has instructions for it")
    compile: bool = Field(default=False, description="torch.compile")


class Augment(Section):
    """How far a picture may be changed; 0 leaves a change out. Radiographs are 0 black to 1 white before normalisation."""

    flip: float = Field(0.0, ge=0, le=1, description="odds of a horizontal flip")
    rotation_deg: float = Field(0.0, ge=0, description="largest turn either way")
    zoom: tuple[float, float] = Field((1.0, 1.0), description="magnification from, to")
    stretch: float = Field(0.0, ge=0, lt=1, description="largest change of the aspect")
    shift: float = Field(0.0, ge=0, le=1, description="largest shift, as a share of the edge")
    whole_pixels: bool = Field(
        default=False,
        description="shifts by whole pixels: without turn, stretch and warp, and at a zoom of stored / size, none is interpolated",
    )
    warp: float = Field(0.0, ge=0, lt=1, description="symmetric warp: largest shift of a corner, as a share of half the edge")
    brightness: float = Field(0.0, ge=0, description="largest change of the mean level")
    contrast: float = Field(0.0, ge=0, description="largest change of log contrast")
    gamma: float = Field(0.0, ge=0, description="largest change of log gamma")
    curve: float = Field(0.0, ge=0, description="bend of a random S-shaped display curve")
    detail: float = Field(0.0, ge=0, description="edge enhancement or smoothing, as other vendors' processing does")
    compression: float = Field(0.0, ge=0, le=1, description="how much of the large-scale contrast may be taken away")
    noise: float = Field(0.0, ge=0, description="largest standard deviation of noise")
    blur: float = Field(0.0, ge=0, le=1, description="odds of a blur")
    jpeg: float = Field(0.0, ge=0, le=1, description="odds of JPEG artefacts, quality 25 to 90")
    collimation: float = Field(0.0, ge=0, le=1, description="odds of dark borders")
    crop: float = Field(0.0, ge=0, le=0.5, description="largest part of an edge that is cut from the picture itself")
    text: float = Field(0.0, ge=0, le=1, description="odds of burned-in text")
    hu_shift: float = Field(0.0, ge=0, description="CT: largest shift of all values, HU")
    hu_noise: float = Field(0.0, ge=0, description="CT: largest standard deviation of noise, HU")


class Keep(Section):
    """When to validate, stop and save."""

    best: Literal["loss", "auc", "dice", "auc_dice"] = Field("auc_dice", description="which validation figure decides what is kept")
    patience: int = Field(0, ge=0, description="stop after so many epochs without a better figure; 0: never")
    checkpoint_minutes: float = Field(5.0, gt=0, description="longest time between two checkpoints")
    checkpoint_steps: int = Field(0, ge=0, description="also every so many steps; 0: by time and epoch alone")
    bad_steps: int = Field(10, ge=1, description="give up after so many steps in a row whose loss is not finite")


class Settings(Section):
    """One run."""

    name: str = Field(description="of the recipe")
    document: str = Field("", description="what it repeats, for people")
    reads: Literal["radiograph", "ct"] = Field("radiograph", description="radiographs, or axial CT slices")
    seed: int = Field(1, ge=0, description="of weights, order and augmentation")
    data: Data = Field(default_factory=Data)
    network: Network = Field(default_factory=Network)
    loss: Loss
    stages: tuple[Stage, ...] = Field(min_length=1)
    optimiser: Optimiser = Field(default_factory=Optimiser)
    augment: Augment = Field(default_factory=Augment)
    keep: Keep = Field(default_factory=Keep)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        pixels = self.loss.bce + self.loss.dice + self.loss.lovasz + self.loss.jaccard
        if not pixels and not self.loss.classes:
            raise ValueError("loss: every weight is 0, nothing would be trained")
        if self.network.kind == "classifier" and (pixels or self.loss.mil):
            raise ValueError("loss: a classifier has no mask; use image or cross_entropy")
        if (self.network.kind == "clasegnet") != bool(self.loss.mil):
            raise ValueError("loss.mil belongs to network.kind clasegnet, and the other way round")
        if self.data.kept < max(self.data.size, self.data.answered):
            raise ValueError("data.stored is smaller than data.size or data.answer")
        return self

    def to_toml(self) -> str:
        """As a file that `load_settings` reads back to the same settings."""
        return _toml(self.model_dump(mode="json"))


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a file and apply overrides.

    Args:
        path: a TOML file; a bare name such as `joint` is one of those that ship.
        overrides: each `key=value`, such as `network.backbone=resnet18` or `stages.0.epochs=2`.

    Raises:
        ConfigurationError: not readable, not TOML, an unknown key or a wrong value; names file and key.
    """
    if not path.suffix and not path.exists():
        path = CONFIGS / f"{path.name}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        known = ", ".join(sorted(one.stem for one in CONFIGS.glob("*.toml")))
        raise ConfigurationError(f"{path}: {error}. Give a TOML file, or one of: {known}") from error
    for override in overrides:
        _apply(content, override)
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_explain(path, one) for one in error.errors())) from error


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigurationError(f"--set {override}: write key=value, such as network.backbone=resnet18")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is text
    *tables, last = key.split(".")
    place: Any = content
    try:
        for name in tables:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = value
    except (IndexError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"--set {override}: there is no {key}") from error


def _explain(path: Path, error: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "as a whole"
    if error["type"] != "extra_forbidden":
        return f"{path}: {key}: {error['msg']}"
    section: Any = Settings
    for part in error["loc"][:-1]:
        if isinstance(part, str):
            section = Stage if part == "stages" else section.model_fields[part].annotation
    near = difflib.get_close_matches(str(error["loc"][-1]), section.model_fields, n=1)
    return f"{path}: {key} is not a setting" + (f"; did you mean {near[0]}?" if near else f" (there are {', '.join(section.model_fields)})")


def _toml(content: Mapping[str, Any], prefix: str = "") -> str:
    """Scalars first, then tables; None is left out, as it is the default wherever it is allowed."""
    lines = [f"{key} = {_value(value)}" for key, value in content.items() if value is not None and not _is_table(value)]
    for key, value in content.items():
        if isinstance(value, dict):
            lines += ["", f"[{prefix}{key}]", _toml(value, f"{prefix}{key}.")]
        elif _is_table(value):
            for one in value:
                lines += ["", f"[[{prefix}{key}]]", _toml(one, f"{prefix}{key}.")]
    return "\n".join(lines).rstrip() + ("\n" if not prefix else "")


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # of text, numbers, booleans and lists TOML and JSON agree
