"""Metrics for Prometheus: computed from the rows, never falling, bounded, and about nobody."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from ptx_node.dashboard.exporter import LONGEST_SPAN, SETTLED, Exporter, Watched
from ptx_node.dashboard.instruments import BUCKETS_S, MOST_VALUES, Histogram
from ptx_node.db import schema
from ptx_node.db.gauges import GIVEN_UP, UNTOLD
from ptx_node.db.session import begin_read, begin_write, open_engine
from ptx_node.db.tables import AuditEvent, Heartbeat, Refusal
from tests import week
from tests.notice_rows import add_notice

SUNDAY = datetime(2026, 11, 8, 12, tzinfo=UTC)
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Clock:
    """The present moment, which a test moves."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def go_on(self, **span: float) -> None:
        self.moment += timedelta(**span)


def week_in(url: str) -> Engine:
    engine = open_engine(url)
    schema.upgrade(engine)
    week.fill(engine)
    return engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The small week on SQLite."""
    engine = week_in(f"sqlite:///{tmp_path / 'ptx.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def either_engine(database_url: str) -> Iterator[Engine]:
    """The small week on each database."""
    engine = week_in(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(("pacs", "research", "folder"), tmp_path, 2_000_000_000)


def scrape(exporter: Exporter) -> Values:
    families = text_string_to_metric_families(exporter.text().decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(values: Values, name: str, **labels: str) -> float | None:
    return values.get((name, frozenset(labels.items())))


def counters(values: Values) -> Values:
    return {key: number for key, number in values.items() if key[0].endswith(("_total", "_count", "_sum", "_bucket"))}


def test_gauges_say_how_the_week_ended(either_engine: Engine, watched: Watched) -> None:
    with begin_write(either_engine) as session:
        session.add(
            Heartbeat(
                process="worker-infer@a:1",
                role="worker-infer",
                host="a",
                pid=1,
                started_at=SUNDAY,
                beat_at=SUNDAY - timedelta(seconds=5),
                detail={"gpus": [{"utilisation": 0.25, "memory_used_bytes": 1e9, "memory_bytes": 4e9}]},
            )
        )
        lost = Heartbeat(process="schedule@a:2", role="schedule", host="a", pid=2, started_at=SUNDAY, beat_at=week.MONDAY, detail={})
        session.add(lost)
    found = scrape(Exporter(either_engine, watched, Clock(SUNDAY)))
    assert 1 == value(found, "ptx_database_up")
    assert 1 == value(found, "ptx_waiting", kind="job", state="queued")
    assert 19 * 3600 - 4.5 == value(found, "ptx_oldest_waiting_seconds", kind="job", state="queued")
    assert 3 == value(found, "ptx_deliveries_waiting", destination="research")
    assert 1 == value(found, "ptx_destination_suspended", destination="research")
    assert 2 == value(found, "ptx_destination_failures_in_a_row", destination="research")
    assert 1 == value(found, "ptx_deliveries_failed", destination="pacs")
    assert 0 == value(found, "ptx_deliveries_failed", destination="folder")
    assert 2 == value(found, "ptx_jobs_quarantined", cause="decode_failed")
    assert 0 == value(found, "ptx_jobs_quarantined", cause="storage_full")
    assert datetime(2026, 11, 7, 17, tzinfo=UTC).timestamp() == value(
        found, "ptx_last_received_timestamp_seconds", kind="images", source="ct"
    )
    assert 5 == value(found, "ptx_unmatched_recent", side="finding", reason="no_report_that_day")
    assert 3 == value(found, "ptx_pairs_recent", model="radiograph", version="1.0.0", agreement="true_positive")
    assert 1 == value(found, "ptx_processes", role="worker-infer")
    assert 0 == value(found, "ptx_processes", role="schedule")
    assert 0 == value(found, "ptx_processes", role="receive")
    assert 0.25 == value(found, "ptx_gpu_utilisation_ratio", process="worker-infer@a:1", gpu="0")
    assert value(found, "ptx_disk_free_bytes") == pytest.approx(shutil.disk_usage(watched.folder).free, rel=0.1)


def test_the_audit_trails_head_is_told(engine: Engine, watched: Watched) -> None:
    with begin_write(engine) as session:
        session.add(AuditEvent(sequence=1, recorded_at=SUNDAY, kind="receipt", body="{}", sha256="0" * 64))
    found = scrape(Exporter(engine, watched, Clock(SUNDAY)))
    assert (1, SUNDAY.timestamp()) == (value(found, "ptx_audit_rows"), value(found, "ptx_audit_head_timestamp_seconds"))


def test_notices_that_nobody_has_taken_are_told_by_receiver(either_engine: Engine, watched: Watched) -> None:
    """Of the receivers in the settings; one whose notices were given up long ago is no news."""
    with begin_write(either_engine) as session:
        written: tuple[tuple[str, str, float, float], ...] = (
            ("it", "waiting", -3, 4),
            ("it", "sending", -1, 6),
            ("it", "told", -6, 1),
            ("it", "given_up", -8, -1),
            ("it", "given_up", -9, -2),
            ("it", "given_up", -20, -13),
            ("physics", "given_up", -20, -1),
            ("nobody", "waiting", -5, 2),
        )
        for receiver, state, queued, deadline in written:
            times = {"queued_at": SUNDAY + timedelta(days=queued), "deadline_at": SUNDAY + timedelta(days=deadline)}
            add_notice(session, receiver, state, **times)
    found = scrape(Exporter(either_engine, replace(watched, receivers=("it", "physics", "chat")), Clock(SUNDAY)))
    for receiver, waiting, oldest_s, given_up in (("it", 2, 3 * 86400, 2), ("physics", 0, 0, 1), ("chat", 0, 0, 0)):
        names = ("ptx_notices_waiting", "ptx_notices_oldest_seconds", "ptx_notices_given_up_recent")
        assert [waiting, oldest_s, given_up] == [value(found, name, receiver=receiver) for name in names]
    assert not [labels for name, labels in found if name.startswith("ptx_notices") and ("receiver", "nobody") in labels]


def test_what_is_asked_of_notices_has_an_index(engine: Engine) -> None:
    """A year of them is kept: neither question may look through it."""
    with begin_read(engine) as session:
        asked = ((UNTOLD, "ix_notices_untold", ()), (GIVEN_UP, "ix_notices_queued_at", ("2026-08-08", "2026-11-01")))
        for query, index, times in asked:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query.compile(engine)}", times)
            assert index in " ".join(row.detail for row in plan)


def test_what_happened_is_counted_once_and_never_less(either_engine: Engine, watched: Watched) -> None:
    """Scraped at odd intervals through the week's first day, as if it happened now: three jobs."""
    clock = Clock(week.MONDAY - timedelta(hours=1))
    exporter = Exporter(either_engine, watched, clock)
    before: Values = {}
    for turn in range(60):
        found = counters(scrape(exporter))
        fallen = {key for key, number in before.items() if found.get(key, -1.0) < number}
        assert not fallen
        before = found
        clock.go_on(seconds=(301, 590, 599)[turn % 3])
    stages = ("received_to_queued", "queued_to_inferred", "inferred_to_delivered", "received_to_delivered", "delivered_to_committed")
    assert dict.fromkeys(stages, 3.0) == {
        stage: value(before, "ptx_stage_seconds_count", stage=stage, rule="chest-xray") for stage in stages
    }
    assert 3 * 60.0 == value(before, "ptx_stage_seconds_sum", stage="delivered_to_committed", rule="chest-xray")
    assert 2 == value(before, "ptx_findings_total", model="radiograph", version="1.0.0", outcome="negative")
    assert 1 == value(before, "ptx_findings_total", model="radiograph", version="1.0.0", outcome="positive")
    assert 0 == value(before, "ptx_findings_total", model="radiograph", version="1.0.0", outcome="failed")
    assert 2 == value(before, "ptx_instances_received_total", source="emergency", modality="DX")


def test_a_row_that_is_committed_after_its_time_is_counted(engine: Engine, watched: Watched) -> None:
    """The model had answered before the scrape, and the transaction that says so ended after it."""
    clock = Clock(SUNDAY)
    exporter = Exporter(engine, watched, clock)
    clock.go_on(minutes=3)
    assert None is value(scrape(exporter), "ptx_refusals_total", reason="late")
    with begin_write(engine) as session:
        session.add(refusal("late", clock.moment - SETTLED + timedelta(seconds=1)))
    clock.go_on(seconds=15)
    assert 1 == value(scrape(exporter), "ptx_refusals_total", reason="late")


def test_after_a_long_silence_a_scrape_catches_up_piece_by_piece(engine: Engine, watched: Watched) -> None:
    clock = Clock(SUNDAY)
    exporter = Exporter(engine, watched, clock)
    with begin_write(engine) as session:
        session.add(refusal("later", SUNDAY + 1.5 * LONGEST_SPAN))
    clock.go_on(hours=5)
    told = [value(scrape(exporter), "ptx_refusals_total", reason="later") for _ in range(3)]
    assert [None, 1, 1] == told


def refusal(reason: str, at: datetime) -> Refusal:
    texts = dict.fromkeys(("sop_instance_uid", "sop_class_uid", "status", "detail", "via", "calling_ae", "peer_address"), "")
    return Refusal(**texts, reason=reason, refused_at=at)


def test_texts_from_outside_cannot_make_endless_series(engine: Engine, watched: Watched) -> None:
    clock = Clock(SUNDAY)
    exporter = Exporter(engine, watched, clock)
    with begin_write(engine) as session:
        for number in range(3 * MOST_VALUES):
            session.add(refusal(f'reason "{number}\n', SUNDAY + timedelta(seconds=number)))
    clock.go_on(minutes=9)
    found = {key[1]: number for key, number in scrape(exporter).items() if key[0] == "ptx_refusals_total"}
    assert MOST_VALUES + 1 == len(found)
    assert 2 * MOST_VALUES == found[frozenset({("reason", "other")})]


def test_metrics_tell_of_no_patient(engine: Engine, watched: Watched) -> None:
    clock = Clock(week.MONDAY)
    exporter = Exporter(engine, watched, clock)
    for _ in range(3):
        clock.go_on(minutes=10)
        text = exporter.text().decode()
    assert "ptx_findings_total" in text
    for secret in (week.PATIENT_NAME, week.PATIENT_ID, week.ACCESSION, "1.2."):
        assert secret not in text


def test_without_the_database_the_disk_and_the_counters_are_still_told(engine: Engine, tmp_path: Path, watched: Watched) -> None:
    clock = Clock(week.MONDAY)
    exporter = Exporter(engine, watched, clock)
    clock.go_on(minutes=9)
    before = counters(scrape(exporter))
    assert before
    engine.dispose()
    for one in tmp_path.glob("ptx.db*"):
        one.unlink()
    (tmp_path / "ptx.db").write_bytes(b"not a database" * 1000)
    found = scrape(exporter)
    assert 0 == value(found, "ptx_database_up")
    assert before == counters(found)
    assert value(found, "ptx_disk_free_bytes")
    assert None is value(scrape(Exporter(engine, replace(watched, folder=tmp_path / "gone"), clock)), "ptx_disk_free_bytes")


def test_a_histogram_holds_a_value_in_the_bucket_that_ends_with_it() -> None:
    histogram = Histogram()
    for seconds in (-1.0, 0.5, 0.6, 100_000.0):
        histogram.observe(("a",), seconds)
    samples = {one.labels.get("le"): one.value for one in histogram.metric("m", "w", ("l",)).samples if one.name == "m_bucket"}
    assert (2, 3, 3, 4) == (samples["0.5"], samples["1"], samples["86400"], samples["+Inf"])
    assert len(BUCKETS_S) + 1 == len(samples)


@pytest.mark.skipif(not shutil.which("promtool"), reason="Debian's package prometheus is not installed")
def test_prometheus_own_tool_finds_nothing_wrong(engine: Engine, watched: Watched) -> None:
    clock = Clock(week.MONDAY)
    exporter = Exporter(engine, watched, clock)
    clock.go_on(minutes=9)
    outcome = subprocess.run(["promtool", "check", "metrics"], input=exporter.text(), capture_output=True, check=False, timeout=60)
    assert (0, "") == (outcome.returncode, outcome.stdout.decode() + outcome.stderr.decode())
