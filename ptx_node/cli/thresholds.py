"""`ptx thresholds`: a site's own threshold for a model, proposed from its own CT reports, applied by a person, in versions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, acting_user, load_settings, print_json, print_list
from ptx_node.db import schema, thresholds
from ptx_node.db.session import begin_read
from ptx_node.errors import UsageError
from ptx_node.validation import site_threshold
from ptx_node.validation.site_threshold import Of
from ptx_node.wiring import open_database
from ptx_node.wiring.models import describe_models

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ptx_node.settings import Settings
    from ptx_node.validation.statistics import Aim

app = typer.Typer(no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="Name of the model, as `ptx models` lists it.")]
NoteOption = Annotated[str, typer.Option(help="Why, for those who look later.")]
LISTED = ("number", "action", "model", "value", "proposal", "decided_by", "note", "decided_at")


@app.command()
def propose(  # noqa: PLR0917 - typer turns each argument into an option
    model: ModelArgument,
    sensitivity: Annotated[float | None, typer.Option(min=0, max=1, help="Reach at least this sensitivity.")] = None,
    specificity: Annotated[float | None, typer.Option(min=0, max=1, help="Reach at least this specificity.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of examination.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of examination.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 1,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Propose a threshold from findings whose CT report is known. Nothing changes until it is applied."""
    settings, engine = _opened(config)
    of = Of(model, _weights_of(settings, model))
    aim = _aim(sensitivity, specificity)
    first, last = (day.date() if day else None for day in (since, until))
    made = site_threshold.propose(engine, of, aim, since=first, until=last, seed=seed, by=acting_user())
    number, found, evidence, value = made.number, made.found, made.evidence, made.value
    if json:
        print_json({"number": number, "model": model, "value": value, **evidence})
    elif value is None:
        typer.echo(
            f"proposal {number}: none for {model}: {found.positives} positives and {found.negatives} negatives are known; "
            f"patients with a positive, and with a negative, of each at least {found.fewest} are needed"
        )
    else:
        typer.echo(
            f"proposal {number}: threshold {_told(evidence['threshold'])} for {model}, from {found.positives} positives and "
            f"{found.negatives} negatives\n"
            f"expected of the next patients: sensitivity {_told(evidence['sensitivity'])}, specificity {_told(evidence['specificity'])}\n"
            f"nothing has changed; to use it: ptx thresholds apply {number} --note WHY"
        )
    if value is None:
        raise typer.Exit(1)


@app.command()
def apply(
    proposal: Annotated[int, typer.Argument(help="Number of a proposal.")],
    note: NoteOption,
    config: ConfigOption = None,
) -> None:
    """Use a proposed threshold from now on. Findings that were made before stay as they are."""
    settings, engine = _opened(config)
    number, of, value = site_threshold.apply(engine, proposal, lambda name: _weights_of(settings, name), note=note, by=acting_user())
    _tell(number, of.model, value)


@app.command("set")
def set_(
    model: ModelArgument,
    value: Annotated[float, typer.Argument(min=0, max=1, help="Probability at and above which an image is called positive.")],
    note: NoteOption,
    config: ConfigOption = None,
) -> None:
    """Use a threshold that nobody proposed, from now on."""
    settings, engine = _opened(config)
    number = site_threshold.use(engine, Of(model, _weights_of(settings, model)), value, note=note, by=acting_user())
    _tell(number, model, value)


@app.command()
def withdraw(model: ModelArgument, note: NoteOption, config: ConfigOption = None) -> None:
    """Go back to the threshold that came with the model, from now on."""
    settings, engine = _opened(config)
    number = site_threshold.withdraw(engine, Of(model, _weights_of(settings, model)), note=note, by=acting_user())
    _tell(number, model, None)


@app.command("list")
def list_(
    model: Annotated[str | None, typer.Argument(help="Of one model.")] = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Every proposal and decision, the newest first."""
    _, engine = _opened(config)
    with begin_read(engine) as session:
        rows = [
            {name: getattr(one, name) for name in (*LISTED, "weights_sha256", "evidence")} for one in thresholds.history(session, model)
        ]
    print_list(rows, columns=LISTED, json=json, title="thresholds", empty="every model uses the threshold that it came with")


def _tell(number: int, model: str, value: float | None) -> None:
    how = "by the threshold that it came with" if value is None else f"at and above {value:g}"
    typer.echo(f"version {number}: {model} calls positive {how}; workers take it with their next jobs")


def _opened(config: Any) -> tuple[Settings, Engine]:
    settings = load_settings(config)
    engine = open_database(settings)
    schema.require_latest(engine)
    return settings, engine


def _weights_of(settings: Settings, model: str) -> str:
    rows = {row["name"]: row for row in describe_models(settings)}
    if model not in rows or not rows[model]["intact"]:
        raise UsageError(f"there is no model {model!r} that can be used: see ptx models")
    return str(rows[model]["weights_sha256"])


def _aim(sensitivity: float | None, specificity: float | None) -> Aim:
    from ptx_node.validation.statistics import Aim  # noqa: PLC0415 - as above

    if sensitivity is not None and specificity is not None:
        raise UsageError("give --sensitivity or --specificity: one is reached, the other follows")
    if sensitivity is not None:
        return Aim("sensitivity", sensitivity)
    return Aim("specificity", specificity) if specificity is not None else Aim("youden")


def _told(estimate: dict[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{estimate['value']:.3g}"
    return f"{estimate['value']:.3g} (95 % {estimate['low']:.3g} to {estimate['high']:.3g})"
