"""`ptx commission`: known phantoms through the site's real routing, and every answer checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ptx_node.cli.context import ConfigOption, JsonOption, load_settings, make_console, print_json
from ptx_node.outbound.association import DimsePeer


def register(app: typer.Typer) -> None:
    """Add the command to `ptx`."""
    app.command()(commission)


def commission(
    *,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Where to send: the PACS that routes; else this node's own door.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its port; else this node's.")] = None,
    called_ae: Annotated[str | None, typer.Option(help="Its AE title; else this node's.")] = None,
    calling_ae: Annotated[str | None, typer.Option(help="Send as this AE title; else as the first peer that the node knows.")] = None,
    patients: Annotated[int, typer.Option(min=1, max=100, help="Radiographs; every second has a pneumothorax.")] = 4,
    site: Annotated[list[str] | None, typer.Option(help="Simulated site whose way of sending they have; may be repeated.")] = None,
    ct: Annotated[bool, typer.Option("--ct/--no-ct", help="Also two CT series.")] = True,
    rows: Annotated[int | None, typer.Option(min=64, max=4096, help="Rows of the pictures; else as the system sends them.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for all answers after the last phantom was sent.")] = 300.0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path("commissioning"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the phantoms' files beside the report.")] = False,
    json: JsonOption = False,
) -> None:
    """Send known SIMULATED phantoms through the site's routing and check every answer that comes back. Exit code 1 if any is wrong."""
    from ptx_node.commission.phantoms import Order  # noqa: PLC0415 - the simulator, only here
    from ptx_node.commission.run import Run  # noqa: PLC0415
    from ptx_node.commission.run import commission as run  # noqa: PLC0415

    settings = load_settings(config)
    known = next((peer.ae_title for peer in settings.dicom.peers if peer.ae_title != "*"), "PTX_COMMISSION")
    address = "127.0.0.1" if settings.dicom.host == "0.0.0.0" else settings.dicom.host  # noqa: S104 - compared, not bound
    peer = DimsePeer(host or address, port or settings.dicom.port, called_ae or settings.dicom.ae_title, calling_ae or known)
    order = Order(patients, tuple(site) if site else Order().sites, ct, rows)
    routed = (peer.host, peer.port) != (address, settings.dicom.port)
    console = make_console()
    console.quiet = json
    report = run(settings, Run(peer, order, routed=routed, timeout_s=timeout, out=out, keep=keep), console)
    if json:
        print_json(report.as_json())
    if not report.passed:
        raise typer.Exit(1)
