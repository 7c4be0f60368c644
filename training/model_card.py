"""The model card of a bundle, written from what the run and its evaluation left; no figure in it is typed by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from training.evaluate.report import interval, lines, number, of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.settings import Settings

WHAT = {"radiograph": "frontal chest radiographs", "ct": "axial chest CT series, slice by slice"}
VERDICTS = {"reached": "reached", "NOT reached": "**not reached**", "not measured": "not measured"}


def card(name: str, settings: Settings, metadata: Mapping[str, Any], evaluation: Mapping[str, Any], environment: Sequence[Any]) -> str:
    """The whole card, Markdown.

    Args:
        name: of the bundle.
        settings: of the run.
        metadata: of the bundle, with the hash of the weights.
        evaluation: content of `metrics.json`.
        environment: content of `environment.json`: one entry a start of the run.
    """
    parts = [
        _head(name, settings, evaluation),
        _model(settings, metadata),
        _data(evaluation, environment),
        _training(settings, evaluation, environment),
        _figures(evaluation),
        _subgroups(evaluation),
        _limits(settings, evaluation),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def simulated(evaluation: Mapping[str, Any], environment: Sequence[Mapping[str, Any]]) -> bool:
    """Whether neither training nor evaluation saw a picture of a person."""
    return evaluation["simulated"] == "all" and all(one.get("simulated") is True for one in environment)


def _head(name: str, settings: Settings, evaluation: Mapping[str, Any]) -> str:
    said = {
        "all": "**SIMULATED DATA ONLY. Research software. Not for clinical use.**",
        "some": "**Partly SIMULATED data. Research software. Not for clinical use.**",
        "none": "**Research software. Not for clinical use.**",
    }[evaluation["simulated"]]
    return f"# {name}\n\n{said}\n\nPneumothorax on {WHAT[settings.reads]}: a probability and a mask."


def _model(settings: Settings, metadata: Mapping[str, Any]) -> str:
    ours, rule = metadata["ptx"], metadata["ptx"]["decision"]
    network = settings.network
    extras = [text for on, text in ((network.centre != "none", f"centre {network.centre}"), (network.hypercolumns, "hypercolumns")) if on]
    extras += ["scSE"] if network.scse else []
    asked = "the image's probability" if rule["class_from"] == "image" else "the 32nd largest probability of a pixel"
    if settings.reads == "ct":
        asked = f"largest running mean over {rule['smooth_mm']:g} mm of {asked.replace('image', 'slice')}"
    decoder = ", ".join([*map(str, network.decoder_channels), *extras])
    return f"""## What it is
Network: {network.kind}, encoder {network.backbone}, decoder {decoder};
input {ours["input_size"]} x {ours["input_size"]}. Weights in half precision, safetensors, SHA-256 `{ours["weights_sha256"]}`.

Decision rule, chosen on validation patients: positive if {asked} is at least {rule["class_threshold"]:.4g}. Mask: pixels above
{rule["pixel_threshold"]:g}, without connected regions under {rule["min_pixels"]} pixels of the network's grid.
Patients known to be under {ours["requirements"]["min_age_years"]} years are refused."""


def _data(evaluation: Mapping[str, Any], environment: Sequence[Mapping[str, Any]]) -> str:
    about, last = evaluation["about"], environment[-1] if environment else {}
    images, patients = last.get("images", {}), last.get("patients", {})
    trained = (
        f"{images.get('train', '?')} images of {patients.get('train', '?')} patients, {last.get('positives', '?')} images positive; "
        f"validation {images.get('validation', '?')} images of {patients.get('validation', '?')} patients"
    )
    split, own = about["split"], last.get("split") or {}
    if own and own != split:
        divided = f"trained under {_split(own)}; the rule chosen, and the model judged, under {_split(split)}"
    else:
        divided = _split(split)
    whose = "Every one of them is a SIMULATED patient (`ptx_node.simulator`). " if simulated(evaluation, environment) else ""
    return f"""## Data
Trained on {trained}. {whose}Sites: {", ".join(about["trained_sites"]) or "not stated"}.
Divided by patient: {divided}.
Evaluated on: {"; ".join(about["data"])}."""


def _split(told: Mapping[str, str]) -> str:
    return f"split {told.get('name', 'not stated')}, SHA-256 `{told.get('digest', '-')}`"


def _training(settings: Settings, evaluation: Mapping[str, Any], environment: Sequence[Mapping[str, Any]]) -> str:
    starts = [
        f"- revision `{one.get('git_revision') or 'unknown'}`{' with local changes' if one.get('git_changed_files') else ''}, "
        f"{one.get('device', '?')}, {one.get('precision', '?')}, torch {one.get('packages', {}).get('torch', '?')}"
        + (f": `{one['command']}`" if one.get("command") else "")
        for one in environment
    ]
    document = f" ({settings.document})" if settings.document else ""
    return f"""## Training
Recipe {settings.name}{document}; configuration below, log in `training-log.jsonl` beside this card. Starts of the run:

{chr(10).join(starts)}

Evaluation: `{evaluation["about"]["command"]}`, revision `{evaluation["software"]["revision"]}`.

```toml
{settings.to_toml().strip()}
```"""


def _figures(evaluation: Mapping[str, Any]) -> str:
    said = "SIMULATED patients" if evaluation["simulated"] == "all" else "patients"
    text = [
        f"## Figures, on {said} that neither training nor the rule saw",
        "",
        "| asked | cases | found | limit | |",
        "|---|---|---|---|---|",
    ]
    for one in evaluation["must_reach"]:
        limit = f"{'at most' if one['at_most'] else 'at least'} {one['limit']:g}"
        text.append(f"| {one['what']} | {one['cases']} | {number(one['value'])} | {limit} | {VERDICTS[one['verdict']]} |")
    for name, found in evaluation["figures"].items():
        counts = f"{found['cases']} cases of {found['patients']} patients, {found['positives']} with pneumothorax"
        text += [
            "",
            f"### {'All cases' if name == 'all' else name.capitalize()}: {counts}",
            "",
            "| | value | 95 % | of |",
            "|---|---|---|---|",
        ]
        text += [f"| {label} | {number(one['value'])} | {interval(one)} | {of(one)} |" for label, one in lines(found)]
        calibration = found["calibration"]
        shown = [f"{label} {number(calibration[key])}" for label, key in (("Brier score", "brier"), ("slope", "slope"))]
        text += ["", f"Calibration: {', '.join(shown)}, expected error {number(calibration['expected_calibration_error'])}."]
    return "\n".join(text)


def _subgroups(evaluation: Mapping[str, Any]) -> str:
    ct = evaluation["about"]["reads"] == "ct"
    last = "volume error, median" if ct else "Dice of positives"
    text = ["## By subgroup", "", f"| | with / without | AUC | sensitivity | specificity | {last} |", "|---|---|---|---|---|---|"]
    for what, cells in evaluation["subgroups"].items():
        for name, cell in cells.items():
            figures = (cell["auc"], cell["sensitivity"], cell["specificity"], cell["median_volume_error" if ct else "dice_of_positives"])
            values = " | ".join(_with_interval(one) for one in figures)
            text.append(f"| {what}: {name}{' (few)' if cell['small'] else ''} | {cell['positives']} / {cell['negatives']} | {values} |")
    return "\n".join([*text, "", "Few: under 20 with or without pneumothorax. A size stands against all cases without pneumothorax."])


def _with_interval(one: Mapping[str, Any] | None) -> str:
    if not one or one["value"] is None:
        return "-"
    limits = interval(one).replace(" to ", "-")
    return number(one["value"]) + (f" ({limits})" if limits else "")


def _limits(settings: Settings, evaluation: Mapping[str, Any]) -> str:
    missed = [one["what"] for one in evaluation["must_reach"] if one["verdict"] == "NOT reached"]
    text = ["## Limits"]
    if evaluation["simulated"] == "all":
        text.append(
            "It was trained and judged on pictures of the project's own simulator. It has never seen a picture of a person: whatever it "
            "says about one means nothing until it was validated there, and the figures above are no estimate for persons."
        )
    text.append(f"Judged on {WHAT[settings.reads]} alone. Children, laterals and other modalities are outside what it was made for.")
    if missed:
        text.append(f"Does not reach what the project asks: {'; '.join(missed)}.")
    text.append("A mask shows where the network sees air between lung and chest wall; it is no measurement of a lung's collapse.")
    return "\n".join(text)


def log_lines(text: str, most: int = 2000) -> str:
    """A training log in at most about so many lines: all ends of epochs, and steps evenly thinned out."""
    kept = [line for line in text.splitlines() if line.strip()]
    steps = [place for place, line in enumerate(kept) if "epoch" not in json.loads(line)]
    every = max(1, -(-len(steps) // most))
    dropped = set(steps) - set(steps[::every])
    return "".join(f"{line}\n" for place, line in enumerate(kept) if place not in dropped)
