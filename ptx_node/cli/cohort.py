"""`ptx cohort`: a retrospective test set of the site's own patients, with its flow chart and figures."""

from __future__ import annotations

import json as json_text
import math
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ptx_node.cli.context import ConfigOption, JsonOption, acting_user, as_json, load_settings, print_json, print_list
from ptx_node.domain.cohort import Choice, MemberState, interval_of
from ptx_node.errors import UsageError, writing_below
from ptx_node.wiring.node import stop_on_signals

if TYPE_CHECKING:
    from ptx_node.db.tables import Cohort
    from ptx_node.validation.flow import Flow
    from ptx_node.validation.statistics import Estimate
    from ptx_node.wiring.cohort import Shown
    from ptx_node.wiring.retrieval import Left

app = typer.Typer(no_args_is_help=True)

TOLD = (
    *("name", "since", "until", "choice", "wanted", "seed", "archive", "model", "model_version", "weights_sha256", "device_uid"),
    *("threshold", "interval_s", "after_too", "settings_sha256", "asked_by", "state", "created_at", "finished_at"),
)
LISTED = ("name", "since", "until", "choice", "wanted", "model", "state", *map(str, MemberState))
SHARES = ("sensitivity", "specificity")
OF_A_MIXTURE = ("positive_predictive_value", "negative_predictive_value", "prevalence")
"""Of everybody of a period they say something; of a balanced cohort nothing."""


@app.command()
def build(  # noqa: PLR0917 - typer turns each argument into an option
    name: Annotated[str, typer.Argument(help="Name of the cohort; the same command again goes on with it.")],
    since: Annotated[str, typer.Option(help="First day of the CT examinations: 2026-03-01.")],
    until: Annotated[str, typer.Option(help="Last day of them.")],
    config: ConfigOption = None,
    archive: Annotated[str | None, typer.Option(help="Name in [[archives]]; not needed where there is one.")] = None,
    balanced: Annotated[int | None, typer.Option(help="Draw so many patients with and so many without a pneumothorax.")] = None,
    consecutive: Annotated[bool, typer.Option("--consecutive", help="Every patient of the period; the default.")] = False,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
    model: Annotated[str | None, typer.Option(help="Name of a model that reads radiographs; not needed where there is one.")] = None,
    interval: Annotated[str, typer.Option(help="Longest time between radiograph and CT: 6h, 90m; else the day.")] = "",
    after_too: Annotated[bool, typer.Option("--after-too", help="Without a radiograph before the CT, take the next after it.")] = False,
    at_once: Annotated[bool, typer.Option("--now", help="Do not wait for the archive's window.")] = False,
    json: JsonOption = False,
) -> None:
    """Build a test set from CT reports and the radiographs of the same day in the archive. Nothing is sent to anybody."""
    from ptx_node.wiring.cohort import CohortBuild, Wish, show_cohort  # noqa: PLC0415 - scipy, only here

    if balanced is not None and consecutive:
        raise UsageError("--balanced and --consecutive exclude each other")
    wish = Wish(
        name=name,
        since=_day(since),
        until=_day(until),
        choice=Choice.CONSECUTIVE if balanced is None else Choice.BALANCED,
        wanted=balanced,
        seed=seed,
        archive=archive,
        model=model,
        interval_s=interval_of(interval),
        after_too=after_too,
    )
    settings = load_settings(config)
    work = CohortBuild(settings, wish, any_hour=at_once)
    console = Console(stderr=True)
    with stop_on_signals() as stop, console.status(f"cohort {name}") as status:
        left = work.run(by=acting_user(), stop=stop, told=lambda counts: status.update(_told(name, counts)))
    _print(show_cohort(settings, name), json=json, left=left)
    if left.blocked:
        raise typer.Exit(1)


@app.command("list")
def list_all(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the cohorts, and how many reports of each are in which state."""
    from ptx_node.wiring.cohort import every_cohort  # noqa: PLC0415 - scipy, only here

    found = every_cohort(load_settings(config))
    rows = [{**_terms(cohort), **{state: counts.get(state, 0) for state in MemberState}} for cohort, counts in found]
    print_list(rows, columns=LISTED, json=json, title="cohorts", empty="no cohorts; build one with: ptx cohort build")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the cohort.")],
    config: ConfigOption = None,
    flow: Annotated[Path | None, typer.Option(help="Write the flow chart into this file as JSON.")] = None,
    json: JsonOption = False,
) -> None:
    """Show a cohort's flow chart and figures as they stand now."""
    from ptx_node.wiring.cohort import show_cohort  # noqa: PLC0415 - scipy, only here

    shown = show_cohort(load_settings(config), name)
    if flow is not None:
        with writing_below(flow.parent):
            flow.write_text(json_text.dumps(shown.flow.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _print(shown, json=json)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date such as 2026-03-01") from None


def _told(name: str, counts: dict[str, int]) -> str:
    return f"cohort {name}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _terms(cohort: Cohort) -> dict[str, Any]:
    return {name: getattr(cohort, name) for name in TOLD}


def _print(shown: Shown, *, json: bool, left: Left | None = None) -> None:
    if json:
        told = {
            "cohort": _terms(shown.cohort),
            "flow": shown.flow.to_json(),
            "figures": _finite(as_json(asdict(shown.figures))),
            "labels_changed": shown.labels_changed,
            "patients_merged": shown.patients_merged,
        }
        print_json(told if left is None else {**told, "blocked": left.blocked, "window_opens_at": left.opens_at})
        return
    typer.echo("\n".join([_title(shown.cohort), *_chart(shown.flow), *_figures(shown)]))
    if shown.labels_changed:
        typer.echo(f"the labels of {shown.labels_changed} counted reports have changed since; they count as they were")
    if shown.patients_merged:
        typer.echo(
            f"{shown.patients_merged} counted patients were merged with others of this cohort since; build it anew to count each once"
        )
    if left is not None and left.blocked:
        typer.echo(f"not complete: {left.blocked}. The same command goes on")
    elif left is not None and isinstance(left.opens_at, datetime):
        opens = f"{left.opens_at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
        typer.echo(f"not complete: the archive's window opens at {opens}. The same command goes on then; --now does not wait")


def _title(one: Cohort) -> str:
    who = f"balanced, {one.wanted} a group, seed {one.seed}" if one.choice == Choice.BALANCED else "consecutive"
    return f"cohort {one.name}, {one.state}: CT of {one.since} to {one.until}, {who}; {one.model} {one.model_version} at {one.threshold:g}"


def _chart(flow: Flow) -> list[str]:
    lines = []
    for step in flow.steps:
        lines.append(f"{step.count:7}  {step.words}")
        lines += [f"           - {one.count:5}  {one.words} [{one.reason}]" for one in step.left]
    return lines + [f"           = {one.count:5}  {one.words}" for one in flow.ends]


def _figures(shown: Shown) -> list[str]:
    shares = SHARES if shown.cohort.choice == Choice.BALANCED else (*SHARES, *OF_A_MIXTURE)
    figures = {"AUC": shown.figures.auc} | {name.replace("_", " "): getattr(shown.figures.accuracy, name).wilson for name in shares}
    return [_figure(name, one) for name, one in figures.items()]


def _figure(name: str, one: Estimate) -> str:
    if math.isnan(one.value):
        return f"{name}: none ({one.note})"
    return f"{name} {one.value:.3f} ({one.low:.3f} to {one.high:.3f}), n = {one.count}, {one.method}"


def _finite(value: Any) -> Any:
    """JSON has no NaN: a figure that there is none of is null, and its note says why."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
