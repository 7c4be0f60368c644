"""The doors of the node: the Storage SCP, and STOW-RS where it is enabled. Neither loads torch or decodes pixels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ptx_node.db import heartbeats, schema
from ptx_node.inbound import supervisor
from ptx_node.inbound.commitment_scp import DurableCommitmentScp
from ptx_node.log import get
from ptx_node.pipeline.receive import Receiver
from ptx_node.wiring.node import broker_url, open_database, open_store
from ptx_node.worker.app import make_app
from ptx_node.worker.doorbell import Doorbell

if TYPE_CHECKING:
    from ptx_node.inbound.association import CommitmentScp
    from ptx_node.settings import Settings

log = get(__name__)


def make_receiver(settings: Settings) -> Receiver:
    """The one function that every door leads to, for this process."""
    bell = Doorbell(make_app(broker_url(settings)))
    return Receiver(
        open_database(settings),
        open_store(settings),
        invalid_uid=settings.dicom.invalid_uid,
        max_instance_bytes=settings.dicom.max_instance_bytes,
        ring=lambda: bell.ring("ptx.enqueue"),
    )


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

    return supervisor.serve(settings.dicom, build, ready=ready)
