"""The SQL views that a site's own dashboards read: version 1, the same names and columns on SQLite and PostgreSQL.

They are a promise (docs/dashboard-queries.md): what a version has is never renamed, retyped, reordered or taken away; a new version is
new views beside the old ones. They hold rows, not sums, wherever a question is limited in time, so that the limit reaches an index;
they never look at the clock; and they hold no name, number, accession or UID of a patient, and no free text of a header.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "ptx_v1_"

SECONDS = {
    "sqlite": r"round((julianday(\2) - julianday(\1)) * 86400.0, 3)",  # SQLite knows time to the millisecond
    "postgresql": r"CAST(extract(epoch FROM \2 - \1) AS double precision)",
}
HOUR = {
    "sqlite": r"strftime('%Y-%m-%d %H:00', \1)",
    "postgresql": r"to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:00')",
}
REAL = {"sqlite": "REAL", "postgresql": "double precision"}
AGES = " ".join(f"WHEN x.patient_age_years < {age + 10} THEN '{age}-{age + 9}'" for age in range(0, 90, 10))
AGE_BAND = f"CASE {AGES} WHEN x.patient_age_years >= 90 THEN '90+' END"
"""Ten years wide and open above: rows of single examinations tell no exact age."""

# SECONDS(a, b) is the time from a to b, HOUR(a) the hour of a in UTC as text;
# REAL_TYPE and AGE_BAND stand for the above.
VIEWS: Mapping[str, str] = {
    "turnaround": """
SELECT j.id AS job_id, j.rule, j.model, j.level, j.state, j.priority, j.attempts,
    (SELECT i.source FROM job_inputs n JOIN instances i ON i.id = n.instance_id WHERE n.job_id = j.id
        ORDER BY n.instance_id LIMIT 1) AS source,
    (SELECT i.modality FROM job_inputs n JOIN instances i ON i.id = n.instance_id WHERE n.job_id = j.id
        ORDER BY n.instance_id LIMIT 1) AS modality,
    j.last_instance_at AS received_at, j.queued_at, j.started_at, j.inferred_at, j.encoded_at, j.accepted_at AS delivered_at,
    j.committed_at,
    SECONDS(j.last_instance_at, j.queued_at) AS received_to_queued_s,
    SECONDS(j.queued_at, j.inferred_at) AS queued_to_inferred_s,
    SECONDS(j.inferred_at, j.accepted_at) AS inferred_to_delivered_s,
    SECONDS(j.accepted_at, j.committed_at) AS delivered_to_committed_s,
    SECONDS(j.last_instance_at, j.accepted_at) AS received_to_delivered_s
FROM jobs j""",
    "volumes": """
SELECT i.id AS instance_id, i.received_at, HOUR(i.received_at) AS received_hour, i.via, i.source, i.modality, i.size_bytes,
    i.route_outcome AS outcome, j.id AS job_id, j.rule
FROM instances i LEFT JOIN job_inputs n ON n.instance_id = i.id LEFT JOIN jobs j ON j.id = n.job_id""",
    "failures": """
SELECT 'job_quarantined' AS kind, j.cause, j.queued_at AS occurred_at, j.rule, CAST(NULL AS TEXT) AS source,
    CAST(NULL AS TEXT) AS destination, j.id AS row_id
FROM jobs j WHERE j.state = 'quarantined'
UNION ALL
SELECT 'input_not_eligible', n.reason, j.queued_at, j.rule, i.source, CAST(NULL AS TEXT), j.id
FROM jobs j JOIN job_inputs n ON n.job_id = j.id JOIN instances i ON i.id = n.instance_id WHERE NOT n.eligible
UNION ALL
SELECT 'delivery_failed', coalesce(d.status, 'no_answer'), d.queued_at, j.rule, CAST(NULL AS TEXT), d.destination, d.id
FROM deliveries d JOIN jobs j ON j.id = d.job_id WHERE d.state = 'failed'
UNION ALL
SELECT 'instance_refused', refused.reason, refused.refused_at, CAST(NULL AS TEXT), refused.calling_ae, CAST(NULL AS TEXT), refused.id
FROM refusals refused
UNION ALL
SELECT 'instance_conflict', 'other_bytes_under_a_known_uid', kept.received_at, CAST(NULL AS TEXT), kept.source, CAST(NULL AS TEXT),
    kept.id
FROM conflicts kept
UNION ALL
SELECT 'report_not_taken', coalesce(m.reason, m.verdict), m.received_at, CAST(NULL AS TEXT), m.sender, CAST(NULL AS TEXT), m.id
FROM report_messages m WHERE m.verdict IN ('refused', 'quarantined')""",
    "waiting": """
SELECT 'job' AS kind, j.state, j.queued_at AS since, j.rule, CAST(NULL AS TEXT) AS destination, j.id AS row_id
FROM jobs j WHERE j.state IN ('queued', 'running')
UNION ALL
SELECT 'delivery', d.state, d.queued_at, CAST(NULL AS TEXT), d.destination, d.id
FROM deliveries d WHERE d.state IN ('waiting', 'sending')
UNION ALL
SELECT 'instance', 'not_routed', i.received_at, CAST(NULL AS TEXT), CAST(NULL AS TEXT), i.id
FROM instances i WHERE i.routed_at IS NULL
UNION ALL
SELECT 'series', 'not_complete', c.first_instance_at, c.rule, CAST(NULL AS TEXT), c.id
FROM collections c WHERE c.closed_at IS NULL
UNION ALL
SELECT 'report', r.parked, r.created_at, CAST(NULL AS TEXT), CAST(NULL AS TEXT), r.id
FROM radiology_reports r WHERE r.parked IS NOT NULL
UNION ALL
SELECT 'message', m.verdict, m.received_at, CAST(NULL AS TEXT), CAST(NULL AS TEXT), m.id
FROM report_messages m WHERE m.verdict = 'waiting'""",
    "deliveries": """
SELECT d.id AS delivery_id, d.job_id, d.destination, r.kind, d.state, d.attempts, d.resends, d.status, d.warning, d.proof, d.queued_at,
    d.accepted_at, d.committed_at, d.deadline_at, SECONDS(d.queued_at, d.accepted_at) AS queued_to_accepted_s,
    SECONDS(d.accepted_at, d.committed_at) AS accepted_to_committed_s
FROM deliveries d JOIN results r ON r.id = d.result_id""",
    "backlog": """
SELECT named.name AS destination, coalesce(held.suspended, FALSE) AS suspended, coalesce(held.failures, 0) AS failures_in_a_row,
    held.retry_at, coalesce(o.waiting, 0) AS waiting, o.oldest_at
FROM (SELECT name FROM destination_states UNION SELECT destination FROM deliveries WHERE state IN ('waiting', 'sending')) named
LEFT JOIN destination_states held ON held.name = named.name
LEFT JOIN (SELECT destination, count(*) AS waiting, min(queued_at) AS oldest_at FROM deliveries
    WHERE state IN ('waiting', 'sending') GROUP BY destination) o ON o.destination = named.name""",
    "findings": """
SELECT f.id AS finding_id, f.job_id, j.rule, f.outcome, f.reason, f.probability, f.threshold, f.laterality, f.area_mm2, f.volume_ml,
    f.model_name, f.model_version, CAST(f.weights_sha256 AS TEXT) AS weights_sha256, f.inferred_at, x.modality, x.examined_at,
    x.examined_on, x.patient_sex AS sex, AGE_BAND AS age_band, x.view_position, x.manufacturer, x.manufacturer_model_name, x.station_name,
    j.superseded_by_id IS NOT NULL AS superseded
FROM findings f JOIN jobs j ON j.id = f.job_id LEFT JOIN examinations x ON x.finding_id = f.id""",
    "truth": """
SELECT p.id AS pair_id, p.finding_id, p.report_id, f.job_id, p.secondary_reason IS NULL AS is_primary, p.secondary_reason, p.agreement,
    f.outcome, f.probability, f.threshold, f.laterality, l.value AS label, l.laterality AS label_laterality, l.size AS label_size,
    l.depth_mm AS label_depth_mm, l.drain AS label_drain, CASE WHEN l.reviewer IS NULL THEN 'rules' ELSE 'person' END AS labelled_by,
    p.interval_s, f.model_name, f.model_version, j.rule, x.modality, x.view_position, x.manufacturer, x.patient_sex AS sex,
    AGE_BAND AS age_band, x.examined_on, p.reconciled_at
FROM examinations x JOIN findings f ON f.id = x.finding_id JOIN pairs p ON p.finding_id = f.id
JOIN report_labels l ON l.id = p.label_id JOIN jobs j ON j.id = f.job_id
WHERE p.superseded_at IS NULL""",
    "confusion": """
SELECT x.examined_on, j.rule, f.model_name, f.model_version, x.modality,
    count(CASE WHEN p.agreement = 'true_positive' THEN 1 END) AS true_positive,
    count(CASE WHEN p.agreement = 'false_positive' THEN 1 END) AS false_positive,
    count(CASE WHEN p.agreement = 'false_negative' THEN 1 END) AS false_negative,
    count(CASE WHEN p.agreement = 'true_negative' THEN 1 END) AS true_negative,
    count(CASE WHEN p.agreement = 'undecided' THEN 1 END) AS undecided
FROM examinations x JOIN findings f ON f.id = x.finding_id JOIN pairs p ON p.finding_id = f.id JOIN jobs j ON j.id = f.job_id
WHERE p.superseded_at IS NULL AND p.secondary_reason IS NULL
GROUP BY x.examined_on, j.rule, f.model_name, f.model_version, x.modality""",
    "drift": """
SELECT x.examined_on, j.rule, f.model_name, f.model_version, x.modality, x.manufacturer, x.view_position, count(*) AS answered,
    count(CASE WHEN f.outcome = 'positive' THEN 1 END) AS positive,
    CAST(count(CASE WHEN f.outcome = 'positive' THEN 1 END) AS REAL_TYPE) / count(*) AS positive_rate,
    avg(f.probability) AS mean_probability, avg(f.area_mm2) AS mean_area_mm2, avg(f.volume_ml) AS mean_volume_ml
FROM examinations x JOIN findings f ON f.id = x.finding_id JOIN jobs j ON j.id = f.job_id
WHERE f.outcome IN ('positive', 'negative') AND j.superseded_by_id IS NULL
GROUP BY x.examined_on, j.rule, f.model_name, f.model_version, x.modality, x.manufacturer, x.view_position""",
    "unmatched": """
SELECT u.id AS unmatched_id, CASE WHEN u.finding_id IS NULL THEN 'report' ELSE 'finding' END AS side, u.reason, u.finding_id, u.report_id,
    coalesce(x.examined_on, r.examined_on) AS examined_on, u.reconciled_at
FROM unmatched u LEFT JOIN examinations x ON x.finding_id = u.finding_id LEFT JOIN radiology_reports r ON r.id = u.report_id
WHERE u.superseded_at IS NULL""",
    # From name to name in the index: the newest of each source is found without reading the millions between.
    "sources": """
WITH RECURSIVE image_sources(name) AS (
    SELECT min(source) FROM instances
    UNION ALL SELECT (SELECT min(i.source) FROM instances i WHERE i.source > s.name) FROM image_sources s WHERE s.name IS NOT NULL
), report_sources(name) AS (
    SELECT min(sender) FROM report_messages
    UNION ALL SELECT (SELECT min(m.sender) FROM report_messages m WHERE m.sender > s.name) FROM report_sources s WHERE s.name IS NOT NULL
)
SELECT 'images' AS kind, s.name AS source, (SELECT max(i.received_at) FROM instances i WHERE i.source = s.name) AS last_received_at
FROM image_sources s WHERE s.name IS NOT NULL
UNION ALL
SELECT 'reports', s.name, (SELECT max(m.received_at) FROM report_messages m WHERE m.sender = s.name)
FROM report_sources s WHERE s.name IS NOT NULL""",
}


def names() -> list[str]:
    """Every view by the name that it has in the database."""
    return [PREFIX + name for name in VIEWS]


def create(dialect: str) -> list[str]:
    """The statements that create the views, on `sqlite` or `postgresql`."""
    return [f"CREATE VIEW {PREFIX}{name} AS {_of(dialect, body).strip()}" for name, body in VIEWS.items()]


def drop() -> list[str]:
    """The statements that take the views away."""
    return [f"DROP VIEW {name}" for name in reversed(names())]


def _of(dialect: str, body: str) -> str:
    body = re.sub(r"SECONDS\(([\w.]+), ([\w.]+)\)", SECONDS[dialect], body)
    return re.sub(r"HOUR\(([\w.]+)\)", HOUR[dialect], body).replace("REAL_TYPE", REAL[dialect]).replace("AGE_BAND", AGE_BAND)
