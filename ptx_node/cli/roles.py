"""`ptx up`, and its parts one role each: `ptx receive`, `ptx worker`, `ptx schedule`, `ptx dashboard`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, load_settings
from ptx_node.wiring.node import stop_on_signals


class Queue(StrEnum):
    """Queues of work: `infer` needs the model, `flow` routes and delivers."""

    INFER = "infer"
    FLOW = "flow"


class Door(StrEnum):
    """The doors that `ptx receive` opens."""

    ALL = "all"
    DIMSE = "dimse"
    STOW = "stow"
    HL7 = "hl7"
    FHIR = "fhir"


def register(app: typer.Typer) -> None:
    """Add the commands to `ptx`."""
    for command in (up, receive, worker, schedule, dashboard):
        app.command()(command)


def up(config: ConfigOption = None) -> None:
    """Run the whole node here: receiver, workers, scheduler, dashboard, and a Redis where none is configured."""
    from ptx_node.wiring import roles  # noqa: PLC0415 - each role loads only what it needs

    settings = load_settings(config)
    with stop_on_signals() as stop:
        roles.up(settings, stop, say=typer.echo)


def receive(
    config: ConfigOption = None,
    door: Annotated[Door, typer.Option(help="One door only, in this process.")] = Door.ALL,
) -> None:
    """Run the doors: the Storage SCP, and STOW-RS, HL7 and FHIR where they are enabled."""
    from ptx_node.wiring import doors  # noqa: PLC0415

    raise typer.Exit(doors.receive(load_settings(config), door))


def worker(
    config: ConfigOption = None,
    queue: Annotated[Queue, typer.Option("--queue", "-q", help="infer (the model) or flow (routing and delivery).")] = Queue.INFER,
) -> None:
    """Run a worker for one queue. A node needs at least one of each."""
    from ptx_node.wiring import roles  # noqa: PLC0415

    raise typer.Exit(roles.worker(load_settings(config), queue))


def schedule(config: ConfigOption = None) -> None:
    """Run the sweeper, which looks at the rows and rings for all that is due."""
    from ptx_node.wiring import roles  # noqa: PLC0415

    settings = load_settings(config)
    with stop_on_signals() as stop:
        roles.schedule(settings, stop)


def dashboard(config: ConfigOption = None) -> None:
    """Run the dashboard: pages and an HTTP API over the node's rows."""
    from ptx_node.wiring import dashboard as wiring  # noqa: PLC0415

    raise typer.Exit(wiring.serve(load_settings(config)))
