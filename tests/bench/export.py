"""The auditors' export of 100,000 studies: processor time, time on the wall and the most memory of the exporting process.

    python -m tests.bench.export [--studies 100000] [--databases sqlite postgresql]

The rows are made here: a radiograph a study, 60 patients for 100 studies, twenty stations, a CT report of the same day for three in ten,
one image in twenty that no rule takes. Each export is a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import Engine, insert, text

from ptx_node.db.cases import Period
from ptx_node.db.session import begin_snapshot, begin_write, open_engine
from ptx_node.db.tables import (
    ExaminationRow,
    FindingRow,
    Instance,
    Job,
    JobInput,
    PairRow,
    PatientIdentifier,
    Person,
    RadiologyReport,
    RadiologyReportVersion,
    ReportLabelRow,
    Table,
    UnmatchedRow,
)
from ptx_node.domain.truth import LabelValue
from ptx_node.validation.case_export import write_case_table
from ptx_node.validation.case_rows import pseudonymous
from tests.bench.reconcile import running_server

MOST_SECONDS, MOST_MB = 600.0, 500.0
SECRET = "5e" * 32
FIRST_DAY, DAYS = date(2025, 1, 1), 365
PERIOD = Period(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1), ZoneInfo("UTC"))
SOME = 5000
OTHERS = "Heart of normal size. No enlarged lymph nodes. Degenerative changes of the spine. " * 11
TEXTS = {
    LabelValue.POSITIVE: "CT chest. There is a small left apical pneumothorax. ",
    LabelValue.NEGATIVE: "CT chest. There is no evidence of a pneumothorax. ",
    LabelValue.UNCERTAIN: "CT chest. A minimal pneumothorax cannot be excluded. ",
}


def main() -> int:
    """Print the table; 1 when a bound is missed."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--studies", type=int, default=100_000)
    words.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    words.add_argument("--export", metavar="URL", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.export:
        return export(given.export)
    table = RichTable(title=f"the case table of {given.studies} studies", title_justify="left")
    for column in ("database", "rows", "counted", "processor, s", "wall, s", "most memory, MB", "cases.csv, MB", "cases.parquet, MB"):
        table.add_column(column, justify="right")
    kept = True
    for name in given.databases:
        with tempfile.TemporaryDirectory(prefix="ptx-bench-") as folder, ExitStack() as stack:
            server = stack.enter_context(running_server(Path(folder))) if name == "postgresql" else None
            url = server.url("bench") if server else f"sqlite:///{Path(folder) / 'ptx.db'}"
            engine = open_engine(url)
            Table.metadata.create_all(engine)
            fill(engine, given.studies)
            engine.dispose()
            command = [sys.executable, "-m", "tests.bench.export", "--export", url]
            told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
        kept = kept and told["wall"] <= MOST_SECONDS and told["memory"] <= MOST_MB
        cells = ("rows", "counted", "processor", "wall", "memory", "csv", "parquet")
        table.add_row(name, *(f"{told[one]:.1f}" if isinstance(told[one], float) else str(told[one]) for one in cells))
    Console(width=140).print(table)
    print(f"bounds: {MOST_SECONDS:.0f} s, {MOST_MB:.0f} MB: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


def export(url: str) -> int:
    """One export in this process; what it took goes to standard output as JSON."""
    wall, processor = time.perf_counter(), time.process_time()
    engine = open_engine(url)
    with tempfile.TemporaryDirectory(prefix="ptx-bench-") as name:
        folder = Path(name)
        with begin_snapshot(engine) as session:
            made = write_case_table(session, folder, PERIOD, pseudonymous(SECRET, "bench"))
        told = {
            "rows": made.rows,
            "counted": made.flow.steps[-1].count,
            "processor": time.process_time() - processor,
            "wall": time.perf_counter() - wall,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "csv": (folder / "cases.csv").stat().st_size / 1e6,
            "parquet": (folder / "cases.parquet").stat().st_size / 1e6,
        }
    engine.dispose()
    print(json.dumps(told))
    return 0


def fill(engine: Engine, studies: int) -> None:
    """Rows straight into the tables, some thousand at once."""
    rng = np.random.default_rng(20261121)
    people = studies * 6 // 10
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    with begin_write(engine) as session:
        for some in _portions(people):
            session.execute(insert(Person), [{"id": number, "created_at": moment} for number in some])
            rows = [{"id": number, "value": f"P{number}", "origin_person_id": number, "person_id": number} for number in some]
            session.execute(insert(PatientIdentifier), [{**row, "authority": "hospital", "type": "", "created_at": moment} for row in rows])
    for some in _portions(studies):
        tables: dict[Any, list[dict[str, Any]]] = {}
        for number in some:
            for table, row in study(number, people, rng):
                tables.setdefault(table, []).append(row)
        with begin_write(engine) as session:
            for table in (
                *(Instance, Job, JobInput, FindingRow, ExaminationRow, RadiologyReport, RadiologyReportVersion),
                *(ReportLabelRow, PairRow, UnmatchedRow),
            ):
                if tables.get(table):
                    session.execute(insert(table), tables[table])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def study(number: int, people: int, rng: np.random.Generator) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The rows of one study, by table."""
    person = 1 + number % people
    day = FIRST_DAY + timedelta(days=int(rng.integers(DAYS)))
    at = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(seconds=int(rng.integers(43_200)))
    taken = rng.random() >= 0.05
    texts = ["sop_class_uid", "transfer_syntax_uid", "issuer_of_patient_id", "accession_number", "calling_ae", "called_ae", "peer_address"]
    yield (
        Instance,
        {
            **dict.fromkeys(texts, "1.2.840.10008.1.2.1"),
            "id": number,
            "sop_instance_uid": f"1.8.{number}",
            "series_instance_uid": f"1.7.{number}",
            "study_instance_uid": f"1.9.{number}",
            "modality": "DX",
            "patient_id": f"P{person}",
            "path": str(number),
            "size_bytes": 1,
            "sha256": "0" * 64,
            "via": "dimse",
            "source": ("routine", "bedside")[number % 5 == 0],
            "received_at": at,
            "routed_at": at,
            "route_outcome": "queued" if taken else "no_rule",
            "registered_at": at,
            "patient_identifier_id": person,
        },
    )
    if not taken:
        return
    yield (
        Job,
        {
            **dict.fromkeys(("first_instance_at", "last_instance_at", "complete_at", "queued_at", "rank_at"), at),
            "id": number,
            "idempotency_key": str(number),
            "rule": "chest",
            "model": "m",
            "level": "instance",
            "level_uid": str(number),
            "study_instance_uid": f"1.9.{number}",
            "destinations": [],
            "report_failed": True,
            "report_not_eligible": False,
            "priority": 50,
            "state": "done",
            "attempts": 1,
        },
    )
    yield JobInput, {"job_id": number, "instance_id": number, "eligible": True}
    refused = rng.random() < 0.02
    sick = rng.random() < 0.1
    score = float(rng.beta(5, 2) if sick else rng.beta(1, 8))
    outcome = "not_eligible" if refused else "positive" if score >= 0.4 else "negative"
    yield (
        FindingRow,
        {
            "id": number,
            "job_id": number,
            "study_instance_uid": f"1.9.{number}",
            "series_instance_uid": f"1.7.{number}",
            "sop_instance_uids": [f"1.8.{number}"],
            "input_digest": str(number),
            "outcome": outcome,
            "reason": "below_minimum_age" if refused else None,
            "probability": None if refused else score,
            "threshold": None if refused else 0.4,
            "laterality": "left" if outcome == "positive" else None,
            "model_manufacturer": "m",
            "model_name": "ptx-cxr",
            "model_version": "1.0",
            "weights_sha256": "ab" * 32,
            "device_uid": "2.25.1",
            "inferred_at": at,
        },
    )
    if refused:
        yield UnmatchedRow, {"finding_id": number, "report_id": None, "reason": "not_answered", "reconciled_at": at}
        return
    station = int(rng.integers(20))
    yield (
        ExaminationRow,
        {
            "finding_id": number,
            "instance_id": number,
            "modality": "DX",
            "examined_at": at,
            "examined_on": day,
            "patient_sex": "MF"[person % 2],
            "patient_age_years": float(20 + person % 75),
            "view_position": ("PA", "AP")[station % 3 == 0],
            "manufacturer": f"Maker {station % 4}",
            "manufacturer_model_name": f"Digital {station % 8}",
            "station_name": f"ROOM{station}",
            "reconcile_needed": False,
        },
    )
    if rng.random() >= 0.3:
        yield UnmatchedRow, {"finding_id": number, "report_id": None, "reason": "no_report_that_day", "reconciled_at": at}
        return
    yield from reported(number, person, at + timedelta(hours=3), day, sick=sick, open_=rng.random() < 0.04)


def reported(number: int, person: int, at: datetime, day: date, *, sick: bool, open_: bool) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A CT report, its label and its pair."""
    label = LabelValue.UNCERTAIN if open_ else LabelValue.POSITIVE if sick else LabelValue.NEGATIVE
    words = TEXTS[label] + OTHERS
    start = words.index("pneumothorax")
    texts = {"accession_number": "", "study_instance_uid": "", "modality": "CT", "procedure_code": "", "procedure_text": "CT chest"}
    chain = {**texts, "text_sha256": str(number), "readable": True, "examined_at": at, "examined_on": day, "identifier_id": person}
    yield (
        RadiologyReport,
        {
            **chain,
            "id": number,
            "source": "ris",
            "external_id": str(number),
            "status": "final",
            "version_ids": [number],
            "label_id": number,
            "reconcile_needed": False,
            "changed_at": at,
            "created_at": at,
        },
    )
    yield (
        RadiologyReportVersion,
        {
            **texts,
            "id": number,
            "report_id": number,
            "number": 1,
            "content_sha256": str(number),
            "status": "final",
            "patients": [],
            "text": words,
            "flags": [],
            "received_at": at,
        },
    )
    yield (
        ReportLabelRow,
        {
            "id": number,
            "report_id": number,
            "version_id": number,
            "text_sha256": str(number),
            "value": str(label),
            "size": "",
            "drain": False,
            "evidence_start": start,
            "evidence_end": start + 12,
            "rule": "positive",
            "language": "en",
            "labeller": "bench",
            "needs_review": False,
            "review": [],
            "decided_at": at,
        },
    )
    yield (
        PairRow,
        {
            "finding_id": number,
            "report_id": number,
            "label_id": number,
            "agreement": "undecided",
            "interval_s": 10_800.0,
            "reconciled_at": at,
        },
    )


def _portions(count: int) -> Iterator[range]:
    return (range(first, min(first + SOME, count + 1)) for first in range(1, count + 1, SOME))


if __name__ == "__main__":
    raise SystemExit(main())
