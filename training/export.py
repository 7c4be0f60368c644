"""`python -m training export`: a judged run as a MONAI Bundle that the node loads. Refuses what was not judged with these very weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptx_node.errors import UsageError
from ptx_node.model.bundle import NETWORK, PATCH_NETWORK, decision_metadata, half_weights, save_bundle
from training.checkpoint import LOG
from training.datasets import NODE, Handling
from training.evaluate.models import EVALUATION, MANUFACTURER, read_decision, round_to_half
from training.model_card import card, log_lines, simulated
from training.networks.build import joint_arguments, load_run
from training.report import ENVIRONMENT

if TYPE_CHECKING:
    import argparse

    from ptx_node.model.bundle import Bundle
    from ptx_node.model.metadata import Decision
    from training.settings import Network, Settings

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20220324.json"
TRAINING_LOG = "docs/training-log.jsonl"
LARGEST_BYTES = 50_000_000
"""Of the weights of a bundle that is to be kept in the repository."""
MIN_AGE_YEARS = 15
"""Simulated patients are 16 to 95: a known child is refused."""
SMALLEST_EDGE = 256
PACKAGES = ("safetensors",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training export`."""
    parser.add_argument("--run", type=Path, required=True, help="folder of a training run with its decision.json")
    parser.add_argument("--evaluation", type=Path, help="folder that evaluate wrote; default: evaluation, in the run's folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--name", required=True, help="of the model, as the node and its results name it")
    parser.add_argument("--model-version", required=True, help="of the model, such as 1.0.0")
    parser.add_argument("--min-age", type=float, default=MIN_AGE_YEARS, help="patients known to be younger are refused, years")


def run(chosen: argparse.Namespace) -> int:
    """Write the bundle and load it again."""
    bundle = export(
        chosen.run,
        chosen.out,
        name=chosen.name,
        model_version=chosen.model_version,
        evaluation=chosen.evaluation or chosen.run / "evaluation",
        min_age_years=chosen.min_age,
    )
    size = sum(path.stat().st_size for path in chosen.out.rglob("*") if path.is_file())
    print(f"{chosen.out}: {bundle.identity.name} {bundle.identity.version}, {size / 1e6:.1f} MB, weights {bundle.identity.weights_sha256}")
    if size > LARGEST_BYTES:
        print(f"larger than the {LARGEST_BYTES / 1e6:.0f} MB that the repository takes: train a smaller encoder to ship it")
    return 0


def export(run_folder: Path, out: Path, *, name: str, model_version: str, evaluation: Path, min_age_years: float = MIN_AGE_YEARS) -> Bundle:
    """Write a run as a bundle with its card, its log and its evaluation, and load it again.

    Raises:
        UsageError: the run cannot be a bundle, or it was not evaluated with these weights and this rule.
        ConfigurationError: the run folder holds no finished epoch.
    """
    settings, network = load_run(run_folder)
    target, arguments = _network(settings.network)
    if replace(Handling.of(settings.data.handling), bits=NODE.bits) != NODE:
        raise UsageError(
            f"{run_folder}: trained on pixels handled as {settings.data.handling}, which the node does not do. Train without it"
        )
    weights_sha256 = round_to_half(network)
    decision = read_decision(run_folder, weights_sha256)
    if decision is None:
        raise UsageError(f"{run_folder} has no decision rule for its weights: run `python -m training evaluate --run …` first")
    judged = _judged(evaluation / "metrics.json", weights_sha256, decision)
    environment = _json(run_folder / ENVIRONMENT)
    metadata = _metadata(settings, decision, judged, simulated_only=simulated(judged, environment))
    metadata |= {"name": name, "version": model_version, "changelog": {model_version: f"recipe {settings.name}"}}
    metadata["ptx"] |= {"requirements": {**metadata["ptx"]["requirements"], "min_age_years": min_age_years}}
    complete = {**metadata, "ptx": {**metadata["ptx"], "weights_sha256": hashlib.sha256(half_weights(network)).hexdigest()}}
    text = card(name, settings, complete, judged, environment)
    bundle = save_bundle(out, network=network, metadata=metadata, arguments=arguments, card=text, target=target)
    log = run_folder / LOG
    (out / TRAINING_LOG).write_text(log_lines(log.read_text("utf-8")) if log.is_file() else "", "utf-8")
    (out / EVALUATION).write_text(json.dumps(judged, indent=1) + "\n", "utf-8")
    return bundle


def _network(settings: Network) -> tuple[str, dict[str, Any]]:
    """Class and arguments as the bundle states them.

    Raises:
        UsageError: a classifier, which draws no mask.
    """
    if settings.kind == "joint":
        return NETWORK, joint_arguments(settings)
    if settings.kind == "clasegnet":
        arguments = {"backbone": settings.backbone, "decoder_channels": list(settings.decoder_channels)}
        return PATCH_NETWORK, arguments | {"patch": settings.patch, "score": settings.score}
    raise UsageError(
        "a classifier draws no mask, and the node answers every positive with one: segmentation, side and area come from it. "
        "Judge it with `python -m training evaluate`; to ship a model train network.kind joint or clasegnet"
    )


def _judged(path: Path, weights_sha256: str, decision: Decision) -> dict[str, Any]:
    """The evaluation, which must be of these weights under this rule.

    Raises:
        UsageError: missing, or of others.
    """
    content = dict(_json(path))
    about = content["about"]
    if about["weights_sha256"] != weights_sha256 or about["decision"] != decision_metadata(decision):
        raise UsageError(
            f"{path} judges other weights or another decision rule than the run has now: run `python -m training evaluate` again"
        )
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Run `python -m training train` and `evaluate` first") from error


def _metadata(settings: Settings, decision: Decision, judged: dict[str, Any], *, simulated_only: bool) -> dict[str, Any]:
    """In MONAI's words, our part under `ptx`."""
    what = "frontal chest radiographs" if settings.reads == "radiograph" else "axial chest CT"
    data = "SIMULATED patients only (ptx_node.simulator)" if simulated_only else "see docs/README.md"
    edge = min(SMALLEST_EDGE, settings.data.answered)
    return {
        "schema": SCHEMA,
        "monai_version": version("monai"),
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {name: version(name) for name in PACKAGES},
        "task": f"Pneumothorax: probability and mask on {what}",
        "description": f"{'Trained on simulated patients only. ' if simulated_only else ''}Research software. Not for clinical use.",
        "authors": "ptx-node contributors",
        "copyright": "Apache-2.0",
        "data_source": data,
        "data_type": "simulated" if simulated_only else "dicom",
        "intended_use": "Research and trying the node. Not for clinical use.",
        "eval_metrics": _eval_metrics(judged),
        "network_data_format": _formats(settings),
        "ptx": {
            "manufacturer": MANUFACTURER,
            "reads": settings.reads,
            "input_size": settings.data.answered,
            "decision": decision_metadata(decision),
            "requirements": {"min_rows": edge, "min_columns": edge},
            "simulated": simulated_only,
        },
    }


def _eval_metrics(judged: dict[str, Any]) -> dict[str, Any]:
    found = judged["figures"]["all"]
    values = {
        "cases": found["cases"],
        "positives": found["positives"],
        "auc": found["discrimination"]["auc"]["value"],
        "sensitivity": found["rule"]["sensitivity"]["value"],
        "specificity": found["rule"]["specificity"]["value"],
        "dice_of_positives": found["masks"].get("dice_of_positives", {}).get("value"),
        "dice_on_slices_with_air": found["volume"].get("dice_on_slices_with_air", {}).get("value"),
        "median_volume_error": found["volume"].get("median_volume_error", {}).get("value"),
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items() if value is not None}


def _formats(settings: Settings) -> dict[str, Any]:
    """Inputs and outputs of the network."""
    cxr, shape = settings.reads == "radiograph", [settings.data.answered] * 2
    square = {"type": "image", "num_channels": 1, "spatial_shape": shape, "dtype": "float32", "is_patch_data": False}
    image = {"format": "magnitude" if cxr else "hounsfield", "modality": "CR" if cxr else "CT", "value_range": [-5, 5] if cxr else [-1, 1]}
    return {
        "inputs": {"image": {**square, **image, "channel_def": {"0": "image"}}},
        "outputs": {
            "class_logit": {"type": "probabilities", "format": "logit", "num_channels": 1},
            "mask_logits": {**square, "format": "segmentation", "value_range": [], "channel_def": {"0": "pneumothorax logit"}},
        },
    }
