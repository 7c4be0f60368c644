"""`python -m training evaluate`: judge a run or a bundle, write report.html, metrics.json, cases.csv and figures, print the targets."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import Chance, binned_auc
from training.command_line import command_of
from training.decision import Objective, choose, smallest_regions
from training.evaluate.cases import read_case
from training.evaluate.data import Judging, gather, limited
from training.evaluate.examples import draw_examples
from training.evaluate.figures import draw_all
from training.evaluate.judge import PixelHistogram, outputs, row_of
from training.evaluate.models import Judged, open_bundle, open_run, write_decision
from training.evaluate.report import page
from training.evaluate.result import About, evaluation
from training.evaluate.rows import Row, write_rows
from training.evaluate.targets import as_text, targets
from training.splits import of_run

if TYPE_CHECKING:
    import argparse

    from training.evaluate.cases import Load
    from training.records import Record

RULES = ("youden", "sensitivity", "specificity")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training evaluate`."""
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--run", type=Path, help="folder of a training run")
    model.add_argument("--bundle", type=Path, help="folder of a MONAI Bundle, as the node loads it")
    parser.add_argument("--data", action="append", default=[], metavar="KIND:FOLDER", help="data set that the split was drawn over")
    parser.add_argument(
        "--unseen", action="append", default=[], metavar="KIND:FOLDER", help="data set that nothing was trained on: all of it"
    )
    parser.add_argument("--split", action="append", type=Path, help="one for all of --data, or one each; left out: the run's own")
    parser.add_argument("--part", default="test", choices=("train", "validation", "test", "all"), help="part of --data that is judged")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--trained-on", action="append", metavar="SITE", help="sites that training saw, where no split tells")
    parser.add_argument("--class-rule", default="youden", choices=RULES, help="what the class threshold is chosen for, on validation")
    parser.add_argument("--target", type=float, default=0.9, help="of --class-rule sensitivity or specificity")
    parser.add_argument("--empty-penalty", type=float, default=1.0, help="what masks on healthy cases cost, in mean Dice of positives")
    parser.add_argument("--choose-again", action="store_true", help="choose the decision rule again although the run has one")
    parser.add_argument("--limit", type=int, default=0, help="judge at most so many cases; 0: all")
    parser.add_argument("--validation-limit", type=int, default=0, help="choose the rule on at most so many cases; 0: all")
    parser.add_argument("--repeats", type=int, default=1000, help="resamples of each bootstrap")
    parser.add_argument("--examples", type=int, default=4, help="examples of each kind of answer")
    parser.add_argument("--seed", type=int, default=1, help="of resampling and of --limit")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--batch", type=int, default=8, help="pictures in one forward pass")
    parser.add_argument("--threads", type=int, default=2, help="threads that read ahead")


def run(chosen: argparse.Namespace) -> int:
    """Judge, write, print. 0 when done, whether or not the targets are reached."""
    if not chosen.data and not chosen.unseen:
        raise UsageError("nothing to judge: give --data KIND:FOLDER or --unseen KIND:FOLDER")
    splits = chosen.split or (of_run(chosen.run) if chosen.run else [])
    judged = _open(chosen)
    judging = gather(chosen.data, chosen.unseen, splits, part=chosen.part, reads=judged.predictor.reads)
    load = partial(read_case, handling=judged.handling, masks=judged.masks)
    if chosen.run and (not judged.decided or chosen.choose_again):
        judged = _decide(judged, judging, load, chosen)
    groups = limited(judging.groups, chosen.limit, chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    rows, pixel_auc = _rows(judged, groups, load, chosen.threads)
    about = _about(judged, judging, chosen)
    own = frozenset(about.trained_sites) or judging.data_sites
    content = evaluation(rows, about, pixel_auc=pixel_auc, own_sites=own, chance=Chance(chosen.seed, chosen.repeats))
    note = {"all": "SIMULATED patients", "some": "partly SIMULATED patients", "none": ""}[content["simulated"]]
    write_rows(chosen.out / "cases.csv", rows)
    (chosen.out / "metrics.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    pictures = draw_all(rows, chosen.out, threshold=judged.predictor.bundle.decision.class_threshold, note=note)
    examples = draw_examples(rows, groups, judged.predictor, load, chosen.out, each=chosen.examples, note=note)
    (chosen.out / "report.html").write_text(page(content, pictures, examples), "utf-8")
    print(f"{note + ': ' if note else ''}{len(rows)} cases judged, report in {chosen.out / 'report.html'}\n")
    print(as_text(targets(rows, own, reads=about.reads)))
    return 0


def _open(chosen: argparse.Namespace) -> Judged:
    if chosen.bundle:
        return open_bundle(chosen.bundle, device=chosen.device, batch_size=chosen.batch)
    return open_run(chosen.run, device=chosen.device, batch_size=chosen.batch)


def _decide(judged: Judged, judging: Judging, load: Load, chosen: argparse.Namespace) -> Judged:
    """Choose the rule on the validation part and keep it in the run's folder."""
    groups = limited(judging.validation, chosen.validation_limit, chosen.seed)
    if not groups:
        raise UsageError(f"{chosen.run} has no decision rule yet, and it is chosen on the validation part: give --data and --split")
    objective = Objective(
        class_rule=chosen.class_rule,
        target=chosen.target,
        empty_penalty=chosen.empty_penalty,
        min_pixels=smallest_regions(judged.predictor.bundle.input_size, judged.predictor.reads),
        class_from="mask" if judged.asks_mask else "image",
    )
    seen = outputs(judged.predictor, groups, load, threads=chosen.threads)
    choice = choose(track(seen, "choosing the rule on validation", total=len(groups), disable=not sys.stderr.isatty()), objective)
    told = {"part": "validation", "data": list(judging.sources), "split": judging.split}
    write_decision(chosen.run, judged.predictor.identity.weights_sha256, choice.to_json(), told)
    return judged.decide(choice.decision)


def _rows(judged: Judged, groups: list[tuple[Record, ...]], load: Load, threads: int) -> tuple[list[Row], float]:
    """A row a case, and the AUC over pixels."""
    histogram = PixelHistogram()
    rows = []
    seen = outputs(judged.predictor, groups, load, threads=threads)
    for output in track(seen, "judging", total=len(groups), disable=not sys.stderr.isatty()):
        rows.append(row_of(judged.predictor, output))
        histogram.add(output)
    return rows, binned_auc(histogram.positives_K, histogram.negatives_K)


def _about(judged: Judged, judging: Judging, chosen: argparse.Namespace) -> About:
    identity, bundle = judged.predictor.identity, judged.predictor.bundle
    return About(
        name=identity.name,
        version=identity.version,
        weights_sha256=identity.weights_sha256,
        reads=bundle.reads,
        input_size=bundle.input_size,
        decision=asdict(bundle.decision),
        part=chosen.part,
        data=judging.sources,
        trained_sites=tuple(sorted(chosen.trained_on or judging.trained_sites or judged.trained_sites)),
        split=judging.split,
        command=command_of(sys.argv[1:]),
    )
