"""`python -m training generalise`: train at one site, test there and elsewhere under each handling of pixels; tables and figures.

Resumable: a model whose run folder is finished is not trained again, and prepared arrays are found by their digest.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import youden
from training.evaluate.result import plain
from training.generalise.judged import Scores, figures, joined, local_threshold, scores_of
from training.generalise.plan import BASE, MODELS, TRIALS, Model
from training.networks.build import WEIGHTS, load_run
from training.parts import open_data, prepare_part
from training.revision import revision
from training.run import Place
from training.settings import load_settings
from training.splits import draw, load
from training.train import SUMMARY, train

if TYPE_CHECKING:
    import argparse

    from training.prepared import Prepared
    from training.records import Record
    from training.settings import Settings

SHARES = (0.6, 0.1, 0.3)
LOCAL = ("naive", "node", "displays")
"""Trials whose threshold is also chosen locally."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Records by site and part; the first site is the one that is trained at."""

    names: tuple[str, ...]
    parts: dict[str, dict[str, list[Record]]]

    @property
    def home(self) -> str:
        """Where the model comes from."""
        return self.names[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m training generalise`."""
    parser.add_argument("--data", required=True, metavar="KIND:FOLDER", help="the site that is trained at")
    parser.add_argument("--other", action="append", required=True, metavar="KIND:FOLDER", help="a site that is tested; several times")
    parser.add_argument("--out", type=Path, required=True, help="runs, arrays, splits, tables and figures")
    parser.add_argument("--config", type=Path, default=Path("thesis"), help="the recipe; default thesis")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, such as network.backbone=resnet18")
    parser.add_argument("--minutes", type=float, default=0.0, help="wall-time budget of each model, which replaces its epochs")
    parser.add_argument(
        "--base-minutes", type=float, default=0.0, help="train one network first, at home, for so long; every model then goes on from it"
    )
    parser.add_argument("--torch-threads", type=int, default=0, help="CPU threads of the network; 0: torch decides")
    parser.add_argument("--seed", type=int, default=1)


def run(chosen: argparse.Namespace) -> int:
    """Train what is missing, judge every trial at every site, write results.json, the table and the figures."""
    from training.generalise.page import write  # noqa: PLC0415 - matplotlib only at the end

    if chosen.torch_threads:
        torch.set_num_threads(chosen.torch_threads)
    sites = open_sites([chosen.data, *chosen.other], chosen.out, chosen.seed)
    start = ""
    if chosen.base_minutes:
        fit(BASE, sites, chosen, minutes=chosen.base_minutes)
        start = str(chosen.out / "models" / BASE.name / WEIGHTS)
    for model in MODELS:
        fit(model, sites, chosen, minutes=chosen.minutes, start=start)
    results = plain(judge(sites, chosen))
    (chosen.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    write(results, chosen.out, sites)
    print((chosen.out / "table.md").read_text("utf-8"))
    return 0


def open_sites(data: list[str], folder: Path, seed: int) -> Sites:
    """Open every site and divide its patients, once: the splits stay in the folder.

    Raises:
        UsageError: two data sets of the same site.
    """
    parts: dict[str, dict[str, list[Record]]] = {}
    for one in open_data(data):
        name = next((record.site for record in one.records if record.site), one.name)
        if name in parts:
            raise UsageError(f"two data sets are of site '{name}': each site is given once")
        path = folder / "splits" / f"{name}.json"
        split = load(path) if path.exists() else draw(name, one.records, seed=seed, shares=SHARES, by=("site",))
        split.save(path)
        parts[name] = split.divide(one.records)
    return Sites(tuple(parts), parts)


def fit(model: Model, sites: Sites, chosen: argparse.Namespace, *, minutes: float, start: str = "") -> None:
    """Train one model, or go on with it, unless it is finished. `start` is a file of weights that it begins with."""
    folder = chosen.out / "models" / model.name
    if (folder / SUMMARY).is_file():
        return
    begin = [f"network.start={start}"] if start else []
    mine = load_settings(chosen.config, [*chosen.set, f"seed={chosen.seed}", *model.overrides, *begin])
    mine = mine.model_copy(update={"data": mine.data.model_copy(update={"handling": model.handling.to_json()})})
    parts = {part: _records_for(model, sites, part) for part in ("train", "validation")}
    training, validation = (prepare_part(parts[part], chosen.out / "prepared", mine) for part in parts)
    print(f"training {model.name}: {sum(map(len, training))} images, {sum(map(len, validation))} to validate")
    train(mine, training, validation, Place(folder, minutes=minutes, resume=True))


def _records_for(model: Model, sites: Sites, part: str) -> list[list[Record]]:
    """The home site's; or, of every site, an equal share that adds up to as many."""
    home = sites.parts[sites.home][part]
    if not model.every_site:
        return [home]
    share = max(1, len(home) // len(sites.names))
    return [sites.parts[name][part][:share] for name in sites.names]


def judge(sites: Sites, chosen: argparse.Namespace) -> dict[str, Any]:
    """Every trial at every site, at the threshold that the model's own validation cases gave."""
    rows = []
    for trial in TRIALS:
        settings, network = load_run(chosen.out / "models" / trial.model)

        def at(name: str, part: str, trial: Any = trial, settings: Any = settings, network: Any = network) -> Scores:
            (prepared,) = _prepared(sites.parts[name][part], settings, trial.handling.to_json(), chosen.out)
            return scores_of(network, prepared, settings.data.answered)

        own = at(sites.home, "validation")
        threshold = youden(own.truth_N, own.probability_N).threshold
        if math.isnan(threshold):
            raise UsageError(f"the validation part of {sites.home} holds one class alone: give it more patients, or another --seed")
        row: dict[str, Any] = {**asdict(replace(trial)), "handling": trial.handling.to_json(), "threshold": threshold, "sites": {}}
        for name in sites.names:
            found = at(name, "test")
            local = None
            if trial.name in LOCAL and name != sites.home:  # these models saw nobody of this site, so all but its test part may choose
                local = local_threshold(joined(at(name, "train"), at(name, "validation")), found, seed=chosen.seed)
            row["sites"][name] = {**figures(found, threshold), "local": asdict(local) if local else None}
        rows.append(row)
    simulated = all(record.simulated for parts in sites.parts.values() for records in parts.values() for record in records)
    return {"simulated": simulated, "home": sites.home, "sites": list(sites.names), "revision": revision(), "rows": rows}


def _prepared(records: list[Record], settings: Settings, handling: dict[str, Any], out: Path) -> list[Prepared]:
    mine = settings.model_copy(update={"data": settings.data.model_copy(update={"handling": handling})})
    return prepare_part([records], out / "prepared", mine)
