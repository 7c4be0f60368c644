"""`ptx simulate`: SIMULATED patients as files with their truth, or a contact sheet of radiographs."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from ptx_node.cli.context import make_console
from ptx_node.errors import UsageError, writing_below

if TYPE_CHECKING:
    from ptx_node.simulator.sites import Site

RADIOGRAPH_SITES = ("siim", "toulouse", "bedside")


class Language(StrEnum):
    """Of the reports."""

    EN = "en"
    FR = "fr"


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(simulate)


def simulate(  # noqa: PLR0917 - typer turns each argument into an option
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the files.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet of radiographs (PNG) instead.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="siim, toulouse, bedside or ct64; several in turn.")] = None,
    patients: Annotated[int, typer.Option("--patients", "-n", min=1, max=1_000_000)] = 12,
    seed: Annotated[int, typer.Option(min=0, max=90_000_000, help="Of the first patient; the others follow.")] = 1,
    positives: Annotated[float | None, typer.Option(min=0, max=1, help="Odds of a pneumothorax; else the site's.")] = None,
    ct: Annotated[bool, typer.Option("--ct", help="A CT of every patient later the same day.")] = False,
    reports: Annotated[Language | None, typer.Option(help="The CT's report as text, in this language.")] = None,
    rows: Annotated[int | None, typer.Option(min=64, max=4096, help="Of radiographs, and at most of CT; else the systems'.")] = None,
    slices: Annotated[int | None, typer.Option(min=3, max=2000, help="Of a CT, spread over the lungs; else the protocol's.")] = None,
    processes: Annotated[int, typer.Option(min=0, max=256, help="Patients simulated at the same time; 0: one a core.")] = 0,
    masks: Annotated[bool, typer.Option("--masks", help="Outline pleural air on the contact sheet.")] = False,
) -> None:
    """Write SIMULATED patients: radiographs, CT, masks, reports and truth.csv; the same seed gives the same files."""
    from ptx_node.simulator.sites import site_of  # noqa: PLC0415 - numpy and codecs, only here

    seeds = range(seed, seed + patients)
    if sheet is not None and out is None:
        _sheet(sheet, [site_of(name) for name in site or RADIOGRAPH_SITES], seeds, positives=positives, masks=masks)
        return
    if out is None or sheet is not None:
        raise UsageError("say where to: --out FOLDER for files, or --sheet FILE.png for a contact sheet")
    from ptx_node.simulator.collection import TRUTH, Order, write_collection  # noqa: PLC0415

    language = reports.value if reports else None
    order = Order([site_of(name) for name in site or ["toulouse"]], seeds, positives, ct, language, rows, slices)  # type: ignore[arg-type]  # StrEnum's value is str to mypy
    console, done = make_console(), 0
    with writing_below(out), Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulating", total=patients * (2 if ct else 1))
        for _ in write_collection(out, order, processes=min(processes or os.cpu_count() or 1, patients)):
            done += 1
            progress.advance(task)
    console.print(f"{patients} SIMULATED patients, {done} studies in {out}; what is true of them: {out / TRUTH}", highlight=False)


def _sheet(path: Path, sites: list[Site], seeds: range, *, positives: float | None, masks: bool) -> None:
    from ptx_node.simulator.patient import Wishes  # noqa: PLC0415
    from ptx_node.simulator.sheet import contact_sheet, tiles  # noqa: PLC0415

    if any(one.ct for one in sites):
        raise UsageError("a contact sheet shows radiographs: leave out the site ct64")
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: a contact sheet is a PNG; give a name that ends in .png")
    console = make_console()
    wishes = Wishes(prevalence=0.5 if positives is None else positives)
    with Progress(console=console, transient=True) as progress:
        pictures = list(progress.track(tiles(sites, seeds, wishes, masks=masks), total=len(seeds), description="simulating"))
    with writing_below(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(pictures).save(path)
    console.print(f"{len(pictures)} SIMULATED radiographs in {path}", highlight=False)
