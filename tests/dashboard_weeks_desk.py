"""What people and the node have left behind in the nine weeks of `tests.dashboard_weeks`: all SIMULATED, nobody's words."""

from __future__ import annotations

import os
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, select

from ptx_node.dashboard.desk import Desk, DestinationFacts, RuleBook
from ptx_node.db import api_tokens, assessments, exports, thresholds, users, watching
from ptx_node.db import audit as trail
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import DestinationState, Heartbeat, Instance, Refusal, ReportLabelRow
from ptx_node.db.watching import AlarmOutcome
from ptx_node.dicom.attributes import known_keywords
from ptx_node.domain.access import Permission, Role
from ptx_node.domain.assessment import Assessment
from ptx_node.domain.audit_events import delivery, login, looked
from ptx_node.domain.routing import parse_rules
from ptx_node.domain.rule_check import Site
from ptx_node.settings import load
from ptx_node.validation.drift_watch import Terms, look_at
from ptx_node.wiring.desk import cards
from ptx_node.wiring.models import describe_models, known_models
from tests.answered import ZONE
from tests.factories import Size, as_file, dx

KINDS = frozenset({"seg", "sr", "sc"})
RULES = """[[rules]]
name = "chest radiographs"
model = "ptx-cxr-demo"
trigger = "instance"
priority = 60
match = { keyword = "Modality", any_of = ["CR", "DX"] }
destinations = [{ name = "pacs", kinds = ["seg", "sr"] }]

[[rules]]
name = "chest CT"
model = "ptx-ct-demo"
trigger = "series"
quiet_s = 30
priority = 40
match = { keyword = "Modality", any_of = ["CT"] }
destinations = [{ name = "pacs", kinds = ["seg", "sr"] }]
"""
PEOPLE = (("anna", Role.ADMINISTRATOR), ("bruno", Role.OPERATOR), ("chloe", Role.REVIEWER), ("dora", Role.AUDITOR), ("emil", Role.VIEWER))
LOOKS = 15
"""Days on which the watch over drift has looked."""


def desk(folder: Path, store: Path) -> Desk:
    """Two rules, the two models that ship with the node, two destinations, exports."""
    config = folder / "ptx.toml"
    config.write_text('[node]\nhome = "home"\n', encoding="ascii")
    settings = load(config)
    models, ends = known_models(settings), now() + timedelta(days=21)
    site = Site(known_keywords(), tuple(models.requirements), {"pacs": KINDS, "research": KINDS})
    rules = parse_rules(tomllib.loads(RULES)["rules"])
    echo = "PACS@10.20.0.2:11112 answers C-ECHO"
    return Desk(
        rule_book=RuleBook(rules, RULES, site, models.requirements, models.device_uids, store.joinpath),
        destinations={
            "pacs": DestinationFacts(
                *("dimse", "PACS@10.20.0.2:11112", ("seg", "sr"), 604_800.0, lambda: echo),
                lambda: {"ours": ends, "whom we trust": ends + timedelta(days=900)},
            ),
            "research": DestinationFacts("dicomweb", "https://research.example/dicom-web", ("seg",), 604_800.0, lambda: "answers QIDO-RS"),
        },
        exports=folder / "exports",
        models=lambda: cards(settings),
    )


def left_behind(engine: Engine) -> None:
    """Processes, people, decisions, alarms, packages: everything that is no study."""
    moment = now()
    _the_node(engine, moment)
    _people(engine, moment)
    _decisions(engine, moment)
    _packages(engine, moment)
    yesterday = moment.astimezone(ZONE).date() - timedelta(days=1)
    for before in range(LOOKS - 1, -1, -1):
        look_at(engine, Terms(ZONE), yesterday - timedelta(days=before))
    with begin_write(engine) as session:
        settled = next((one for one in watching.alarms(session) if one.name == "manufacturer"), None)
        if settled is not None:
            note = "the intensive care's new detectors, in use since the 2nd"
            watching.acknowledge(session, settled.id, AlarmOutcome.NEW_NORMAL, note, by="user anna", now=moment)


def _the_node(engine: Engine, moment: datetime) -> None:
    gpu = {"gpus": [{"name": "NVIDIA L4", "memory_bytes": 24_000_000_000, "memory_used_bytes": 2_100_000_000, "utilisation": 0.12}]}
    roles = {"receive": {}, "worker-infer": gpu, "worker-flow": {}, "schedule": {}}
    with begin_write(engine) as session:
        for place, (role, detail) in enumerate(roles.items()):
            started = {"started_at": moment - timedelta(days=9, hours=place), "beat_at": moment + timedelta(hours=1)}
            session.add(Heartbeat(process=role, role=role, host="ptx-1", pid=812 + place, **started, detail=detail))
        reason = "moves to a new server until Monday"
        session.add(DestinationState(name="research", suspended=True, reason=reason, changed_at=moment, failures=0, retry_at=None))
        about = {"sop_instance_uid": "1.2.9", "sop_class_uid": "1.2.840", "status": "0xA900", "reason": "uid_mismatch"}
        sender = {"via": "dimse", "calling_ae": "CT_ER", "peer_address": "10.20.0.9"}
        session.add(Refusal(**about, **sender, detail="", refused_at=moment - timedelta(hours=5)))


def _people(engine: Engine, moment: datetime) -> None:
    with begin_write(engine) as session:
        for place, (name, role) in enumerate(PEOPLE):
            one = users.add(session, name, role, by="user anna" if place else "node", now=moment - timedelta(days=50 - place))
            one.password_hash = "-"
        scopes = {"grafana": [Permission.METRICS], "modality-stow": [Permission.STOW]}
        for name, allowed in scopes.items():
            api_tokens.add(session, name, allowed, life=timedelta(days=365), by="user anna", now=moment - timedelta(days=40))
        users.disable(session, "emil", by="user anna", now=moment)


def _decisions(engine: Engine, moment: datetime) -> None:
    (cxr,) = (one for one in describe_models(load(None)) if one["name"] == "ptx-cxr-demo")
    about = {"model": "ptx-cxr-demo", "weights_sha256": cxr["weights_sha256"]}
    with begin_write(engine) as session:
        then = moment - timedelta(days=20)
        proposal = thresholds.record(
            session, thresholds.Action.PROPOSED, **about, value=0.6127, decided_by="user anna", now=then, evidence={"patients": 214}
        )
        why = "sensitivity of at least 0.9 on our CT reports; agreed in the meeting of the department"
        thresholds.record(
            session, thresholds.Action.APPLIED, **about, value=0.6127, decided_by="user anna", now=then, note=why, proposal_id=proposal
        )
        for label in session.scalars(select(ReportLabelRow).where(ReportLabelRow.value == "uncertain").order_by(ReportLabelRow.id)):
            label.needs_review, label.review = True, ["hedged"]
        for one in assessments.disagreements(session, 3):
            about_it = {"pair_id": one.pair_id, "by": "user chloe", "note": "skin fold"}
            assessments.assess(session, one.finding_id, Assessment.REJECT, **about_it, now=moment)
        known = {"study_instance_uid": "2.25.4711", "sop_instance_uid": "2.25.4712", "destination": "pacs"}
        trail.note(
            session,
            login("user bruno", "signed_in", how="password", address="10.20.3.4"),
            looked("user bruno", "page", ["2.25.4711"]),
            delivery("answered", status="0x0000", **known),
            delivery("proof", actor="peer PACS@10.20.0.2", proof="storage_commitment", **known),
            login("peer @10.20.3.99", "wrong_password", how="password", address="10.20.3.99"),
        )


def _packages(engine: Engine, moment: datetime) -> None:
    shared = {"truth": "report", "identified": False, "with_report_text": False}
    first, last = moment.date() - timedelta(days=60), moment.date() - timedelta(days=30)
    asked = {"since": first.isoformat(), "until": last.isoformat(), **shared}
    with begin_write(engine) as session:
        for name, images in (("auditors", False), ("university", True), ("auditors", True)):
            exports.ask(session, {**asked, "name": name, "with_images": images}, by="user dora", now=moment - timedelta(days=2))
    digest, counts = "5f1c" * 16, {"cases": 312, "patients": 298, "images": 0}
    with begin_write(engine) as session:
        one = exports.claim(session, moment - timedelta(days=2))
        assert one is not None
        exports.built(session, one.id, digest, counts, moment - timedelta(days=2))
        exports.verified(session, one.id, [], moment - timedelta(days=1))
    with begin_write(engine) as session:
        one = exports.claim(session, moment - timedelta(days=2))
        assert one is not None
        exports.failed(session, one.id, "there is no room: 42 GB are needed and 11 GB are free", moment - timedelta(days=2))
    with begin_write(engine) as session:
        one = exports.claim(session, moment)
        assert one is not None
        exports.tell(session, one.id, "images: 120 of 298")


def files(engine: Engine, store: Path) -> None:
    """A small image for each row, so that pages and a replay of rules find what to open."""
    with begin_read(engine) as session:
        rows = list(session.execute(select(Instance.path, Instance.modality).order_by(Instance.id)))
    made = {}
    for path, modality in rows:
        (store / path).parent.mkdir(exist_ok=True)
        if modality not in made:
            made[modality] = store / path
            made[modality].write_bytes(as_file(dx(size=Size(64, 64), Modality=modality)))
        else:
            os.link(made[modality], store / path)
