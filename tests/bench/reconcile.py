"""Findings held against reports on PostgreSQL: a million against 300,000, then a night's increment, beside a plain COPY of the same rows.

    python -m tests.bench.reconcile [--findings 1000000] [--reports 300000]

Starts a PostgreSQL of its own and fills it inside the server: patients with several radiographs a day, CT series of many slices, merged
patients, superseded jobs, images without answer, reports of every kind of label, preliminary, without patient or date, of something else
than a CT. Times are on the wall and of processor (this process + the server); on a busy machine only the latter and the ratios mean
something.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import Engine, text

from ptx_node.db.session import open_engine
from ptx_node.db.tables import Table
from ptx_node.pipeline.reconcile import Reconciled, reconcile
from tests.conftest import PostgresServer

BOUND_S = 300.0
"""For a million findings; less for fewer, in proportion."""
BOUND_INCREMENT_S = 10.0
BOUND_GROWTH_MB = 50.0
"""Memory of the process after everything, over that after a tenth."""
NEW_FINDINGS, NEW_REPORTS = 1000, 300
SLICES = 20
"""Stored slices of each CT series that was read: its other images are looked through, too."""

# Who is merged, late or without answer is told by remainders of the numbers of patients (p), findings (f) and reports (r).
PEOPLE = """
INSERT INTO people (id, created_at) SELECT p, now() FROM generate_series(1, :people + :people / 50) p;
INSERT INTO patient_identifiers (id, authority, type, value, origin_person_id, person_id, imaged_at, created_at)
  SELECT p, 'hospital', '', 'P' || p, p, p, now(), now() FROM generate_series(1, :people) p
  UNION ALL  -- the second number of one patient in fifty, joined by a merge
  SELECT :people + n, 'hospital', '', 'Q' || n, :people + n, n * 50, now(), now() FROM generate_series(1, :people / 50) n;
CREATE UNLOGGED TABLE bench_findings AS
  SELECT row_number() OVER (ORDER BY at, p, k) AS f, at AT TIME ZONE 'UTC' AS at, p,
         CASE WHEN k = 1 AND p % 50 = 0 THEN :people + p / 50 ELSE p END AS identifier, k = 3 AND p % 10 = 0 AS ct
  FROM (SELECT p, k, timestamp '2023-01-01 07:00' + interval '1 day' * (p::bigint * 7919 % 1000)
               + CASE k WHEN 0 THEN interval '0' WHEN 1 THEN interval '3 hours' WHEN 2 THEN interval '1 day' * (1 + p % 30)
                        ELSE CASE WHEN p % 10 = 0 THEN interval '5 hours' ELSE interval '90 days' END END
               + interval '1 second' * (p % 3600) AS at
        FROM generate_series(1, :people) p, generate_series(0, 3) k) drawn;
"""
FINDINGS = """
INSERT INTO instances (id, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, transfer_syntax_uid, modality,
    patient_id, issuer_of_patient_id, accession_number, path, size_bytes, sha256, via, source, calling_ae, called_ae, peer_address,
    received_at, routed_at, route_outcome, registered_at, patient_identifier_id)
  SELECT (f - 1) * (:slices + 1) + s + 1, '1.8.' || f || '.' || s, '1.2.840.10008.5.1.4.1.1.1.1', '1.7.' || f,
         CASE WHEN ct THEN '1.9.ct.' || p ELSE '1.9.' || f END, '1.2.840.10008.1.2.1', CASE WHEN ct THEN 'CT' ELSE 'DX' END,
         'P' || p, '', CASE WHEN ct THEN 'CT' || p ELSE 'A' || f END, 'instances/' || f || '.' || s, 1, '', 'dimse', 'bench', 'BENCH',
         'PTX', '127.0.0.1', at, at, 'queued', at, identifier
  FROM bench_findings, generate_series(0, CASE WHEN ct THEN :slices ELSE 0 END) s WHERE f BETWEEN :first AND :last;
INSERT INTO jobs (id, idempotency_key, rule, model, level, level_uid, study_instance_uid, destinations, report_failed,
    report_not_eligible, priority, state, attempts, superseded_by_id, first_instance_at, last_instance_at, complete_at, queued_at, rank_at)
  SELECT f, f, 'chest', 'm', 'instance', f, '1.9.' || f, '[]', false, false, 50, 'done', 1,
         CASE WHEN f % 100 = 7 AND f > 1000 THEN f - 1 END, at, at, at, at, at
  FROM bench_findings WHERE f BETWEEN :first AND :last;
INSERT INTO findings (id, job_id, study_instance_uid, series_instance_uid, sop_instance_uids, input_digest, outcome, probability,
    threshold, model_manufacturer, model_name, model_version, weights_sha256, device_uid, inferred_at)
  SELECT f, f, '1.9.' || f, '1.7.' || f, '[]', f,
         CASE WHEN f % 50 = 3 THEN 'not_eligible' WHEN f % 12 = 5 THEN 'positive' ELSE 'negative' END,
         0.1, 0.4, 'm', 'm', '1', '', '2.25.1', at
  FROM bench_findings WHERE f BETWEEN :first AND :last;
INSERT INTO examinations (finding_id, instance_id, modality, examined_at, examined_on, patient_sex, view_position, manufacturer,
    manufacturer_model_name, station_name, reconcile_needed)
  SELECT f, (f - 1) * (:slices + 1) + 1, CASE WHEN ct THEN 'CT' ELSE 'DX' END, CASE WHEN f % 40 = 9 THEN NULL ELSE at END,
         CASE WHEN f % 200 = 11 THEN NULL ELSE (at AT TIME ZONE 'UTC')::date END, 'F', 'AP', 'm', 'm', 's', true
  FROM bench_findings WHERE f BETWEEN :first AND :last;
"""
REPORTS = """
INSERT INTO radiology_report_versions (id, report_id, number, content_sha256, status, patients, accession_number, study_instance_uid,
    modality, procedure_code, procedure_text, text, flags, received_at)
  SELECT r, r, 1, r, 'final', '[]', '', '', 'CT', '', 'CT chest', 'No pneumothorax.', '[]', now()
  FROM generate_series(:first ::bigint, :last) r;
INSERT INTO report_labels (id, report_id, version_id, text_sha256, value, size, drain, rule, language, labeller, needs_review, review,
    decided_at)
  SELECT r, r, r, '', CASE WHEN r % 100 < 8 THEN 'positive' WHEN r % 100 < 12 THEN 'uncertain' WHEN r % 100 < 15 THEN 'resolved'
         WHEN r % 100 < 28 THEN 'not_mentioned' WHEN r % 100 < 29 THEN 'not_covered' ELSE 'negative' END, '', false, 'words', 'en',
         'bench', false, '[]', now()
  FROM generate_series(:first ::bigint, :last) r;
INSERT INTO radiology_reports (id, source, external_id, status, version_ids, text_sha256, readable, examined_at, examined_on,
    accession_number, study_instance_uid, modality, procedure_code, procedure_text, identifier_id, parked, label_id, reconcile_needed,
    changed_at, created_at)
  SELECT r, 'ris', r, CASE WHEN r % 33 = 4 THEN 'preliminary' ELSE 'final' END, ('[' || r || ']')::json, '', true,
         CASE WHEN r % 60 = 8 THEN NULL ELSE at AT TIME ZONE 'UTC' END, CASE WHEN r % 150 = 8 THEN NULL ELSE at::date END,
         'CT' || p, '1.9.ct.' || p, CASE WHEN r % 25 = 6 THEN 'CR' WHEN r % 3 = 0 THEN 'RAD' ELSE 'CT' END, '',
         CASE WHEN r % 2 = 0 THEN 'CT chest with contrast' ELSE 'Scanner thoracique' END,
         CASE WHEN r % 20 = 2 THEN NULL ELSE p END, CASE WHEN r % 20 = 2 THEN 'unknown_patient' END, r, true, now(), now()
  FROM (SELECT r, 1 + (r - 1) % :people AS p, timestamp '2023-01-01 12:00' + interval '1 day' * ((1 + (r - 1) % :people) * 7919 % 1000)
               + CASE WHEN r > :people THEN interval '4 hours' WHEN r % 5 = 1 THEN interval '400 days' ELSE interval '0' END AS at
        FROM generate_series(:first ::bigint, :last) r) drawn;
"""
MORE_FINDINGS = """
INSERT INTO bench_findings
  SELECT :findings + n, at + interval '30 minutes', p, identifier, false
  FROM (SELECT row_number() OVER (ORDER BY f) AS n, * FROM bench_findings WHERE f % (:findings / :more) = 1) old;
"""
CORRECTED = """
INSERT INTO report_labels (report_id, version_id, text_sha256, value, size, drain, rule, language, labeller, needs_review, review,
    decided_at)
  SELECT id, id, '', 'positive', '', false, 'words', 'en', 'bench', false, '[]', now() FROM radiology_reports
  WHERE id % (:reports / :corrected) = 3;
UPDATE radiology_reports SET reconcile_needed = true, status = 'corrected',
    label_id = (SELECT max(report_labels.id) FROM report_labels WHERE report_id = radiology_reports.id)
  WHERE id % (:reports / :corrected) = 3;
"""
SEQUENCES = "SELECT setval(pg_get_serial_sequence('report_labels', 'id'), max(id)) FROM report_labels"
LOST = """
WITH held AS (SELECT finding_id, report_id FROM pairs WHERE superseded_at IS NULL
              UNION ALL SELECT finding_id, report_id FROM unmatched WHERE superseded_at IS NULL)
SELECT (SELECT count(*) FROM examinations e JOIN jobs j ON j.id = e.finding_id WHERE j.superseded_by_id IS NULL
          AND NOT EXISTS (SELECT 1 FROM held WHERE held.finding_id = e.finding_id))
     + (SELECT count(*) FROM radiology_reports r WHERE NOT EXISTS (SELECT 1 FROM held WHERE held.report_id = r.id))
"""
READ = (
    """COPY (SELECT e.finding_id, f.outcome, f.device_uid, e.modality, e.examined_at, e.examined_on, i.study_instance_uid,
                 i.accession_number, n.person_id, j.superseded_by_id
          FROM examinations e JOIN findings f ON f.id = e.finding_id JOIN jobs j ON j.id = f.job_id JOIN instances i ON i.id = e.instance_id
          LEFT JOIN patient_identifiers n ON n.id = i.patient_identifier_id) TO STDOUT""",
    "COPY (SELECT r.*, l.value FROM radiology_reports r LEFT JOIN report_labels l ON l.id = r.label_id) TO STDOUT",
    "COPY pairs TO STDOUT",
    "COPY unmatched TO STDOUT",
)
"""The peer: the same rows out of the server, once, by the fastest way there is, and thrown away."""


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, of this process and of the server."""

    wall: float
    ours: float
    server: float

    @property
    def processor(self) -> float:
        return self.ours + self.server


def main() -> int:
    """Print the table; 1 when a bound is missed."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--findings", type=int, default=1_000_000)
    words.add_argument("--reports", type=int, default=300_000)
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="ptx-bench-") as folder, running_server(Path(folder)) as server:
        engine = open_engine(server.url("bench"))
        Table.metadata.create_all(engine)
        fill(engine, given.findings, given.reports)
        tenths: list[float] = []
        spent, done = measured(server, lambda: reconcile(engine, everything=True, until=lambda: tenths.append(memory_mb()) or False))
        lost = scalar(engine, LOST)
        increment(engine, given.findings, given.reports)
        more, changed = measured(server, lambda: reconcile(engine))
        lost += scalar(engine, LOST)
        again, nothing = measured(server, lambda: reconcile(engine))
        peer, _ = measured(server, lambda: read(engine))
        engine.dispose()
    return report(
        [("everything", spent, done), ("a night's increment", more, changed), ("nothing new", again, nothing)], peer, tenths, lost
    )


@contextmanager
def running_server(folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL that is gone afterwards."""
    server = PostgresServer(folder / "server")
    server.create()
    server.start()
    try:
        server.new_database("bench")
        yield server
    finally:
        server.stop("immediate")


def fill(engine: Engine, findings: int, reports: int) -> None:
    people = findings // 4
    numbers = {"people": people, "slices": SLICES}
    run(engine, PEOPLE, **numbers)
    run(engine, FINDINGS, first=1, last=findings, **numbers)
    run(engine, REPORTS, first=1, last=reports, **numbers)
    run(engine, SEQUENCES)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def increment(engine: Engine, findings: int, reports: int) -> None:
    """New findings on days that are known, new reports, and old ones corrected."""
    numbers = {"people": findings // 4, "slices": SLICES}
    run(engine, MORE_FINDINGS, findings=findings, more=NEW_FINDINGS)
    run(engine, FINDINGS, first=findings + 1, last=findings + NEW_FINDINGS, **numbers)
    run(engine, CORRECTED, reports=reports, corrected=NEW_REPORTS)


def run(engine: Engine, statements: str, **numbers: int) -> None:
    """Some statements in one transaction, without the checks of foreign keys that the data keep by construction."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for one in statements.split(";"):
            if one.strip():
                used = {name: value for name, value in numbers.items() if f":{name}" in one}
                connection.execute(text(one), used)


def scalar(engine: Engine, statement: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())


def read(engine: Engine) -> Reconciled:
    connection: Any = engine.raw_connection()
    try:
        for statement in READ:
            with connection.cursor().copy(statement) as rows:
                for _ in rows:
                    pass
    finally:
        connection.close()
    return Reconciled()


def measured(server: PostgresServer, work: Callable[[], Reconciled]) -> tuple[Spent, Reconciled]:
    wall, ours, theirs = time.perf_counter(), time.process_time(), server_seconds(server)
    done = work()
    return Spent(time.perf_counter() - wall, time.process_time() - ours, server_seconds(server) - theirs), done


def server_seconds(server: PostgresServer) -> float:
    """Processor time of the server and of every process that it has or had."""
    parent = psutil.Process(int((server.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0]))
    total = sum(parent.cpu_times()[:4])  # the children that ended are in the parent's
    for child in parent.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def memory_mb() -> float:
    """The most that this process held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(turns: list[tuple[str, Spent, Reconciled]], peer: Spent, tenths: list[float], lost: int) -> int:
    table = RichTable(title="findings held against reports, PostgreSQL", title_justify="left")
    for column in (
        "turn",
        "findings",
        "reports",
        "rows written",
        "superseded",
        "wall, s",
        "processor, s (ours + server's)",
        "/ the peer's",
    ):
        table.add_column(column, justify="left" if column == "turn" else "right")
    for name, spent, done in turns:
        said = f"{spent.processor:.2f} ({spent.ours:.2f} + {spent.server:.2f})"
        counts = (f"{number:,}" for number in (done.findings, done.reports, done.written, done.superseded))
        table.add_row(name, *counts, f"{spent.wall:.2f}", said, f"{spent.processor / peer.processor:.2f}")
    said = f"{peer.processor:.2f} ({peer.ours:.2f} + {peer.server:.2f})"
    table.add_row("the peer: all of it read by COPY", "", "", "", "", f"{peer.wall:.2f}", said, "1")
    Console(width=140).print(table)
    (_, everything, done), (_, more, _), *_ = turns
    early, late = tenths[len(tenths) // 10], tenths[-1]
    bound = BOUND_S * min(1.0, max(done.findings, 1) / 1_000_000)
    kept = {
        f"everything in at most {bound:.0f} s of processor (wall: {everything.wall:.0f} s)": everything.processor <= bound,
        f"an increment in at most {BOUND_INCREMENT_S:.0f} s": more.processor <= BOUND_INCREMENT_S,
        f"memory {early:.0f} MB after a tenth, {late:.0f} MB at the end": late - early <= BOUND_GROWTH_MB,
        "every finding and every report has a row": lost == 0,
    }
    for sentence, reached in kept.items():
        print(f"{sentence}: {'yes' if reached else 'NO'}")
    return int(not all(kept.values()))


if __name__ == "__main__":
    raise SystemExit(main())
