"""`ptx export`: a package for auditors; `verify` and `recompute` of one, without a node."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, acting_user, load_settings, print_json
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import UsageError
from ptx_node.validation import audit_segment, bag
from ptx_node.validation.package import Request

if TYPE_CHECKING:
    from ptx_node.wiring.export import Exported

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MOST_SHOWN = 20

app = typer.Typer(invoke_without_command=True, help="A package for auditors: cases, figures, report, audit trail; verify or recompute one.")
PackageArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with bagit.txt.")]


@app.callback()
def export(  # noqa: PLR0917 - typer turns each argument into an option
    context: typer.Context,
    config: ConfigOption = None,
    since: Annotated[str, typer.Option(help="First local day of examination: 2026-03-01.")] = "",
    until: Annotated[str, typer.Option(help="Last local day of examination.")] = "",
    out: Annotated[Path | None, typer.Option(help="The folder to make; it must not be there, or be empty.")] = None,
    with_images: Annotated[bool, typer.Option("--with-images", help="De-identified images of the counted cases too.")] = False,
    with_report_text: Annotated[bool, typer.Option("--with-report-text", help="Texts of reports too; needs --identified.")] = False,
    identified: Annotated[bool, typer.Option("--identified", help="The site's own numbers, UIDs and dates: it stays at the site.")] = False,
    truth: Annotated[TruthKind, typer.Option(help="Whose word is the truth.")] = TruthKind.REPORT,
    name: Annotated[str, typer.Option(help="Of the export: one for each receiver, so that pseudonyms cannot be linked.")] = "auditors",
    cohort: Annotated[str, typer.Option(help="Of a cohort that `ptx cohort build` made, in place of a period.")] = "",
    prevalence: Annotated[float | None, typer.Option(help="Tell predictive values also for this share of patients with one.")] = None,
    json: JsonOption = False,
) -> None:
    """Write one package of a period or a cohort; nothing stays where it cannot be written as whole."""
    if context.invoked_subcommand is not None:
        return
    if out is None or bool(cohort) == bool(since or until) or bool(since) != bool(until):
        raise UsageError("an export needs --out, and --since and --until, or --cohort alone. See: ptx export --help")
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name an export: letters, digits, point, dash and underscore, at most 63")
    from ptx_node.wiring.export import request_of_cohort, run_export  # noqa: PLC0415 - verify and recompute need no node

    settings = load_settings(config)
    first, last = (date.min, date.max) if cohort else (_day(since), _day(until))
    zone = settings.node.time_zone
    request = Request(first, last, name, zone, truth, identified, with_images, with_report_text, cohort, prevalence)
    if cohort:
        request = request_of_cohort(settings, request)
    done = run_export(settings, request, out, actor=acting_user())
    if json:
        print_json(_told(done))
    else:
        typer.echo(_words(done, request))


@app.command()
def verify(folder: PackageArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Hold every byte of a package against its manifests, and its audit rows against their chain; exit code 1 names what is wrong.

    With --config the audit rows are held against the trail of that node too.
    """
    found = [f"{one.path}: {one.what}" for one in bag.problems(folder)]
    about = None
    if not found:
        about = audit_segment.read_about(folder / bag.PAYLOAD)
        broken = audit_segment.broken(folder / bag.PAYLOAD, _trail(config))
        found += [f"audit trail: {broken}"] if broken else []
    digest = bag.bag_digest(folder) if not found else ""
    if json:
        trail = {"rows": about.rows, "head": str(about.head), "against_node": config is not None} if about else None
        print_json({"intact": not found, "problems": found, "package_sha256": digest, "audit": trail})
    elif found:
        for line in found[:MOST_SHOWN]:
            typer.echo(line)
        typer.echo(f"{len(found)} problems: this is not what was exported")
    elif about is not None:
        held = "and in the trail of this node" if config else "in a chain of its own; with --config also held against a node's trail"
        typer.echo(f"intact: every byte is as it was written\npackage {digest}\naudit trail: {about.rows} rows, {held}, head {about.head}")
    if found:
        raise typer.Exit(1)


@app.command()
def recompute(folder: PackageArgument, json: JsonOption = False) -> None:
    """Compute every figure of a package again from its cases; exit code 1 names each that is not the same to the last digit."""
    from ptx_node.validation.recompute import differences  # noqa: PLC0415 - the statistics take a second to load

    found = differences(folder)
    wrong = sum(not one.explains for one in found)  # another version of a library is no wrong figure
    if json:
        print_json({"same": not wrong, "differences": [str(one) for one in found]})
    else:
        for one in found[:MOST_SHOWN]:
            typer.echo(str(one))
        typer.echo(f"{wrong} differences" if wrong else "every figure is what the cases give, to the last digit")
    if wrong:
        raise typer.Exit(1)


def _trail(config: Path | None) -> audit_segment.Stands | None:
    if config is None:
        return None
    from ptx_node.wiring.export import trail_of  # noqa: PLC0415 - only beside a node

    return trail_of(load_settings(config))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day: write 2026-03-01") from None


def _told(done: Exported) -> dict[str, Any]:
    return {
        "folder": str(done.folder),
        "package_sha256": done.digest,
        "cases": done.cases,
        "patients": done.patients,
        "counted": done.counted,
        "simulated": done.simulated,
        "images": done.images,
        "images_left_out": done.images_left_out,
        "to_look_at": list(done.to_look_at),
    }


def _words(done: Exported, request: Request) -> str:
    who = "SIMULATED patients. " if done.simulated else ""
    whose = f"cohort {request.cohort}, " if request.cohort else ""
    lines = [
        f"{who}{whose}{done.cases} findings of {done.patients} patients, {done.counted} counted; {request.since} to {request.until}",
        f"package {done.digest}",
        f"{done.folder}: read data/report.html, check with: ptx export verify {done.folder}",
    ]
    if request.with_images:
        lines.insert(1, f"{done.images} images, {done.images_left_out} left out (data/images.csv says why)")
    if request.identified:
        lines.append("It holds the site's own numbers and dates: it stays at the site")
    lines += [f"Look at this: {one}" for one in done.to_look_at[:MOST_SHOWN]]
    return "\n".join(lines)
