"""How often the watch over embeddings cries for nothing, what it sees of another site's or a spoilt picture, and what embeddings cost.

Run by hand, on SIMULATED patients; the vectors are kept, so that another run takes seconds:
    .venv/bin/python -m training simulate --out DIR/siim --site siim --seed 1 --patients 3000 --rows 512 --processes 2
    .venv/bin/python -m training simulate --out DIR/toulouse --site toulouse --seed 2 --patients 300 --rows 512 --processes 2
    make bench BENCH=embedding ARGS="--sets DIR"
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.errors import InputError
from ptx_node.model.bundle import load_bundle
from ptx_node.model.inference_network import InferenceNetwork, inference_network
from ptx_node.model.preprocess import radiograph_input
from ptx_node.validation.drift import Limits
from ptx_node.validation.embedding_drift import Known, compare_places
from ptx_node.wiring.models import SHIPPED

REFERENCE_DAYS, WINDOW_DAYS, YEAR = 28, 7, 365
PATIENTS_A_DAY = (20, 40, 100)
SHARES = (0.1, 0.2, 0.5, 1.0)
LIMITS = Limits()
OTHERS = 300
"""Pictures of each change."""
BATCH = 8
Change = Callable[[np.ndarray, int], np.ndarray]


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, help="folder of simulated sets; `siim` in it is the site that is watched")
    parser.add_argument("--years", type=int, default=20, help="site-years of each number of patients")
    parser.add_argument("--trials", type=int, default=20, help="pairs of windows of each change")
    parser.add_argument("--vectors", type=Path, default=Path("build/embeddings.npz"), help="where the vectors are kept")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    bundle = load_bundle(SHIPPED / "ptx-cxr-demo")
    network = inference_network(bundle.network, torch.device("cpu"), half=False)
    cost(network, bundle.input_size)
    if chosen.sets is None and not chosen.vectors.is_file():
        print("no simulated sets: see the head of tests/bench/embedding.py")
        return 0
    if not chosen.vectors.is_file():
        chosen.vectors.parent.mkdir(parents=True, exist_ok=True)
        np.savez(chosen.vectors, **dict(vectors_of(lambda image_HW: seen(network, image_HW, bundle.input_size), chosen.sets)))  # type: ignore[arg-type]  # names are free
    with np.load(chosen.vectors) as kept:
        vectors = {name: kept[name].astype(np.float64) for name in kept.files}
    own = vectors.pop("siim")
    false_alarms(own, chosen.years)
    power(own, vectors, chosen.trials)
    return 0


def add_noise(image_HW: np.ndarray, seed: int) -> np.ndarray:
    """As of a much smaller dose."""
    return np.clip(image_HW + np.random.default_rng(seed).normal(0, 0.03, image_HW.shape).astype(np.float32), 0, 1)


CHANGES: dict[str, Change] = {
    "blurred (0.8 mm)": lambda image_HW, _: gaussian_filter(image_HW, 1.0),
    "noise of 3 % of the range": add_noise,
    "darker curve (gamma 1.5)": lambda image_HW, _: image_HW**1.5,
}
"""Of pictures of the reference's own site, 512 rows a chest of 40 cm."""


def vectors_of(see: Callable[[np.ndarray], np.ndarray], sets: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The site, its last patients spoilt in each way, and the other sites."""
    own = images(sets / "siim")
    yield "siim", embedded(see, own[:-OTHERS])
    for name, change in CHANGES.items():
        yield name, embedded(see, own[-OTHERS:], change)
    for folder in sorted(sets.iterdir()):
        if folder.is_dir() and folder.name != "siim":
            yield f"site {folder.name}", embedded(see, images(folder))[:OTHERS]


def seen(network: InferenceNetwork, image_HW: np.ndarray, size: int) -> np.ndarray:
    """What the network sees of a radiograph, as the node keeps it."""
    embedding_BC = network(torch.from_numpy(radiograph_input(image_HW, size)[0])[None, None]).embedding_BC
    assert embedding_BC is not None
    return embedding_BC[0].numpy().astype(np.float16)


def images(folder: Path) -> list[Path]:
    """The files of a set that are pictures, in an order by chance."""
    files = sorted(folder.rglob("*.dcm"))
    np.random.default_rng(0).shuffle(files)  # type: ignore[arg-type]  # a list is a sequence
    return files


def embedded(see: Callable[[np.ndarray], np.ndarray], files: list[Path], change: Change = lambda image_HW, _: image_HW) -> np.ndarray:
    """One vector a radiograph; files that are none are left out."""
    found = []
    for seed, path in enumerate(files):
        with suppress(InputError):
            found.append(see(change(read_radiograph(path).image_HW, seed)))
    return np.array(found)


@dataclass(frozen=True)
class Site:
    """A pool of patients as the reference of one site sees them. Draws are with replacement."""

    places_NP: np.ndarray
    held: np.ndarray
    far: float

    @classmethod
    def of(cls, pool_NC: np.ndarray, reference: np.ndarray) -> Site:
        """`reference`: patients of the pool, in the order of time."""
        known = Known.of(pool_NC[reference[::2]])
        return cls(known.places(pool_NC), reference[1::2], known.far)

    def crossed(self, window: np.ndarray) -> bool:
        """Whether a window of these patients is unlike the reference."""
        return compare_places(self.places_NP[self.held], self.places_NP[window], self.far, LIMITS).crossed


def false_alarms(own_NC: np.ndarray, years: int) -> None:
    """A look each day of a year where nothing changes."""
    table = Table(title=f"Nothing changes: {years} site-years of daily looks each")
    for name in ("patients a day", "windows that crossed", "alarms", "alarms a year"):
        table.add_column(name, justify="right")
    for a_day in PATIENTS_A_DAY:
        rng, crossed, alarms, looks = np.random.default_rng(a_day), 0, 0, 0
        for _ in range(years):
            patients = rng.integers(0, len(own_NC), a_day * YEAR)
            site = Site.of(own_NC, patients[: a_day * REFERENCE_DAYS])
            seen = {
                day: site.crossed(patients[a_day * (day - WINDOW_DAYS) : a_day * day])
                for day in range(REFERENCE_DAYS + WINDOW_DAYS, YEAR + 1)
            }
            looks, crossed = looks + len(seen), crossed + sum(seen.values())
            alarmed = False
            for day, one in seen.items():
                alarmed = alarmed and one  # an alarm is settled at once, and a figure that was quiet may alarm again
                if one and seen.get(day - WINDOW_DAYS, False) and not alarmed:
                    alarms, alarmed = alarms + 1, True
        table.add_row(str(a_day), f"{crossed} of {looks} ({100 * crossed / looks:.3f} %)", str(alarms), f"{alarms / years:.4f}")
    Console().print(table)


def power(own_NC: np.ndarray, others: dict[str, np.ndarray], trials: int) -> None:
    """How often two windows in a row cross when a share of the patients is of another kind from their first day on."""
    for a_day in PATIENTS_A_DAY:
        table = Table(title=f"Alarms after two windows, {a_day} patients a day, {trials} trials")
        for name in ("change", *(f"{100 * share:.0f} %" for share in SHARES)):
            table.add_column(name)
        for name, other_NC in others.items():
            rng, pool_NC = np.random.default_rng(a_day), np.concatenate([own_NC, other_NC])
            alarms = dict.fromkeys(SHARES, 0)
            for _ in range(trials):
                site = Site.of(pool_NC, rng.integers(0, len(own_NC), a_day * REFERENCE_DAYS))
                for share in SHARES:
                    windows = (mixed(rng, len(own_NC), len(pool_NC), a_day * WINDOW_DAYS, share) for _ in range(2))
                    alarms[share] += all(site.crossed(one) for one in windows)
            table.add_row(name, *(f"{alarms[share] / trials:.2f}" for share in SHARES))
        Console().print(table)


def mixed(rng: np.random.Generator, own: int, every: int, size: int, share: float) -> np.ndarray:
    """A window in which each patient is of the other kind with this probability."""
    return np.where(rng.random(size) < share, rng.integers(own, every, size), rng.integers(0, own, size))


def cost(network: InferenceNetwork, size: int, rounds: int = 30) -> None:
    """Processor time of a forward pass with the embedding and without, one picture and a batch, turn about."""
    table = Table(title="Processor time of a forward pass, one thread")
    for name in ("pictures", "without, ms", "with, ms", "ratio"):
        table.add_column(name, justify="right")
    for count in (1, BATCH):
        inputs = torch.randn((count, 1, size, size)).to(network.dtype).contiguous(memory_format=torch.channels_last)
        spent: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for with_it in (False, True):
                begun = time.process_time()
                with torch.inference_mode():
                    network(inputs) if with_it else network.network(inputs)
                spent[with_it].append(time.process_time() - begun)
        without, with_it_ms = (1000 * float(np.median(some)) for some in spent)
        table.add_row(str(count), f"{without:.1f}", f"{with_it_ms:.1f}", f"{np.median(np.divide(*spent[::-1])):.3f}")
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
