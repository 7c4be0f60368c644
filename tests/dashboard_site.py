"""A dashboard with something behind every page: studies with files, reports in doubt, alarms, people, tokens, packages, thresholds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ptx_node.dashboard.computing import Computing
from ptx_node.dashboard.desk import Desk, DestinationFacts
from ptx_node.db import api_tokens, assessments, exports, thresholds
from ptx_node.db.session import begin_write, now
from ptx_node.db.thresholds import Action
from ptx_node.db.watch_tables import DriftLook, WatchAlarm
from ptx_node.domain.access import Permission, Role
from ptx_node.domain.assessment import Assessment
from ptx_node.errors import DestinationUnavailableError
from tests.dashboard import Dashboard, serving
from tests.dashboard_desk import rule_book, stored_day
from tests.dashboard_review_rows import a_report, disagreements
from tests.dashboard_rows import EVIL
from tests.factories import Place, as_file, ct_series, dx
from tests.findings import finding, picture
from tests.read_study import ReadStudy, store_study

WEIGHTS = "ab" * 32


@dataclass(frozen=True)
class Site:
    """The dashboard, two studies of which a model has read the files, a study that no model could read, and a token that opens all."""

    dashboard: Dashboard
    radiograph: ReadStudy
    volume: ReadStudy
    unread: ReadStudy
    report: int
    contradicted: int
    alarm: int
    proposal: int
    package: int
    token: str


@contextmanager
def a_site(engine: Engine, folder: Path, *, text: str = EVIL) -> Iterator[Site]:
    """The site while the block runs. `text` stands in every text of its images."""
    stored_day(engine, folder, 8)
    texts = dict.fromkeys(("StudyDescription", "SeriesDescription", "InstitutionName", "Manufacturer", "ProtocolName"), text)
    one, slices = dx(Place(study=91), PatientName=text, **texts), ct_series(4)
    radiograph = store_study(engine, folder, [as_file(one)], lambda _: (finding([one]), picture([one])))
    volume = store_study(engine, folder, [as_file(each) for each in slices], lambda _: (finding(slices), picture(slices)))
    unread = store_study(engine, folder, [as_file(dx(Place(study=92), PatientName=text))])
    (folder / "exports").mkdir()
    with begin_write(engine) as session:
        report = a_report(session, 1, study=radiograph.study_instance_uid)
        today = now().date()
        shared = {"weights_sha256": WEIGHTS, "model_name": "ptx-cxr-demo", "model_version": "1.0", "day": today}
        detail: dict[str, Any] = {"places": [text, "PA"], "reference": [0.5, 0.5], "window": [1.0, 0.0]}
        detail |= dict.fromkeys(("since", "reference_since", "reference_until"), today.isoformat())
        session.add(DriftLook(figure="view", detail=detail, **shared, **_LOOK))
        alarm = WatchAlarm(kind="drift", name="view", words=text, detail=detail, raised_at=now(), **shared)
        session.add(alarm)
        proposal = thresholds.record(
            session,
            Action.PROPOSED,
            model="ptx-cxr-demo",
            weights_sha256=WEIGHTS,
            value=0.4,
            decided_by="user anna",
            now=now(),
            evidence={"patients": 7},
        )
        package = exports.ask(session, _PACKAGE, by="user anna", now=now())
        token = api_tokens.add(session, "everything", list(Permission), life=timedelta(days=1), by="test", now=now())
        api_tokens.add(session, "spare", [Permission.STATUS], life=timedelta(days=1), by="test", now=now())
        session.flush()
        number = alarm.id
    (contradicted,) = disagreements(engine, 1)
    with begin_write(engine) as session:
        assert radiograph.finding is not None
        assessments.assess(session, radiograph.finding, Assessment.ACCEPT, by="user rita", note=text, now=now())
        (folder / "exports" / str(package)).mkdir()
        exports.built(session, package, "cd" * 32, {"cases": 3, "patients": 3, "images": 0, "look at": [text]}, now())
    (folder / "exports" / str(package) / "cases.csv").write_text("case\n1\n", encoding="utf-8")
    with serving(engine, folder, destinations=("pacs", "research"), desk=_desk(folder, text)) as dashboard:
        dashboard.shell.inside.state.computing = Computing(waiting=0)  # one set of figures at a time is enough
        dashboard.add("anna", Role.ADMINISTRATOR)
        dashboard.add("vera", Role.VIEWER)
        yield Site(dashboard, radiograph, volume, unread, report, contradicted, number, proposal, package, token)
    shutil.rmtree(folder / "exports")


_LOOK = {
    "method": "chi",
    "reference_count": 50,
    "window_count": 50,
    "crossed": True,
    "statistic": 9.0,
    "p_value": 0.001,
    "effect": 0.4,
    "looked_at": now(),
}
_PACKAGE = {
    "since": "2026-03-01",
    "until": "2026-03-31",
    "name": "auditors",
    "zone": "Europe/Paris",
    "truth": "report",
    "identified": False,
    "with_images": False,
    "with_report_text": False,
}


def _desk(folder: Path, text: str) -> Desk:
    def silent() -> str:
        raise DestinationUnavailableError(f"research does not answer: {text}")

    model = {"name": "ptx-cxr-demo", "version": "1.0", "weights_sha256": WEIGHTS, "threshold": 0.5, "intact": True, "problem": None}
    broken = {"name": "other", "intact": False, "problem": text, "card": ""}
    return Desk(
        rule_book(folder),
        {
            "pacs": DestinationFacts("dimse", "PACS@pacs:104", ("seg", "sr"), 3600.0, lambda: f"answers: {text}"),
            "research": DestinationFacts("dicomweb", "https://research/", ("sr",), 3600.0, silent, lambda: {"ours": text}),
        },
        folder / "exports",
        lambda: [model | {"card": f"# Card\n{text}"}, broken],
    )
