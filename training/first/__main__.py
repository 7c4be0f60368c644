"""Training runs from the command line: `python -m training.first demo --kind cxr|ct`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

DEFAULT_MINUTES = {"cxr": 20.0, "ct": 10.0}
JUDGED = {"cxr": (300, 400), "ct": (60, 80)}
"""Patients of validation and of the final test; a CT patient is many slices, hence fewer."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m training.first", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train a demonstration model on simulated patients, and write its bundle")
    demo.add_argument("--kind", choices=("cxr", "ct"), required=True)
    demo.add_argument("--minutes", type=float, help="wall time of training; default 20 (cxr) or 10 (ct)")
    demo.add_argument("--folder", type=Path, help="log, weights and knobs; default build/demo-KIND")
    demo.add_argument("--bundle", type=Path, help="where the bundle is written; default FOLDER/bundle")
    demo.add_argument("--resume", action="store_true", help="go on from the weights in the folder, on other patients")
    demo.add_argument("--export-only", action="store_true", help="judge and export the weights that are in the folder")
    demo.add_argument("--model-version", default="0.1.0")
    chosen = parser.parse_args(arguments)
    return _demo(chosen)


def _demo(chosen: argparse.Namespace) -> int:
    from training.first.export import export  # noqa: PLC0415 - `--help` should not load torch's world
    from training.first.train_demo import Run, network_of, train  # noqa: PLC0415

    folder: Path = chosen.folder or Path("build") / f"demo-{chosen.kind}"
    os.nice(5)
    minutes = chosen.minutes or DEFAULT_MINUTES[chosen.kind]
    if chosen.export_only or chosen.resume:
        knobs = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        run = Run(**{**knobs, "folder": str(folder), "decoder_channels": tuple(knobs["decoder_channels"])})
    if chosen.resume:
        earlier = run.resumed_after_minutes + run.minutes
        run = replace(run, minutes=minutes, seed=run.seed + 1, resumed_after_minutes=earlier)
        network = train(run)
    elif chosen.export_only:
        network = network_of(run)
        network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    else:
        validation, test = JUDGED[chosen.kind]
        run = Run(chosen.kind, str(folder), minutes=minutes, validation_patients=validation, test_patients=test)
        network = train(run)
    bundle, measured = export(network.eval(), run, chosen.bundle or folder / "bundle", model_version=chosen.model_version)
    print(json.dumps({"weights_sha256": bundle.identity.weights_sha256, **measured}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
