"""Which models a site has, and what they ask of an image, without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ptx_node
from ptx_node.dicom.attributes import known_keywords
from ptx_node.domain.rule_check import Problem, Site, check_rules
from ptx_node.errors import ModelError
from ptx_node.log import get
from ptx_node.model.metadata import METADATA, describe, verified_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ptx_node.domain.eligibility import Requirements
    from ptx_node.settings import Settings

SHIPPED = Path(ptx_node.__file__).parent / "model" / "bundles"

log = get(__name__)


@dataclass(frozen=True, slots=True)
class KnownModels:
    """What routing needs of the models: their requirements, and the Device UIDs by which own results are known."""

    requirements: Mapping[str, Requirements]
    device_uids: frozenset[str]


def bundle_folders(settings: Settings) -> dict[str, Path]:
    """Model name -> bundle folder: those of `[models]`, else those that ship with the node."""
    if settings.models:
        base = settings.config_file.parent if settings.config_file else Path.cwd()
        return {name: base / folder for name, folder in settings.models.items()}
    return {path.parents[1].name: path.parents[1] for path in sorted(SHIPPED.glob(f"*/{METADATA}"))}


def bundle_folder(settings: Settings, name: str) -> Path:
    """The folder of one model.

    Raises:
        ModelError: this node does not have it.
    """
    folders = bundle_folders(settings)
    if name not in folders:
        raise ModelError(f"this node has no model {name!r}; it has: {', '.join(folders) or 'none'}. Name its folder in [models]")
    return folders[name]


def known_models(settings: Settings) -> KnownModels:
    """Requirements and Device UIDs of every model whose metadata can be read; the others are logged."""
    described = {}
    for name, folder in bundle_folders(settings).items():
        try:
            described[name] = describe(folder)
        except ModelError as error:
            log.exception("model cannot be used", model=name, error=str(error))
    return KnownModels(
        {name: one.requirements for name, one in described.items()}, frozenset(one.identity.device_uid for one in described.values())
    )


def describe_models(settings: Settings) -> list[dict[str, Any]]:
    """One row a model for `ptx models`: identity, decision rule, and the problem where there is one."""
    return [_row(name, folder) for name, folder in bundle_folders(settings).items()]


def _row(name: str, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "folder": str(folder), "intact": False, "problem": None}
    try:
        one = describe(folder)
        row |= {
            "version": one.identity.version,
            "manufacturer": one.identity.manufacturer,
            "reads": one.reads,
            "threshold": one.decision.class_threshold,
            "pixel_threshold": one.decision.pixel_threshold,
            "min_pixels": one.decision.min_pixels,
            "input_size": one.input_size,
            "min_age_years": one.requirements.min_age_years,
            "weights": one.identity.weights_sha256[:12],
            "weights_sha256": one.identity.weights_sha256,
            "device_uid": one.identity.device_uid,
        }
        verified_weights(folder, one)
    except ModelError as error:
        return row | {"problem": str(error)}
    return row | {"intact": True}


def problems_of_rules(settings: Settings) -> tuple[Problem, ...]:
    """What `ptx rules check` finds in the site's rules."""
    return check_rules(settings.rules, site_of_rules(settings, known_models(settings).requirements.keys()))


def site_of_rules(settings: Settings, models: Collection[str]) -> Site:
    """What the site's rules may name."""
    return Site(known_keywords(), models, {one.name: frozenset(one.kinds) for one in settings.destinations})
