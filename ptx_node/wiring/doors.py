"""The doors of the node: the Storage SCP, and STOW-RS, HL7 and FHIR where they are enabled. None loads torch or decodes pixels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ptx_node.db import heartbeats, schema
from ptx_node.db.api_tokens import holds, opened_by_token
from ptx_node.domain.access import Permission
from ptx_node.errors import ConfigurationError
from ptx_node.inbound import supervisor
from ptx_node.inbound.commitment_scp import DurableCommitmentScp
from ptx_node.inbound.http_door import server
from ptx_node.inbound.stow_rs import StowDoor, create_app
from ptx_node.log import get
from ptx_node.pipeline.receive import Receiver
from ptx_node.wiring import reports
from ptx_node.wiring.door_certificates import warn_of_certificate
from ptx_node.wiring.node import broker_url, make_logs, open_database, open_store, process_environment, stop_on_signals, tls_paths
from ptx_node.worker.app import make_app
from ptx_node.worker.doorbell import Doorbell
from ptx_node.worker.supervisor import Child, role_command, supervise

if TYPE_CHECKING:
    from ptx_node.inbound.association import CommitmentScp
    from ptx_node.settings import Settings

RING_INTERVAL_S = 0.1
"""A series comes in hundreds of instances a second, and a message costs as much as an instance: ten a second are enough."""

log = get(__name__)


def make_receiver(settings: Settings) -> Receiver:
    """The one function that every door leads to, for this process."""
    bell = Doorbell(make_app(broker_url(settings)), interval_s=RING_INTERVAL_S)
    return Receiver(
        open_database(settings),
        open_store(settings),
        invalid_uid=settings.dicom.invalid_uid,
        max_instance_bytes=settings.dicom.max_instance_bytes,
        ring=lambda: bell.ring("ptx.enqueue"),
    )


def open_doors(settings: Settings) -> list[str]:
    """The names of the doors that the settings open."""
    return [
        "dimse",
        *(["stow"] if settings.stow.enabled else []),
        *(["hl7"] if settings.hl7.enabled else []),
        *(["fhir"] if settings.fhir.enabled else []),
    ]


def receive(settings: Settings, door: str) -> int:
    """Open one door in this process (`dimse`, `stow`, `hl7`, `fhir`), or `all`: one process a door, kept alive; the exit code."""
    one_door = {"dimse": receive_dimse, "stow": receive_stow, "hl7": reports.receive_hl7, "fhir": reports.receive_fhir}
    if door in one_door:
        return one_door[door](settings)
    names = open_doors(settings)
    if names == ["dimse"]:
        return receive_dimse(settings)
    env = process_environment(settings)
    logs = make_logs(settings)
    doors = [Child(f"receive-{name}", role_command("receive", "--door", name), env, logs / f"receive-{name}.log") for name in names]
    with stop_on_signals() as stop:
        supervise(doors, stop)
    return 0


def receive_stow(settings: Settings) -> int:
    """Run the STOW-RS door until SIGTERM; the exit code.

    Raises:
        ConfigurationError: nobody could enter: there is neither a token nor a demand for client certificates.
    """
    stow = settings.stow
    engine = open_database(settings)
    schema.require_latest(engine)
    if not stow.bearer_tokens and stow.tls.trusted is None and not opened_by_token(engine, Permission.STOW):
        raise ConfigurationError(
            "STOW-RS would let nobody in: make a token with `ptx tokens add NAME --scope stow`, set stow.bearer_tokens, "
            "or stow.tls.trusted for client certificates"
        )
    door = StowDoor(
        source=stow.source,
        bearer_tokens=tuple(token.get_secret_value() for token in stow.bearer_tokens),
        scoped=lambda given: holds(engine, given, Permission.STOW),
        client_certificates=stow.tls.trusted is not None,
        max_request_bytes=stow.max_request_bytes,
    )
    warn_of_certificate(settings, "stow")
    files = tls_paths(stow.tls, settings)
    log.info("STOW-RS listens", host=stow.host, port=stow.port, tls=files.certificate is not None)
    with heartbeats.beating(engine, "receive-stow"):
        server(create_app(make_receiver(settings), door), stow.host, stow.port, files).run()
    return 0


def receive_dimse(settings: Settings) -> int:
    """Run the Storage SCP until SIGTERM; the exit code."""
    engine = open_database(settings)
    schema.require_latest(engine)
    broker_url(settings)  # a missing broker is said here, not in each child
    engine.dispose()  # the children open their own; nothing of ours crosses the fork

    def build() -> tuple[Receiver, CommitmentScp]:
        receiver = make_receiver(settings)
        heartbeats.start(receiver.engine, "receive")
        return receiver, DurableCommitmentScp(receiver.engine)

    def ready(port: int) -> None:
        log.info("storage SCP listens", host=settings.dicom.host, port=port, ae_title=settings.dicom.ae_title, parent=os.getpid())

    warn_of_certificate(settings, "dicom")
    tls = tls_paths(settings.dicom.tls, settings)
    return supervisor.serve(settings.dicom.model_copy(update={"tls": tls}), build, ready=ready)
