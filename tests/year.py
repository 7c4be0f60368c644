"""A year of a busy node as rows, as many jobs as asked for, made inside the database: for plans and speed, not for meaning.

The year ends on Monday 2026-11-09, as the week of `tests.week` does, so that the example queries of the documents find their week in it.
What pages read beyond it stands in `tests.year_of_pages`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from sqlalchemy import Connection, Engine

YEAR_S = 365 * 86_400
BEGINS = date(2025, 11, 9)
OPEN = 50
"""The newest jobs and deliveries are not finished."""

# N is the number of a job in SERIES, from 1 to COUNT; AT(x) the moment x seconds after its image came, DAY its day. PERSON is a number
# from 1 to 3/5 COUNT: who was imaged.
ROWS = (
    """
INSERT INTO instances (id, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, transfer_syntax_uid, modality,
    patient_id, issuer_of_patient_id, accession_number, path, size_bytes, sha256, via, source, calling_ae, called_ae, peer_address,
    received_at, routed_at, route_outcome, registered_at, patient_identifier_id)
SELECT N, '1.8.' || N, '1.2.840.10008.5.1.4.1.1.1.1', '1.7.' || N, '1.9.' || N, '1.2.840.10008.1.2.1', 'DX', 'P' || PERSON, '', 'A' || N,
    'instances/' || N, 500000, '', 'dimse', 'room' || N % 20, 'ROOM' || N % 20, 'PTX', '127.0.0.1', AT(0), AT(1), 'queued', AT(2), PERSON
FROM SERIES""",
    """
INSERT INTO jobs (id, idempotency_key, rule, model, level, level_uid, study_instance_uid, destinations, report_failed, report_not_eligible,
    priority, state, attempts, cause, first_instance_at, last_instance_at, complete_at, queued_at, rank_at, started_at, inferred_at,
    encoded_at, accepted_at, committed_at)
SELECT N, N, 'rule' || N % 4, 'm', 'instance', '1.8.' || N, '1.9.' || N, '[]', FALSE, FALSE, 50,
    CASE WHEN N > COUNT - OPEN THEN 'queued' WHEN N % 500 = 7 THEN 'quarantined' WHEN N % 100 = 3 THEN 'not_eligible' ELSE 'done' END, 1,
    CASE WHEN N % 500 = 7 THEN 'decode_failed' END, AT(0), AT(0), AT(1), AT(1), AT(1),
    CASE WHEN N <= COUNT - OPEN THEN AT(2) END, CASE WHEN N <= COUNT - OPEN THEN AT(2 + N % 9) END,
    CASE WHEN N <= COUNT - OPEN THEN AT(3 + N % 9) END, CASE WHEN N <= COUNT - OPEN THEN AT(4 + N % 31) END,
    CASE WHEN N <= COUNT - OPEN THEN AT(60 + N % 61) END FROM SERIES""",
    """
INSERT INTO job_inputs (job_id, instance_id, eligible, reason)
SELECT N, N, N % 100 <> 3, CASE WHEN N % 100 = 3 THEN 'lateral_view' END FROM SERIES""",
    """
INSERT INTO findings (id, job_id, study_instance_uid, series_instance_uid, sop_instance_uids, input_digest, outcome, probability, threshold,
    area_mm2, model_manufacturer, model_name, model_version, weights_sha256, device_uid, inferred_at)
SELECT N, N, '1.9.' || N, '1.7.' || N, '[]', N,
    CASE WHEN N % 500 = 7 THEN 'failed' WHEN N % 100 = 3 THEN 'not_eligible' WHEN N % 12 = 5 THEN 'positive' ELSE 'negative' END,
    N % 97 / 97.0, 0.5, N % 1000, 'm', 'radiograph', '1.' || N * 3 / COUNT, '', '2.25.1', AT(2 + N % 9)
FROM SERIES WHERE N <= COUNT - OPEN""",
    """
INSERT INTO examinations (finding_id, instance_id, modality, examined_at, examined_on, patient_sex, patient_age_years, view_position,
    manufacturer, manufacturer_model_name, station_name, reconcile_needed)
SELECT N, N, 'DX', AT(-300), DAY, 'F', N % 95, CASE WHEN N % 3 = 0 THEN 'AP' ELSE 'PA' END, 'maker ' || N % 5, 'm', 's', FALSE
FROM SERIES WHERE N <= COUNT - OPEN""",
    """
INSERT INTO results (id, finding_id, kind, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, path, size_bytes,
    sha256, encoded_at)
SELECT N, N, 'sr', '2.25.' || N, '1.2.840.10008.5.1.4.1.1.88.34', '2.25.9', '1.9.' || N, 'results/' || N, 1, '', AT(3 + N % 9)
FROM SERIES WHERE N <= COUNT - OPEN""",
    """
INSERT INTO deliveries (id, result_id, job_id, destination, state, attempts, next_attempt_at, deadline_at, status, warning, resends,
    queued_at, accepted_at, committed_at)
SELECT N, N, N, 'pacs' || N % 3, CASE WHEN N > COUNT - 3 * OPEN THEN 'waiting' WHEN N % 700 = 9 THEN 'failed' ELSE 'committed' END, 1,
    AT(3), AT(600000), '0x0000', FALSE, 0, AT(3 + N % 9), AT(4 + N % 31), AT(60 + N % 61) FROM SERIES WHERE N <= COUNT - OPEN""",
    """
INSERT INTO radiology_reports (id, source, external_id, status, version_ids, text_sha256, readable, examined_on, accession_number,
    study_instance_uid, modality, procedure_code, procedure_text, parked, label_id, reconcile_needed, changed_at, created_at)
SELECT N, 'ris', N, 'final', json('[' || N || ']'), '', TRUE, DAY, 'A' || N, '', 'CT', '', '',
    CASE WHEN N % 1000 = 2 THEN 'patient_unknown' END, N, FALSE, AT(7200), AT(7200) FROM SERIES WHERE N % 10 < 3""",
    """
INSERT INTO radiology_report_versions (id, report_id, number, content_sha256, status, patients, accession_number, study_instance_uid,
    modality, procedure_code, procedure_text, text, flags, received_at)
SELECT N, N, 1, N, 'final', '[]', '', '', 'CT', '', '', 'CT chest of today. There is a small left pneumothorax. No effusion. Report ' || N,
    '[]', AT(7200) FROM SERIES WHERE N % 10 < 3""",
    """
INSERT INTO report_labels (id, report_id, version_id, text_sha256, value, size, drain, sentence_start, sentence_end, rule, language,
    labeller, reviewer, needs_review, review, decided_at)
SELECT N, N, N, '', CASE WHEN N % 9 = 5 THEN 'positive' ELSE 'negative' END, '', FALSE, 19, 56, '', 'en', '1',
    CASE WHEN N % 200 = 1 THEN 'user anna' END, N % 40 = 2, json(CASE WHEN N % 40 = 2 THEN '["contradiction"]' ELSE '[]' END), AT(7200)
FROM SERIES WHERE N % 10 < 3""",
    """
INSERT INTO pairs (finding_id, report_id, label_id, agreement, interval_s, reconciled_at)
SELECT N, N, N, CASE WHEN N % 12 = 5 THEN CASE WHEN N % 9 = 5 THEN 'true_positive' ELSE 'false_positive' END
    WHEN N % 9 = 5 THEN 'false_negative' ELSE 'true_negative' END, 3600, AT(40000) FROM SERIES WHERE N % 10 < 3 AND N <= COUNT - OPEN""",
    """
INSERT INTO unmatched (finding_id, reason, reconciled_at)
SELECT N, 'no_report_that_day', AT(40000) FROM SERIES WHERE N % 10 >= 3 AND N <= COUNT - OPEN""",
    """
INSERT INTO report_messages (via, sender, control_id, sha256, kind, verdict, acknowledgement, peer_address, times_received, received_at)
SELECT 'hl7', 'ris' || N % 3, N, '', 'ORU^R01', 'accepted', 'AA', '127.0.0.1', 1, AT(7200) FROM SERIES WHERE N % 10 < 3""",
    """
INSERT INTO collections (rule, level, level_uid, generation, study_instance_uid, instance_count, first_instance_at, last_instance_at,
    due_at, closed_at)
SELECT 'rule', 'series', N, 0, N, 1, AT(0), AT(0), AT(10), AT(10) FROM SERIES WHERE N % 10 = 0""",
    """
INSERT INTO heartbeats (process, role, host, pid, started_at, beat_at, detail)
SELECT 'worker-infer@' || N, 'worker-infer', 'host', N, AT(0), AT(0), '{}' FROM SERIES WHERE N <= 4""",
)


def fill(engine: Engine, jobs: int, *, begins: date = BEGINS, rows: Sequence[str] = ROWS) -> None:
    """Write a year with so many jobs into empty tables, and let the database count what it has.

    Args:
        engine: of the database.
        jobs: how many.
        begins: the first day of the year.
        rows: statements, none of which reads what another has written.
    """
    since = f"{YEAR_S} / {jobs}.0 * n"
    if engine.dialect.name == "sqlite":
        series = f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {jobs}) SELECT n FROM s) s"
        moment = rf"strftime('%Y-%m-%d %H:%M:%S.000000', '{begins}', ({since} + \1) || ' seconds')"
        day = f"date('{begins}', ({since}) || ' seconds')"
    else:
        series = f"generate_series(1, {jobs}) n"
        moment = rf"(timestamptz '{begins} 00:00Z' + interval '1 second' * ({since} + \1))"
        day = f"(timestamp '{begins}' + interval '1 second' * ({since}))::date"

    def write(statement: str) -> None:
        sql = statement.replace("SERIES", series).replace("PERSON", "(1 + N % (COUNT * 3 / 5))")
        sql = sql.replace("COUNT", str(jobs)).replace("OPEN", str(OPEN)).replace("DAY", day)
        sql = re.sub(r"\bN\b", "n", re.sub(r"AT\(([^()]+)\)", moment, sql))
        with engine.execution_options(ptx_write=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # a million foreign keys are not looked up
                sql = sql.replace("%", "%%")
            connection.exec_driver_sql(sql)

    if engine.dialect.name == "postgresql":
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, rows))
    else:
        for statement in rows:
            write(statement)
    with engine.execution_options(ptx_write=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            _number_on(connection)
        connection.exec_driver_sql("ANALYZE")


def _number_on(connection: Connection) -> None:
    """Let the next row of each table have the next number."""
    numbered = "SELECT table_name FROM information_schema.columns WHERE column_name = 'id' AND column_default LIKE 'nextval%%'"
    for table in connection.exec_driver_sql(numbered).scalars().all():
        newest = f"(SELECT coalesce(max(id), 0) + 1 FROM {table})"
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {newest}, false)")
