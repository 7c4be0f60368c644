"""`ptx rules check` and `ptx rules explain`: what the rules of this site say, before and after instances come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from ptx_node import wiring
from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, print_json
from ptx_node.domain.decision import Policy
from ptx_node.domain.rule_check import Severity
from ptx_node.domain.study import Origin, Via
from ptx_node.pipeline.explain import Subject, explain, stored
from ptx_node.wiring.models import known_models, problems_of_rules

app = typer.Typer(no_args_is_help=True)


@app.command("check")
def check(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Look for unknown keywords, models and destinations, and for rules that are never reached or overlap."""
    settings = load_settings(config)
    problems = problems_of_rules(settings)
    if json:
        print_json({"rules": len(settings.rules), "problems": problems})
    else:
        for one in problems:
            known = not one.rule or one.message.startswith((f"rule {one.rule!r}", one.rule))
            typer.echo(f"{one.severity}: {one.message if known else f'rule {one.rule!r}: {one.message}'}")
        typer.echo(f"{len(settings.rules)} rules, {len(problems)} problems")
    if any(one.severity is Severity.ERROR for one in problems):
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    what: Annotated[str, typer.Argument(metavar="FILE|UID", help="A DICOM file, or the UID of a stored study, series or instance.")],
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
    source: Annotated[str, typer.Option(help="For a file: as if it came from this source.")] = "",
    calling_ae: Annotated[str, typer.Option(help="For a file: as if this AE title had sent it.")] = "",
    called_ae: Annotated[str, typer.Option(help="For a file: as if it had been sent to this AE title.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="For a study: at most so many instances.")] = 20,
) -> None:
    """Say which rule takes an instance, what every condition saw, and what every model says of it."""
    settings = load_settings(config)
    models = known_models(settings)
    policy = Policy(wiring.load_rules(settings), models.requirements, models.device_uids)
    if Path(what).is_file():
        subjects = [Subject("", Path(what), Origin(Via.DIMSE, source, calling_ae, called_ae, ""))]
    else:
        subjects = stored(wiring.open_database(settings), wiring.open_store(settings).path, what, limit=limit)
    answers = [explain(policy, subject) for subject in subjects]
    if json:
        print_json(answers)
        return
    console = Console()
    for answer in answers:
        console.print(_tree(answer))


def _tree(answer: dict[str, Any]) -> Tree:
    tree = Tree(f"[bold]{escape(answer['sop_instance_uid'] or answer['file'])}[/bold]")
    if answer["error"]:
        tree.add(f"cannot be read: {escape(answer['error'])}")
        return tree
    if answer["routed"]:
        tree.add(f"when it came: {escape(answer['routed']['outcome'])} {escape(answer['routed']['detail'] or '')}")
    for one in answer["rules"]:
        branch = tree.add(f"{_mark(one['acts'])} rule [bold]{escape(one['rule'])}[/bold]: {escape(one['why'])}")
        if one["acts"]:
            where = ", ".join(one["destinations"]) or "nowhere"
            branch.add(escape(f"so: model {one['model']}, trigger {one['trigger']}, results to {where}"))
        _add(branch, one["condition"])
    for model, one in answer["models"].items():
        said = "reads it" if one["eligible"] else f"does not read it: {one['reason']}. {one['sentence']} Seen: {one['detail']}"
        tree.add(f"{_mark(one['eligible'])} model [bold]{escape(model)}[/bold] {escape(said)}")
    return tree


def _add(tree: Tree, condition: dict[str, Any]) -> None:
    text = f"{_mark(condition['held'])} {escape(condition['condition'])}"
    if "seen" in condition and condition["condition"] != "every instance":
        text += ", seen: " + escape(", ".join(map(repr, condition["seen"])) or "nothing")
    branch = tree.add(text)
    for part in condition.get("parts", ()):
        _add(branch, part)


def _mark(held: bool) -> str:
    return "[green]✓[/green]" if held else "[red]✗[/red]"
