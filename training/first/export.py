"""Judge a trained demonstration network on unseen simulated patients, choose its thresholds, and write its bundle.

Thresholds come from the validation patients, figures from other ones; both go through the node's own prediction code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ptx_node.domain.image import Radiograph, Volume
from ptx_node.model.bundle import Bundle, decision_metadata, save_bundle
from ptx_node.model.metadata import Decision
from ptx_node.model.postprocess import drop_small, series_probability, source_masks
from ptx_node.model.predictor import Predictor, Prepared
from ptx_node.simulator.first.ct import ChestVolume
from ptx_node.simulator.first.phantom import frontal
from ptx_node.simulator.first.radiograph import Look, display
from training.first.metrics import best_threshold, dice, roc_auc
from training.first.simulated import side_of
from training.first.train_demo import TEST_SEED, VALIDATION_SEED

if TYPE_CHECKING:
    from pathlib import Path

    from ptx_node.domain.finding import Laterality
    from ptx_node.model.network import PneumothoraxNet
    from training.first.train_demo import Run

MANUFACTURER = "ptx-node project"
PIXEL_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
MIN_PIXELS = {"cxr": 12, "ct": 20}


@dataclass(frozen=True)
class Case:
    """One judged patient: what the network said on its own grid, and the truth."""

    prepared: Prepared
    probabilities_Z: np.ndarray
    logits_ZHW: torch.Tensor
    mask_ZHW: np.ndarray
    laterality: Laterality | None


def radiograph_case(seed: int) -> tuple[Radiograph, np.ndarray, Laterality | None]:
    """An unseen radiograph patient under any system's display."""
    drawn = frontal(seed, laterality=side_of(seed), rows=640, columns=512)
    image_HW = display(drawn.thickness_HW, Look.sample(np.random.default_rng([seed, 5])))
    image_HW = (np.round(image_HW * 255) / 255).astype(np.float32)
    return Radiograph(f"2.25.{seed}", image_HW, (drawn.pixel_mm, drawn.pixel_mm), None), drawn.mask_HW[None], drawn.laterality


def volume_case(seed: int) -> tuple[Volume, np.ndarray, Laterality | None]:
    """An unseen CT patient of 24 slices, more than a centimetre apart."""
    patient = ChestVolume(seed, laterality=side_of(seed), columns=320)
    hu_ZHW, mask_ZHW, distance = patient.series(24)
    spacing = (patient.pixel_mm, patient.pixel_mm)
    uids = tuple(f"2.25.{seed}{index:03d}" for index in range(len(hu_ZHW)))
    return Volume(f"2.25.{seed}", uids, hu_ZHW, spacing, distance, None), mask_ZHW, side_of(seed)


def judged(predictor: Predictor, first_seed: int, count: int) -> list[Case]:
    """So many unseen patients, drawn and run one after the other."""
    cases = []
    for seed in range(first_seed, first_seed + count):
        image, mask_ZHW, laterality = radiograph_case(seed) if predictor.reads == "radiograph" else volume_case(seed)
        prepared = predictor.prepare(image)
        probabilities_Z, logits_ZHW = predictor.forward(prepared.inputs_ZHW)
        cases.append(Case(prepared, probabilities_Z, logits_ZHW, mask_ZHW, laterality if mask_ZHW.any() else None))
    return cases


def probability_of(case: Case, decision: Decision) -> float:
    """The probability that the node gives for this case."""
    if len(case.probabilities_Z) == 1:
        return float(case.probabilities_Z[0])
    return series_probability(case.probabilities_Z, case.prepared.slice_spacing_mm, decision.smooth_mm)


def case_dice(case: Case, decision: Decision) -> float:
    """Overlap of the node's mask with the truth, on the source grid."""
    return dice(case.mask_ZHW, source_masks(drop_small(case.logits_ZHW.clone(), decision), case.prepared.box, decision))


def choose(cases: list[Case], kind: str) -> Decision:
    """The decision rule that does best on these cases."""
    start = Decision(0.5, 0.5, MIN_PIXELS[kind], 12.0 if kind == "ct" else 0.0)
    truth = np.array([case.laterality is not None for case in cases])
    scores = np.array([probability_of(case, start) for case in cases])
    positives = [case for case in cases if case.laterality is not None]
    means = {limit: np.mean([case_dice(case, replace(start, pixel_threshold=limit)) for case in positives]) for limit in PIXEL_THRESHOLDS}
    return replace(
        start, class_threshold=round(best_threshold(truth, scores), 3), pixel_threshold=max(means, key=lambda limit: means[limit])
    )


def figures(predictor: Predictor, cases: list[Case]) -> dict[str, float]:
    """What the card says, under the predictor's own decision rule."""
    decision = predictor.bundle.decision
    truth = np.array([case.laterality is not None for case in cases])
    scores = np.array([probability_of(case, decision) for case in cases])
    called = scores >= decision.class_threshold
    findings = [predictor.finding_of(case.prepared, case.probabilities_Z, case.logits_ZHW.clone()) for case in cases]
    hits = [(finding, case) for finding, case in zip(findings, cases, strict=True) if case.laterality and finding.laterality]
    return {
        "patients": len(cases),
        "positive_patients": int(truth.sum()),
        "auc": round(roc_auc(truth, scores), 4),
        "sensitivity": round(float(called[truth].mean()), 4),
        "specificity": round(float((~called[~truth]).mean()), 4),
        "mean_dice_of_positives": round(float(np.mean([case_dice(case, decision) for case in cases if case.laterality])), 4),
        "side_right_of_located": round(float(np.mean([finding.laterality == case.laterality for finding, case in hits])), 4),
    }


def export(network: PneumothoraxNet, run: Run, folder: Path, *, model_version: str) -> tuple[Bundle, dict[str, float]]:
    """Choose thresholds, measure, and write the bundle; the weights are rounded to half precision before either."""
    torch.set_num_threads(run.torch_threads)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
    metadata = _metadata(run, Decision(0.5, 0.5, MIN_PIXELS[run.kind], 12.0 if run.kind == "ct" else 0.0), model_version)
    arguments = {"backbone": run.backbone, "decoder_channels": list(run.decoder_channels)}
    bundle = save_bundle(folder, network=network, metadata=metadata, arguments=arguments, card="")
    predictor = Predictor(bundle, torch.device("cpu"))
    decision = choose(judged(predictor, VALIDATION_SEED, run.validation_patients), run.kind)
    predictor.bundle = replace(bundle, decision=decision)
    measured = figures(predictor, judged(predictor, TEST_SEED, run.test_patients))
    metadata = _metadata(run, decision, model_version) | {"eval_metrics": measured}
    bundle = save_bundle(folder, network=network.float(), metadata=metadata, arguments=arguments, card=_card(run, decision, measured))
    return bundle, measured


def _metadata(run: Run, decision: Decision, model_version: str) -> dict[str, Any]:
    cxr = run.kind == "cxr"
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20220324.json",
        "version": model_version,
        "changelog": {model_version: "demonstration model, trained on simulated patients only"},
        "monai_version": version("monai"),
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"safetensors": version("safetensors")},
        "name": f"ptx-{run.kind}-demo",
        "task": "Pneumothorax: probability and mask on " + ("frontal chest radiographs" if cxr else "axial chest CT"),
        "description": "DEMONSTRATION. Trained on simulated patients only. Not for clinical use.",
        "authors": "ptx-node contributors",
        "copyright": "Apache-2.0",
        "data_source": "ptx_node.simulator: a simple chest phantom, no data of any person",
        "data_type": "simulated",
        "intended_use": "Trying the node. Not for clinical use; figures on phantoms say nothing about patients.",
        "network_data_format": _formats(run),
        "ptx": {
            "manufacturer": MANUFACTURER,
            "reads": "radiograph" if cxr else "ct",
            "input_size": run.input_size,
            "decision": decision_metadata(decision),
            "requirements": {"min_age_years": 15, "min_rows": run.input_size, "min_columns": run.input_size},
        },
    }


def _formats(run: Run) -> dict[str, Any]:
    """Inputs and outputs of the network in MONAI's words."""
    cxr, shape = run.kind == "cxr", [run.input_size, run.input_size]
    square = {"type": "image", "num_channels": 1, "spatial_shape": shape, "dtype": "float32", "is_patch_data": False}
    image = {"format": "magnitude" if cxr else "hounsfield", "modality": "CR" if cxr else "CT", "value_range": [-5, 5] if cxr else [-1, 1]}
    return {
        "inputs": {"image": {**square, **image, "channel_def": {"0": "image"}}},
        "outputs": {
            "class_logit": {"type": "probabilities", "format": "logit", "num_channels": 1},
            "mask_logits": {**square, "format": "segmentation", "value_range": [], "channel_def": {"0": "pneumothorax logit"}},
        },
    }


def _card(run: Run, decision: Decision, measured: dict[str, float]) -> str:
    what = "frontal chest radiographs" if run.kind == "cxr" else "axial chest CT series"
    rule = (
        f"probability of the image >= {decision.class_threshold}"
        if run.kind == "cxr"
        else f"largest running mean over {decision.smooth_mm:g} mm of the slices' probabilities >= {decision.class_threshold}"
    )
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in measured.items())
    return f"""# ptx-{run.kind}-demo

**DEMONSTRATION. Trained on simulated patients only. Not for clinical use.**

It lets the node be tried: it tells pneumothorax from none on the project's own simple chest phantom ({what}). It has never seen
a picture of a person. Whatever it says about one means nothing.

## What it is
MONAI FlexibleUNet, encoder {run.backbone}, decoder {", ".join(map(str, run.decoder_channels))}, with a classification head on the
encoder's last features; input {run.input_size} x {run.input_size}; weights in half precision.

Decision: positive if {rule}. Mask: pixels above {decision.pixel_threshold}, without connected regions under {decision.min_pixels}
pixels of the network's grid. Patients known to be under 15 are refused, since the phantom is an adult.

## Training
{_commands(run)} on a CPU: up to {run.pool} simulated pictures, half of the patients
with a pneumothorax, drawn while training ran; 3 x pixel BCE + Dice + 0.3 x image BCE; averaged weights. All knobs:

```json
{json.dumps(_knobs(run), indent=1)}
```

## Figures, on simulated patients that neither training nor the thresholds saw
| | |
|---|---|
{rows}

They are high because the phantom is simple and the test patients come from the same phantom. They are no estimate for patients.
"""


def _commands(run: Run) -> str:
    command = f"`python -m training.first demo --kind {run.kind} --minutes {{:g}}{{}}`"
    if not run.resumed_after_minutes:
        return command.format(run.minutes, "")
    return f"{command.format(run.resumed_after_minutes, '')}, then {command.format(run.minutes, ' --resume')},"


def _knobs(run: Run) -> dict[str, Any]:
    return {name: value for name, value in asdict(run).items() if name != "folder"}
