"""What the dashboard's pages read beyond the rows of `tests.year`: patients, readers, the audit trail, alarms, people, packages."""

from __future__ import annotations

from datetime import date

from ptx_node.dashboard.exports_page import Wish
from tests.year import ROWS

DAYS = 365
FIGURES = (
    "probability",
    "positive_rate",
    "mask_size",
    "mask_and_class",
    "view",
    "manufacturer",
    "bits_stored",
    "age",
    "sex",
    "source",
    "exposure_index",
)
AUDIT_ROWS = 4
"""Of each job: received, inferred, delivered, and one of what people and reports do."""

_LOOKS = " UNION ALL ".join(f"SELECT '{name}' AS figure" for name in FIGURES)
_BINS = ", ".join(f"{number / 10}" for number in range(11))
_SHARES = ", ".join(["0.1"] * 10)
_WISH = Wish(since=date(2026, 1, 1), until=date(2026, 3, 31)).model_dump_json()
_HASH = "'4f1c' || substr('00000000000000000000000000000000000000000000000000000000000000000000', 1, 52) || (10000000 + N)"


def _audit(place: int, kind: str, actor: str, detail: str, later_s: int) -> str:
    """The rows that stand at one of the `AUDIT_ROWS` places of each job; their hashes fit nothing."""
    body = f"""'{{"actor":"' || {actor} || '","detail":' || {detail} || ',"kind":"' || {kind} || '","sequence":' || N || '}}'"""
    return f"""
INSERT INTO audit_events (sequence, recorded_at, kind, body, sha256)
SELECT (N - 1) * {AUDIT_ROWS} + {place}, AT({later_s}), {kind}, {body}, {_HASH} FROM SERIES"""


_RECEIPT = (
    """'{"called_ae":"PTX","outcome":"stored","series_instance_uid":"1.7.' || N || '","sha256":"' || """
    + _HASH
    + """ || '","size_bytes":500000,"sop_class_uid":"1.2.840.10008.5.1.4.1.1.1.1","sop_instance_uid":"1.8.' || N ||
    '","source":"room' || N % 20 || '","study_instance_uid":"1.9.' || N || '","via":"dimse"}'"""
)
_INFERENCE = (
    """'{"job_id":' || N || ',"model":{"name":"radiograph","version":"1.2"},"outcome":"negative","pixel_sha256":"' || """
    + _HASH
    + """ || '","rule":"rule","sop_instance_uids":["1.8.' || N || '"],"study_instance_uid":"1.9.' || N ||
    '","timings_ms":{"decode":12.25,"forward":140.5},"weights_sha256":""}'"""
)
_DELIVERY = """'{"destination":"pacs' || N % 3 || '","job_id":' || N || ',"outcome":"accepted","sop_instance_uid":"2.25.' || N ||
    '","status":"0x0000","study_instance_uid":"1.9.' || N || '"}'"""
_OTHER_KIND = """CASE WHEN N % 10 < 3 THEN 'label' WHEN N % 100 = 17 THEN 'login' WHEN N % 1000 = 18 THEN 'decision'
    WHEN N % 5000 = 19 THEN 'merge' WHEN N % 20000 = 29 THEN 'export' WHEN N % 20000 = 39 THEN 'verification' ELSE 'look' END"""
_OTHER = """'{"page":"study","study_instance_uids":["1.9.' || N || '"],"what":"look"}'"""

PAGE_ROWS = (
    *ROWS,
    "INSERT INTO people (id, created_at) SELECT N, AT(0) FROM SERIES WHERE N <= COUNT * 3 / 5 + 1",
    """
INSERT INTO patient_identifiers (id, authority, type, value, origin_person_id, person_id, imaged_at, created_at)
SELECT N, '', '', 'P' || N, N, N, AT(0), AT(0) FROM SERIES WHERE N <= COUNT * 3 / 5 + 1""",
    _audit(1, "'receipt'", "'peer ROOM' || N % 20 || '@127.0.0.1'", _RECEIPT, 0),
    _audit(2, "CASE WHEN N % 100 = 3 THEN 'refusal' ELSE 'inference' END", "'node'", _INFERENCE, 3),
    _audit(3, "'delivery'", "'node'", _DELIVERY, 4),
    _audit(4, _OTHER_KIND, "CASE WHEN N % 10 < 3 THEN 'node' ELSE 'user person' || N % 25 END", _OTHER, 5),
    """
INSERT INTO truths (kind, reader, level, name, patient_authority, patient_id, label, size, content_sha256, file, place, imported_by,
    imported_at)
SELECT 'reader', 'reader' || N % 3, 'study', '1.9.' || N, '', 'P' || PERSON, CASE WHEN N % 12 = 5 THEN 'positive' ELSE 'negative' END, '',
    N, 'readers.csv', 'line ' || N, 'user anna', AT(90000) FROM SERIES WHERE N % 50 = 5""",
    """
INSERT INTO refusals (sop_instance_uid, sop_class_uid, status, reason, detail, via, calling_ae, peer_address, refused_at)
SELECT '1.6.' || N, '1.2.840.10008.5.1.4.1.1.7', '0x0122', 'not_supported', '', 'dimse', 'ROOM1', '127.0.0.1', AT(0)
FROM SERIES WHERE N % 300 = 0""",
    """
INSERT INTO conflicts (sop_instance_uid, path, size_bytes, sha256, stored_sha256, source, calling_ae, received_at)
SELECT '1.8.' || N, 'conflicts/' || N, 1, N, '', 'room1', 'ROOM1', AT(60) FROM SERIES WHERE N % 5000 = 0""",
    """
INSERT INTO collection_instances (collection_id, instance_id, eligible)
SELECT N, 1 + (N * 10) % COUNT, TRUE FROM SERIES WHERE N % 2 = 0""",
    """
INSERT INTO retrievals (archive, study_instance_uid, why, modalities, patient_id, issuer_of_patient_id, state, attempts, received_count,
    wanted_at)
SELECT 'archive', '1.9.' || N, 'by hand', '[]', '', '', 'done', 1, 1, AT(0) FROM SERIES WHERE N % 1000 = 0""",
    """
INSERT INTO finding_assessments (id, finding_id, word, note, assessed_by, assessed_at)
SELECT N, N, 'accept', '', 'user anna', AT(90000) FROM SERIES WHERE N <= COUNT / 100""",
    f"""
INSERT INTO drift_looks (weights_sha256, model_name, model_version, figure, day, method, reference_count, window_count, statistic, p_value,
    effect, crossed, detail, looked_at)
SELECT '', 'radiograph', '1.2', figure, DAY, 'ks', 20000, 18000, 0.03, 0.5, 0.03, N % 50 = 0,
    '{{"reference_since": "2026-01-01", "reference_until": "2026-01-28", "places": [{_BINS}],
    "reference": [{_SHARES}], "window": [{_SHARES}]}}',
    AT(30000) FROM SERIES, ({_LOOKS}) f WHERE N % (COUNT / {DAYS} + 1) = 0""",
    """
INSERT INTO watch_alarms (kind, name, weights_sha256, model_name, model_version, day, words, detail, raised_at, acknowledged_at,
    acknowledged_by, outcome, note)
SELECT 'drift', 'figure ' || N, '', 'radiograph', '1.2', DAY, 'unlike the reference', '{"since": "2026-01-01", "until": "2026-01-07"}',
    AT(0),
    CASE WHEN N > 5 THEN AT(90000) END, CASE WHEN N > 5 THEN 'user anna' END, CASE WHEN N > 5 THEN 'no_cause' END,
    CASE WHEN N > 5 THEN 'looked for' END FROM SERIES WHERE N <= 200""",
    f"""
INSERT INTO exports (request, task, state, step, asked_by, asked_at, started_at, finished_at, package_sha256, counts)
SELECT '{_WISH}', 'build', 'done', '', 'user anna', AT(0), AT(1), AT(900), '', '{{"rows": 1000}}' FROM SERIES WHERE N <= 100""",
    """
INSERT INTO thresholds (action, model, weights_sha256, value, decided_by, note, decided_at)
SELECT 'applied', 'ptx-cxr-demo', '', 0.5, 'user anna', 'agreed', AT(0) FROM SERIES WHERE N <= 50""",
    """
INSERT INTO users (id, name, role, source, created_by, created_at)
SELECT 1000 + N, 'person' || N, 'viewer', 'local', 'user anna', AT(0) FROM SERIES WHERE N <= 200""",
    """
INSERT INTO web_sessions (sha256, user_id, how, address, created_at, seen_at, expires_at)
SELECT N, 1000 + N % 200, 'password', '', AT(0), AT(1), AT(43200) FROM SERIES WHERE N <= 1000""",
    """
INSERT INTO api_tokens (name, sha256, scopes, created_by, created_at, expires_at)
SELECT 'token' || N, N, '["status"]', 'user anna', AT(0), AT(40000000) FROM SERIES WHERE N <= 50""",
    """
INSERT INTO destination_states (name, suspended, reason, changed_at, failures)
SELECT 'pacs' || (N - 1), N = 2, CASE WHEN N = 2 THEN 'moves' ELSE '' END, AT(0), 0 FROM SERIES WHERE N <= 3""",
)
"""With those of `tests.year`."""
