"""What a run tells people while it goes on, and what it leaves about where it was made."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ptx_node.errors import ConfigurationError
from training.checkpoint import write_whole
from training.command_line import command_of
from training.revision import git
from training.splits import of_run, told

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from training.run import Run
    from training.validate import Figures

PACKAGES = ("torch", "monai", "numpy", "scipy", "pydicom", "safetensors")
ENVIRONMENT = "environment.json"
SHARE = 0.05
"""Weight of the newest step in the loss that is shown."""


def environment(run: Run) -> dict[str, Any]:
    """Revision, versions, device, seed and images of a run: what somebody needs to repeat it."""
    records = run.pool.records
    return {
        "command": command_of(sys.argv[1:]),
        "git_revision": git("rev-parse", "HEAD"),
        "git_changed_files": len(git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "precision": "bf16" if run.half else "fp32",
        "seed": run.settings.seed,
        "minutes": run.place.minutes or None,
        "images": {"train": len(run.pool), "validation": len(run.judged)},
        "patients": {"train": len({one.patient_id for one in records}), "validation": len({one.patient_id for one in run.judged.records})},
        "positives": int(run.pool.label_N.sum()),
        "split": told(of_run(run.place.folder)),
        "simulated": all(one.simulated for one in records),
    }


def write_environment(run: Run) -> None:
    """Add this start of the run to `environment.json`: a run that was resumed has several."""
    path = run.place.folder / ENVIRONMENT
    starts = json.loads(path.read_text(encoding="utf-8")) if path.exists() and run.state.position.step else []
    write_whole(path, (json.dumps([*starts, environment(run)], indent=1) + "\n").encode())


class Progress:
    """A bar on a terminal, one line an epoch anywhere, and TensorBoard where it is asked for.

    Raises:
        ConfigurationError: TensorBoard is asked for and not installed.
    """

    def __init__(self, run: Run) -> None:
        self._console = Console(quiet=run.place.quiet, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"), TimeElapsedColumn())
        self._bar = Bar(*columns, console=self._console, disable=run.place.quiet or not self._console.is_terminal)
        self._task = self._bar.add_task(run.settings.name, total=1.0)
        self._board = _board(run.place.folder) if run.place.tensorboard else None
        self._loss: float | None = None
        where = f"{run.device.type}, {'bf16' if run.half else 'fp32'}"
        count = f"{run.schedule.epoch_steps} steps an epoch, {len(run.looked_at)} images to validate"
        self._console.print(f"{run.settings.name}: {len(run.pool)} images, {count}, {where}, from step {run.state.position.step}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()
        if self._board is not None:
            self._board.close()

    def step(self, line: dict[str, float], done: float) -> None:
        """After every step."""
        self._loss = line["loss"] if self._loss is None else (1 - SHARE) * self._loss + SHARE * line["loss"]
        self._bar.update(self._task, completed=done, description=f"step {line['step']:.0f} loss {self._loss:.4f}")
        if self._board is not None:
            for name, value in line.items():
                if name != "step":
                    self._board.add_scalar(f"train/{name}", value, int(line["step"]))

    def epoch(self, number: int, step: int, figures: Figures, *, better: bool) -> None:
        """After every validation."""
        told = " ".join(f"{name} {value}" for name, value in figures.to_json().items() if value is not None)
        self._console.print(f"epoch {number} step {step} train loss {self._loss or 0:.4f} | {told}{' *' if better else ''}")
        if self._board is not None:
            for name, value in figures.to_json().items():
                if value is not None:
                    self._board.add_scalar(f"validation/{name}", value, step)


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional, and slow to load
    except ImportError as error:
        raise ConfigurationError("--tensorboard needs the package tensorboard: pip install 'ptx-node[tensorboard]'") from error
    return SummaryWriter(str(folder / "tensorboard"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
