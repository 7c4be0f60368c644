"""One run from one configuration file, read from top to bottom: `python -m training train --config FILE --data KIND:FOLDER …`.

A run folder holds config.toml, environment.json, split.json, log.jsonl, last.pt (to resume), model.safetensors (the best averaged
weights) and, at the end, summary.json. After a kill `--resume` repeats what the last checkpoint did not hold and ends at the same weights.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ptx_node.errors import PermanentError
from training.batches import batches
from training.checkpoint import Log, save_weights, write_whole
from training.losses import total_loss
from training.networks.build import WEIGHTS, freeze
from training.parts import divide, open_data, prepare_part
from training.report import Progress, write_environment
from training.run import Place, Run, begin, follow, forget_statistics
from training.settings import load_settings
from training.validate import Figures, figures_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from training.batches import Batch, Prepared
    from training.settings import Settings

SUMMARY = "summary.json"
EMA_RISE = 10
"""The average begins short, so that it forgets the random start: it keeps at most step / (step + this)."""


def train(settings: Settings, training: Sequence[Prepared], validation: Sequence[Prepared], place: Place) -> dict[str, Any]:
    """Train until the epochs, the time or the patience end; returns what `summary.json` holds.

    Raises:
        ConfigurationError: too few images, a folder in use, or a resume that does not fit.
        StorageFullError: a checkpoint could not be written; the last good one is kept.
        PermanentError: the loss was not finite for several steps in a row.
    """
    run = begin(settings, training, validation, place)
    write_environment(run)
    state, schedule, clock = run.state, run.schedule, run.clock
    log = Log(place.folder, resumed_at=state.position.step)
    forward = torch.compile(run.network) if settings.optimiser.compile else run.network
    threads = place.threads if place.threads is not None else (8 if run.device.type == "cuda" else 0)
    source = batches(
        *(run.pool, run.order, settings, state.position),
        lambda step: schedule.positives_at(clock.progress(step)),
        run.device,
        threads=threads,
    )
    frozen, saved_at, over = "", time.monotonic(), clock.progress(state.position.step) >= 1
    with Progress(run) as progress:
        while not over and not out_of_patience(run):
            # Which stage, which rate, what learns.
            done = clock.progress(state.position.step)
            stage, _ = schedule.stage_at(done)
            if stage != state.stage:
                state.stage, state.stage_started = stage, state.position.step
            if frozen != settings.stages[stage].frozen:
                frozen = settings.stages[stage].frozen
                freeze(run.network, frozen)
            rate = schedule.learning_rate(done, state.position.step - state.stage_started)
            for group in run.optimiser.param_groups:
                group["lr"] = rate
            # One step.
            began = time.perf_counter()
            batch = next(source)
            waited_s = time.perf_counter() - began
            line = {**step_on(run, forward, batch), "rate": rate, "waited_s": waited_s, "step_s": time.perf_counter() - began}
            state.position = batch.after
            log.write(step=state.position.step, **{name: _rounded(value) for name, value in line.items()})
            progress.step({"step": state.position.step, **line}, clock.progress(state.position.step))
            # The end of an epoch, and a checkpoint when it is time.
            step, keep = state.position.step, settings.keep
            over = clock.progress(step) >= 1  # asked once: a run whose time is over is validated before it ends
            epoch_ends = over or step % schedule.epoch_steps == 0
            if epoch_ends:
                figures, better = judge(run)
                log.write(step=step, epoch=state.epoch, best=better, spent_s=round(clock.spent_s, 1), **figures.to_json())
                progress.epoch(state.epoch, step, figures, better=better)
            due = time.monotonic() - saved_at > 60 * keep.checkpoint_minutes
            if epoch_ends or due or (keep.checkpoint_steps and step % keep.checkpoint_steps == 0):
                run.save()
                saved_at = time.monotonic()
    if not state.epoch:  # its time was over before a resume
        judge(run)
    source.close()
    log.close()
    return finish(run)


def step_on(run: Run, forward: Any, batch: Batch) -> dict[str, float]:
    """Forward, backward, one move of the weights and of their average; returns the loss and its terms.

    A step whose loss or gradient is not finite moves nothing and is counted.

    Raises:
        PermanentError: too many such steps in a row.
    """
    settings, state = run.settings, run.state
    run.network.train()
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.half):
        class_logit_B, mask_logits_B1HW = forward(batch.inputs_B1HW)
    loss, terms = total_loss(class_logit_B, mask_logits_B1HW, batch.truth, settings.loss)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch
    norm = nn.utils.clip_grad_norm_(run.network.parameters(), settings.optimiser.clip or math.inf)
    if bool(torch.isfinite(loss.detach() + norm)):
        state.bad_in_a_row = 0
        run.optimiser.step()
        step = batch.after.step
        follow(run.average, run.network, min(settings.optimiser.ema, step / (step + EMA_RISE)) if settings.optimiser.ema else 0.0)
    else:
        forget_statistics(run.network, run.average)
        state.skipped, state.bad_in_a_row = state.skipped + 1, state.bad_in_a_row + 1
        if state.bad_in_a_row >= settings.keep.bad_steps:
            raise PermanentError(
                f"{run.place.folder}: the loss was not finite in {state.bad_in_a_row} steps in a row, up to step {batch.after.step}. "
                "Lower stages.*.rate_from, set optimiser.clip, or look at the images; the last checkpoint is kept"
            )
    return {"loss": loss.item(), "norm": norm.item(), **{name: value.item() for name, value in terms.items()}}


def judge(run: Run) -> tuple[Figures, bool]:
    """Validate the averaged weights and keep them where they are the best so far."""
    state = run.state
    figures = figures_of(run.average, run.judged, run.looked_at, run.settings, half=run.half)
    state.epoch += 1
    value = figures.value(run.settings.keep.best)
    better = value > state.best
    if better:
        state.best, state.best_epoch = value, state.epoch
        save_weights(run.place.folder / WEIGHTS, run.average.state_dict())
        write_whole(run.place.folder / "best.json", json.dumps({"epoch": state.epoch, **figures.to_json()}).encode())
    return figures, better


def out_of_patience(run: Run) -> bool:
    """Whether so many epochs went by without a better figure that the run stops early."""
    patience = run.settings.keep.patience
    return bool(patience) and run.state.epoch - run.state.best_epoch >= patience


def finish(run: Run) -> dict[str, Any]:
    """Write `summary.json`: how the run ended and the figures of its best epoch on the validation part."""
    best = json.loads((run.place.folder / "best.json").read_text(encoding="utf-8"))
    summary = {
        "name": run.settings.name,
        "simulated": all(one.simulated for one in run.pool.records),
        "steps": run.state.position.step,
        "epochs": run.state.epoch,
        "stopped_early": out_of_patience(run),
        "skipped_steps": run.state.skipped,
        "minutes": round(run.clock.spent_s / 60, 2),
        "best": best,
    }
    write_whole(run.place.folder / SUMMARY, (json.dumps(summary, indent=1) + "\n").encode())
    return summary


def _rounded(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training train`."""
    add_data_arguments(parser)
    parser.add_argument("--config", type=Path, required=True, help="settings, TOML; or the name of one that ships, such as joint")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out, if there is one")
    parser.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events into --out")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that trains asks for."""
    parser.add_argument("--data", action="append", required=True, metavar="KIND:FOLDER", help="a data set; may be given several times")
    parser.add_argument("--split", action="append", type=Path, required=True, help="who is trained on: one for all sets, or one each")
    parser.add_argument("--prepared", type=Path, help="where decoded arrays are kept; default: prepared, beside --out")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, such as network.backbone=resnet18")
    parser.add_argument("--minutes", type=float, default=0.0, help="wall-time budget of a run, which replaces its epochs")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="that prepare batches; default 8 with a GPU, else 0")
    parser.add_argument("--torch-threads", type=int, default=0, help="CPU threads of the network; 0: torch decides")


def run(chosen: argparse.Namespace) -> int:
    """Open the data, check the split for leaks, prepare the arrays, train."""
    settings = load_settings(chosen.config, chosen.set)
    if chosen.torch_threads:
        torch.set_num_threads(chosen.torch_threads)
    parts = divide(open_data(chosen.data), chosen.split)
    prepared = chosen.prepared or chosen.out.parent / "prepared"
    training, validation = (prepare_part(parts[part], prepared, settings) for part in ("train", "validation"))
    place = Place(
        folder=chosen.out,
        minutes=chosen.minutes,
        device=chosen.device,
        threads=chosen.threads,
        resume=chosen.resume,
        tensorboard=chosen.tensorboard,
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(chosen.split):
        shutil.copyfile(path, chosen.out / ("split.json" if not number else f"split{number + 1}.json"))
    print(json.dumps(train(settings, training, validation, place), indent=1))
    return 0
