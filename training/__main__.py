"""`python -m training COMMAND …`: one module a command, loaded when it is asked for (`--help` of one does not wait for torch)."""

from __future__ import annotations

import argparse
import importlib
import sys

from ptx_node.errors import PtxError, writing_below

COMMANDS = {
    "simulate": ("training.simulate", "write a simulated data set in the exact format of a real one"),
    "stats": ("training.stats.command", "report on a data set: HTML with figures"),
    "split": ("training.split_command", "divide a data set's patients into train, validation and test, once"),
    "train": ("training.train", "one run from one configuration file"),
    "evaluate": ("training.evaluate.command", "judge a run on patients it has never seen: tables, ROC, examples"),
    "ablate": ("training.ablate", "the sixteen settings of the ablation study, resumable, beside the published table"),
    "export": ("training.export", "write a run as a MONAI Bundle that the node loads"),
    "generalise": ("training.generalise.command", "one site trained, other sites tested: what falls, and what brings it back"),
}
"""Each module has `add_arguments(parser)` and `run(chosen) -> int`."""


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one command; 0 when done, 2 for wrong input, whose error is one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m training", description="Data sets, training, evaluation and export.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        if name in arguments[:1]:
            importlib.import_module(module).add_arguments(sub)
    chosen = parser.parse_args(arguments)
    try:
        with writing_below(chosen.out):  # which every command has
            return int(importlib.import_module(COMMANDS[chosen.command][0]).run(chosen))
    except PtxError as error:
        print(f"{chosen.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
