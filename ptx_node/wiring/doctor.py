"""`ptx doctor`: looks at everything a node needs and says, for each, what is wrong and what to do."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ptx_node.db import schema
from ptx_node.db.session import now
from ptx_node.domain.retrieval import StudyQuery
from ptx_node.domain.rule_check import Severity
from ptx_node.errors import PtxError
from ptx_node.settings import WebhookReceiver
from ptx_node.wiring import export_folder
from ptx_node.wiring.door_certificates import certificate_shown, doors_with_tls
from ptx_node.wiring.models import describe_models, problems_of_rules
from ptx_node.wiring.monitoring import ask_broker
from ptx_node.wiring.node import make_destination, make_home, open_database
from ptx_node.wiring.notices import make_receiver
from ptx_node.wiring.retrieval import make_archive, make_pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ptx_node.settings import Archive, NoticeReceiver, Settings

OK, WARNING, FAILED = "ok", "warning", "failed"
NO_STUDY = "2.25.0"
ENDS_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: str
    detail: str


def examine(settings: Settings) -> list[Check]:
    """Look at everything; nothing is changed, and nothing is sent but echoes."""
    looks = (_home, _database, _broker, _doors, _models, _rules, _destinations, _archives, _receivers)
    return [check for look in looks for check in look(settings)]


def _tried(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, OK, look())
    except PtxError as error:
        return Check(name, FAILED, str(error))


def _home(settings: Settings) -> Iterator[Check]:
    def look() -> str:
        home = make_home(settings)
        probe = home / ".doctor"
        try:
            probe.write_text(now().isoformat(), encoding="ascii")
            probe.unlink()
        except OSError as error:
            raise PtxError(f"{home} cannot be written: {error.strerror}. Give this user the folder, or set another node.home") from error
        free = shutil.disk_usage(home).free
        if free < settings.store.watermark_bytes:
            raise PtxError(f"{free >> 20} MiB free on {home}, below store.watermark_bytes: every instance is refused (A700). Make room")
        return f"{home}, {free >> 30} GiB free"

    yield _tried("home", look)
    count, held = export_folder.size_bytes(settings)
    if count or held:
        yield Check("exports", OK, f"packages: {count}, {held >> 20} MiB in {export_folder.exports_folder(settings)}")


def _database(settings: Settings) -> Iterator[Check]:
    def look() -> str:
        engine = open_database(settings)
        schema.require_latest(engine)
        return f"{engine.dialect.name} at revision {schema.latest()}"

    yield _tried("database", look)


def _broker(settings: Settings) -> Iterator[Check]:
    if settings.broker.url.get_secret_value() == "embedded" and not (settings.home / "broker.url").is_file():
        yield Check("broker", WARNING, "embedded: `ptx up` starts it")
        return

    def look() -> str:
        ask_broker(settings)
        return "Redis answers"

    yield _tried("broker", look)


def _doors(settings: Settings) -> Iterator[Check]:
    if not settings.dicom.peers:
        yield Check("dicom.peers", WARNING, "nobody may send by DIMSE: name calling AE titles in [[dicom.peers]]")
    for peer in settings.dicom.peers:
        if peer.ae_title == "*" and "*" in peer.addresses:
            yield Check("dicom.peers", WARNING, "anybody may send by DIMSE: name AE titles and addresses in [[dicom.peers]]")
    if settings.dicom.host not in {"127.0.0.1", "localhost", "::1"} and settings.dicom.tls.certificate is None:
        yield Check("dicom.tls", WARNING, "DIMSE is open to other machines without TLS: set dicom.tls where the peers can")
    for door, name in doors_with_tls(settings):
        yield _certificate(settings, door, name)
    if settings.stow.enabled and not settings.stow.bearer_tokens and settings.stow.tls.trusted is None:
        yield Check("stow", FAILED, "STOW-RS is enabled, but nobody may use it: set stow.bearer_tokens or client certificates")


def _certificate(settings: Settings, door: str, name: str) -> Check:
    try:
        anybody, called = certificate_shown(settings, door), certificate_shown(settings, door, name)
    except PtxError as error:
        return Check(f"{door}.tls", FAILED, str(error))
    if anybody.ends_at is None:
        return Check(f"{door}.tls", FAILED, f"the certificate: {anybody.refusal}; peers that check it refuse to talk to this door")
    ends = f"the certificate ends on {anybody.ends_at:%Y-%m-%d}"
    if called.refusal:
        return Check(f"{door}.tls", WARNING, f"{ends}, and {called.refusal}: peers that call this door so and check it refuse it")
    return Check(f"{door}.tls", WARNING if anybody.ends_at - now() < ENDS_SOON else OK, ends)


def _models(settings: Settings) -> Iterator[Check]:
    rows = describe_models(settings)
    if not rows:
        yield Check("models", FAILED, "no model: name a bundle folder in [models]")
    for row in rows:
        yield Check(f"model {row['name']}", FAILED if row["problem"] else OK, row["problem"] or f"version {row['version']}, weights intact")


def _rules(settings: Settings) -> Iterator[Check]:
    if not settings.rules:
        yield Check("rules", WARNING, "no rules: everything is stored and nothing is read")
    for one in problems_of_rules(settings):
        yield Check(f"rule {one.rule}" if one.rule else "rules", FAILED if one.severity is Severity.ERROR else WARNING, one.message)


def _destinations(settings: Settings) -> Iterator[Check]:
    if not settings.destinations:
        yield Check("destinations", WARNING, "no destinations: findings stay in the node")
    for one in settings.destinations:
        adapter = make_destination(one, settings)
        yield _tried(f"destination {one.name}", adapter.echo)


def _receivers(settings: Settings) -> Iterator[Check]:
    """Their files and templates; a notice is sent by `ptx notify test` only."""
    for one in settings.notifications.receivers:

        def look(one: NoticeReceiver = one) -> str:
            receiver = make_receiver(one, settings)
            return f"{one.type}, {len(receiver.recipients)} recipient(s); try it: ptx notify test {one.name}"

        yield _tried(f"receiver {one.name}", look)
        plain = one.plain_http if isinstance(one, WebhookReceiver) else one.security == "none"
        if plain:
            yield Check(f"receiver {one.name}", WARNING, "its notices go without TLS: meant for the same machine only")


def _archives(settings: Settings) -> Iterator[Check]:
    """A question about a study that nobody has: it costs an archive nothing, and shows that it answers us."""
    for one in settings.archives:

        def look(one: Archive = one) -> str:
            make_pace(one, settings)
            make_archive(one, settings).find_studies(StudyQuery(study_instance_uid=NO_STUDY), limit=1)
            return "answers queries"

        yield _tried(f"archive {one.name}", look)
