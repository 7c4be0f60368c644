"""How radiology reports come in: the intake that every door and command leads to, and the doors of HL7 and FHIR."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ptx_node.db import heartbeats, schema
from ptx_node.db.api_tokens import holds, opened_by_token
from ptx_node.domain.access import Permission
from ptx_node.domain.radiology_report import Authorities
from ptx_node.errors import ConfigurationError
from ptx_node.inbound.fhir import FhirDoor, create_app
from ptx_node.inbound.hl7_door import Hl7Door
from ptx_node.inbound.hl7_mllp import MllpServer
from ptx_node.inbound.http_door import server
from ptx_node.inbound.storage_scp import listen
from ptx_node.inbound.tls import tls_context
from ptx_node.log import get
from ptx_node.pipeline.patients import register_new
from ptx_node.pipeline.report_intake import ReportIntake
from ptx_node.pipeline.report_sr import take_waiting
from ptx_node.reports import label_examined
from ptx_node.wiring.door_certificates import warn_of_certificate
from ptx_node.wiring.node import open_database, open_store, stop_on_signals, tls_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from ptx_node.domain.radiology_report import Examination
    from ptx_node.domain.truth import ReportLabel
    from ptx_node.settings import Settings

log = get(__name__)


def load_authorities(settings: Settings) -> Authorities:
    """The site's names of those who give out patient numbers."""
    aliases = {name.strip().casefold().removeprefix("urn:oid:"): own for name, own in settings.patients.authorities.items()}
    return Authorities(settings.patients.default_authority, aliases)


def read_report(text: str, examination: Examination, /) -> ReportLabel:
    """What reads the reports: the rules of `ptx_node.reports`, which tell the language by the words, and see what was examined."""
    return label_examined(text, examination)


def make_intake(settings: Settings, engine: Engine) -> ReportIntake:
    """The one function that every report comes through, for this process."""
    return ReportIntake(engine, open_store(settings), labeller=read_report, authorities=load_authorities(settings))


def find_patients(settings: Settings, engine: Engine) -> Callable[[], None]:
    """A look, for the scheduler: new instances get their patient, waiting reports find theirs, structured reports are read."""
    authorities, store, zone = load_authorities(settings), open_store(settings), ZoneInfo(settings.node.time_zone)
    intake = make_intake(settings, engine)

    def look() -> None:
        while register_new(engine, authorities):
            pass
        while take_waiting(engine, store, intake, zone):
            pass

    return look


def receive_hl7(settings: Settings) -> int:
    """Run the HL7 door until SIGTERM; the exit code.

    Raises:
        ConfigurationError: nobody could enter: no sender is named.
    """
    hl7 = settings.hl7
    if not hl7.senders:
        raise ConfigurationError("the HL7 door would let nobody in: name at least one sender ([[hl7.senders]])")
    engine = open_database(settings)
    schema.require_latest(engine)
    warn_of_certificate(settings, "hl7")
    tls = tls_context(tls_paths(hl7.tls, settings))
    door = Hl7Door(make_intake(settings, engine), hl7.senders, ZoneInfo(settings.node.time_zone))
    listener = listen(hl7.host, hl7.port)
    server = MllpServer(
        listener,
        door.answer,
        max_message_bytes=hl7.max_message_bytes,
        max_connections=hl7.max_connections,
        message_timeout_s=hl7.message_timeout_s,
        tls=tls,
    )
    log.info("HL7 door listens", host=hl7.host, port=listener.getsockname()[1], tls=tls is not None)
    with heartbeats.beating(engine, "receive-hl7"), stop_on_signals() as stop:
        threading.Thread(target=_stop_after, args=(stop, server), name="stop", daemon=True).start()
        server.serve()
    listener.close()
    return 0


def receive_fhir(settings: Settings) -> int:
    """Run the FHIR door until SIGTERM; the exit code.

    Raises:
        ConfigurationError: nobody could enter: there is neither a token nor a demand for client certificates.
    """
    fhir = settings.fhir
    engine = open_database(settings)
    schema.require_latest(engine)
    if not fhir.bearer_tokens and fhir.tls.trusted is None and not opened_by_token(engine, Permission.FHIR):
        raise ConfigurationError(
            "the FHIR door would let nobody in: make a token with `ptx tokens add NAME --scope fhir`, set fhir.bearer_tokens, "
            "or fhir.tls.trusted for client certificates"
        )
    door = FhirDoor(
        fhir.source,
        ZoneInfo(settings.node.time_zone),
        bearer_tokens=tuple(token.get_secret_value() for token in fhir.bearer_tokens),
        scoped=lambda given: holds(engine, given, Permission.FHIR),
        client_certificates=fhir.tls.trusted is not None,
        max_request_bytes=fhir.max_request_bytes,
    )
    warn_of_certificate(settings, "fhir")
    files = tls_paths(fhir.tls, settings)
    app = create_app(make_intake(settings, engine), door)
    log.info("FHIR door listens", host=fhir.host, port=fhir.port, tls=files.certificate is not None)
    with heartbeats.beating(engine, "receive-fhir"):
        server(app, fhir.host, fhir.port, files).run()
    return 0


def _stop_after(stop: threading.Event, server: MllpServer) -> None:
    stop.wait()
    server.stop()
