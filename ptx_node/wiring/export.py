"""The auditors' export: from the settings and one snapshot of the database to a package that is there as whole, or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ptx_node import __version__
from ptx_node.db import audit, case_identifiers, model_history, schema, thresholds
from ptx_node.db.cases import Period
from ptx_node.db.cohorts import cohort_named
from ptx_node.db.session import begin_read, begin_snapshot, begin_write
from ptx_node.domain.audit import START
from ptx_node.domain.audit_events import export as export_event
from ptx_node.domain.promise import Promise
from ptx_node.domain.study import simulated_site
from ptx_node.errors import PermanentError
from ptx_node.model.metadata import WEIGHTS
from ptx_node.validation import audit_segment, figures, model_cards, package, package_scan, report
from ptx_node.validation.case_export import CASES_CSV, OVER_TIME_CSV, write_sample
from ptx_node.validation.case_rows import Identified, Pseudonymous, pseudonymous
from ptx_node.validation.case_table import read_cases, read_table
from ptx_node.validation.configuration import rules_told, settings_told
from ptx_node.validation.leak_needles import Identifier, Kind
from ptx_node.validation.metrics import OVER_TIME, USED, Analysis, canonical, compute
from ptx_node.validation.package_cases import write_case_images, write_report_texts
from ptx_node.validation.partial_folder import whole_or_nothing
from ptx_node.validation.samples import OfCohort, OfPeriod
from ptx_node.wiring.models import bundle_folders
from ptx_node.wiring.node import open_database, open_store, settings_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from sqlalchemy.orm import Session

    from ptx_node.domain.audit import Entry
    from ptx_node.settings import Settings
    from ptx_node.validation.case_export import CaseTable
    from ptx_node.validation.package import Request
    from ptx_node.validation.samples import Sample

DATA = "data"
UNNAMED = "a site that uses ptx-node"
KINDS = {
    case_identifiers.NUMBER: Kind.NUMBER,
    case_identifiers.ACCESSION: Kind.ACCESSION,
    case_identifiers.UID: Kind.UID,
    case_identifiers.STATION: Kind.DEVICE,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        digest: of the package: SHA-256 of its tag manifest.
        to_look_at: places where the scan found a short word that may be somebody's number, or an ordinary word.
    """

    folder: Path
    digest: str
    cases: int
    patients: int
    counted: int
    simulated: bool
    images: int
    images_left_out: int
    figures: Mapping[str, Any]
    to_look_at: tuple[str, ...]


def _silent(_step: str) -> None:
    """Nobody asks how far it is."""


def run_export(settings: Settings, request: Request, target: Path, *, actor: str, tell: Callable[[str], None] = _silent) -> Exported:
    """Write a package of the period.

    Args:
        settings: of the node.
        request: what is wanted.
        target: a folder that is not there, or empty.
        actor: who asks, for the audit trail.
        tell: is told each step, for people who wait.

    Raises:
        UsageError: asked wrongly, a library or the secret is missing, or the folder cannot be written.
        PermanentError: the scan found an identifier in what was to leave, or the audit trail is broken.
        StorageFullError: no room; nothing stays.
        DatabaseUnavailableError: a retry may help.
    """
    package.check_request(request)
    naming = _naming(settings, request)
    engine = open_database(settings)
    schema.require_latest(engine)
    try:
        with whole_or_nothing(target) as folder:
            with begin_snapshot(engine) as session:
                made = _Making(settings, request, session, sample_of(session, request), folder, naming, tell)
                exported = made.everything(target)
            # Before the folder has its name: no package leaves of which the trail says nothing.
            with begin_write(engine) as session:
                counts = {"cases": exported.cases, "counted": exported.counted, "patients": exported.patients, "images": exported.images}
                audit.note(session, export_event(actor, request.to_json(), counts, exported.digest))
    finally:
        engine.dispose()
    return exported


def sample_of(session: Session, request: Request) -> Sample:
    """Whom it is of.

    Raises:
        UsageError: there is no such cohort, or it is not complete.
    """
    if not request.cohort:
        return OfPeriod(session, Period(request.since, request.until, ZoneInfo(request.time_zone)), request.truth)
    return OfCohort(session, cohort_named(session, request.cohort))


def request_of_cohort(settings: Settings, request: Request) -> Request:
    """The request with the days of its cohort.

    Raises:
        UsageError: there is no such cohort.
    """
    engine = open_database(settings)
    schema.require_latest(engine)
    with begin_read(engine) as session:
        found = cohort_named(session, request.cohort)
    engine.dispose()
    return replace(request, since=found.since, until=found.until)


def trail_of(settings: Settings) -> audit_segment.Stands:
    """Rows of this node's own trail, for `ptx export verify`."""
    engine = open_database(settings)
    schema.require_latest(engine)

    def stands(first: int, last: int) -> Iterator[Entry]:
        with begin_snapshot(engine) as session:
            yield from audit.entries(session, audit.Segment(first, last))

    return stands


def _naming(settings: Settings, request: Request) -> Pseudonymous | Identified:
    if request.identified:
        return Identified()
    secret = settings.export.secret
    key = secret.get_secret_value() if secret else None
    return pseudonymous(key, request.name, keep_weekdays=settings.export.keep_weekdays)


@dataclass(frozen=True, slots=True)
class _Making:
    """One export under way."""

    settings: Settings
    request: Request
    session: Session
    sample: Sample
    folder: Path
    naming: Pseudonymous | Identified
    tell: Callable[[str], None]

    @property
    def data(self) -> Path:
        return self.folder / DATA

    def everything(self, target: Path) -> Exported:
        self.data.mkdir()
        self.tell("cases")
        smallest = self.settings.export.smallest_cell
        table = write_sample(self.sample, self.data, self.naming, smallest_cell=smallest)
        simulated = table.rows > 0 and (simulated_site(self.settings.node.site) or table.simulated == table.rows)
        self.tell("audit trail")
        about, dated = self._audit()
        self.tell("figures")
        metrics = self._figures(table, simulated=simulated)
        self._configuration()
        self.tell("images and texts")
        images, left_out = self._images()
        if self.request.with_report_text:
            write_report_texts(self.session, self.sample, self.data)
        package.write_texts(self.data, self.request, simulated=simulated, seed=metrics["analysis"]["seed"])
        package.write_json(
            self.data / package.ABOUT,
            {
                **self.request.to_json(),
                "simulated_cases": table.simulated,
                "cases": table.rows,
                "patients": table.patients,
                "audit": about.to_json(),
                "settings_sha256": settings_sha256(self.settings),
                "small_cells": None if table.plan is None else {"smallest": table.plan.smallest, "steps": list(table.plan.steps)},
                "images": {"written": images, "left_out": left_out},
                "versions": metrics["libraries"],
            },
        )
        site = self._site(simulated=simulated)
        self.tell("manifests")
        digest = package.close(self.folder, self.request, dated=dated, simulated=simulated, site=site)
        self.tell("looking for identifiers")
        seen = () if self.request.identified else self._scanned()
        counted = sum(end.count for end in table.flow.ends)
        return Exported(target, digest, table.rows, table.patients, counted, simulated, images, left_out, metrics, seen)

    def _audit(self) -> tuple[audit_segment.About, date]:
        """The trail's rows of the sample, and of what was said of its images later; and the day of the last one."""
        part = audit.segment(self.session, *self.sample.moments())
        if part is None:
            return audit_segment.write_segment(self.data, (), START, reduced=not self.request.identified), self.request.until
        last = model_history.last_that_matters(self.session, part.first, part.last)
        after = model_history.link_at(self.session, part.first - 1) or START
        rows = audit.entries(self.session, audit.Segment(part.first, last)) if last >= part.first else ()
        about = audit_segment.write_segment(self.data, rows, after, reduced=not self.request.identified)
        moment = model_history.recorded_at(self.session, about.head.sequence)
        return about, moment.astimezone(ZoneInfo(self.request.time_zone)).date() if moment else self.request.until

    def _figures(self, table: CaseTable, *, simulated: bool) -> dict[str, Any]:
        smallest = 1 if self.request.identified else self.settings.export.smallest_cell
        analysis = Analysis(
            smallest_cell=smallest,
            prevalence=self.request.prevalence,
            balanced=self.sample.balanced,
            promise=Promise(**self.settings.promised.model_dump()),
            simulated=simulated,
        )
        metrics = compute(read_cases(self.data / CASES_CSV, USED), read_table(self.data / OVER_TIME_CSV, OVER_TIME), analysis)
        (self.data / "metrics.json").write_bytes(canonical(metrics))
        package.write_json(self.data / "flow.json", table.flow.to_json())
        made = figures.pictures(metrics, table.flow)
        figures.save(made, self.data / "figures")
        exclusions = [left for step in table.flow.steps for left in step.left]
        report.write(metrics, table.flow, exclusions, self._facts(table, simulated=simulated), self.data, made)
        return metrics

    def _facts(self, table: CaseTable, *, simulated: bool) -> dict[str, Any]:
        """What the report says beside the figures."""
        return {
            "node_version": __version__,
            "site": self._site(simulated=simulated),
            "period": f"{self.request.since} to {self.request.until} ({self.request.time_zone})",
            **({"cohort": self.sample.words} if self.sample.words else {}),
            "models": list(table.models),
            "settings_sha256": settings_sha256(self.settings),
        }

    def _site(self, *, simulated: bool) -> str:
        """Who exports, where that may be said."""
        return self.settings.node.site if self.request.identified or simulated else UNNAMED

    def _configuration(self) -> None:
        used = self.sample.used_models()
        bundles = {_weights(folder): folder for folder in bundle_folders(self.settings).values()}
        model_cards.write_models(self.data, [one.model for one in used], bundles.get)
        smallest = 1 if self.request.identified else self.settings.export.smallest_cell
        model_cards.write_thresholds(self.data, used, smallest)
        model_cards.write_history(self.data, thresholds.history(self.session), identified=self.request.identified)
        package.write_json(self.data / "settings.json", settings_told(self.settings.model_dump(mode="json")))
        package.write_json(self.data / "rules.json", rules_told(self.settings.rules, in_full=self.request.identified))

    def _images(self) -> tuple[int, int]:
        if not self.request.with_images or isinstance(self.naming, Identified):
            return 0, 0
        return write_case_images(self.session, self.sample, self.data, open_store(self.settings).path, self.naming)

    def _scanned(self) -> tuple[str, ...]:
        """Look for every identifier of the originals; what a person has to look at."""
        found = (Identifier(KINDS[kind], value) for kind, value in self.sample.identifiers())
        seen: dict[str, None] = {}
        for leak in package_scan.leaks(self.folder, found):
            if leak.certain:
                raise PermanentError(
                    f"{leak.file} holds a {leak.what} of an original ({leak.place}). Nothing was exported; see docs/de-identification.md"
                )
            seen[f"{leak.file}: {leak.what}"] = None
        return tuple(seen)


def _weights(folder: Path) -> str:
    path = folder / WEIGHTS
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
