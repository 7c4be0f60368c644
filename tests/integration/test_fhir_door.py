"""The FHIR door over real HTTP: R4 and R5, whole bundles and each by itself, what is wrong with its place, tokens."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from ptx_node.db.session import open_engine
from ptx_node.db.tables import RadiologyReport, RadiologyReportVersion, ReportMessage
from ptx_node.inbound.fhir import FhirDoor, create_app, load, take
from ptx_node.inbound.fhir_reports import FhirError, Site, reports
from ptx_node.inbound.http_door import server
from ptx_node.simulator.processes import free_port, port_answers, wait_until
from tests.fhir_resources import attachment, bundle, diagnostic_report, patient, study
from tests.radiology import counted, image, label_of, make_intake, rows, the_report

TOKEN = "t0ken"
PARIS = ZoneInfo("Europe/Paris")


@contextmanager
def serving(engine: Engine, folder: Path, door: FhirDoor) -> Iterator[int]:
    port = free_port()
    web = server(create_app(make_intake(engine, folder), door), "127.0.0.1", port)
    thread = threading.Thread(target=web.run)
    thread.start()
    try:
        wait_until(lambda: port_answers(port), what="the door")
        yield port
    finally:
        web.should_exit = True
        thread.join(20)


@pytest.fixture
def url(sqlite_engine: Engine, tmp_path: Path) -> Iterator[str]:
    with serving(sqlite_engine, tmp_path, FhirDoor("portal", PARIS, bearer_tokens=(TOKEN,), max_request_bytes=100_000)) as port:
        yield f"http://127.0.0.1:{port}/fhir"


def post(url: str, content: object, *, token: str = TOKEN, media_type: str = "application/fhir+json") -> httpx.Response:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(url, content=data, headers={"Authorization": f"Bearer {token}", "Content-Type": media_type}, timeout=20)


def alone(**changes: Any) -> dict[str, Any]:
    """A report that carries its patient."""
    return diagnostic_report(subject={"reference": "#p1"}, contained=[{**patient(), "id": "p1"}], **changes)


def test_a_report_alone_is_created_once_and_found_again(url: str, sqlite_engine: Engine) -> None:
    image(sqlite_engine, "1")
    first, second = (post(f"{url}/DiagnosticReport", alone()) for _ in range(2))
    assert [201, 200] == [first.status_code, second.status_code]
    assert ("application/fhir+json", "OperationOutcome") == (first.headers["content-type"], first.json()["resourceType"])
    assert (1, 1, 1, 1) == counted(sqlite_engine)
    report = the_report(sqlite_engine)
    assert ("portal", "DiagnosticReport/1", "final", "CT", "24627-2", "CT Chest", None) == (
        report.source,
        report.external_id,
        report.status,
        report.modality,
        report.procedure_code,
        report.procedure_text,
        report.parked,
    )
    assert "2026-03-01" == str(report.examined_on)
    assert "negative" == label_of(sqlite_engine, report)


def test_a_bundle_brings_patient_accession_and_study(url: str, sqlite_engine: Engine) -> None:
    assert 201 == post(url, bundle(diagnostic_report())).status_code
    report = the_report(sqlite_engine)
    assert ("A1", "1.2.840.1", "unknown_patient") == (report.accession_number, report.study_instance_uid, report.parked)
    assert [[["hospital", "MR", "1"]]] == [row.patients for row in rows(sqlite_engine, RadiologyReportVersion)]
    image(sqlite_engine, "1")
    assert the_report(sqlite_engine).parked is None


def test_r5_names_the_study_another_way(url: str, sqlite_engine: Engine) -> None:
    r5 = study(modality=[{"coding": [{"code": "DX"}]}])
    content = bundle(diagnostic_report(imagingStudy=None, study=[{"reference": "ImagingStudy/s1"}], status="modified"))
    content["entry"][1] = {"resource": r5}
    assert 201 == post(url, content).status_code
    report = the_report(sqlite_engine)
    assert ("DX", "A1", "corrected") == (report.modality, report.accession_number, report.status)


def test_a_transaction_is_all_or_nothing_and_a_batch_each_by_itself(url: str, sqlite_engine: Engine) -> None:
    mixed = [diagnostic_report(id="1"), diagnostic_report(id="2", status="finished"), diagnostic_report(id="3")]
    refused = post(url, bundle(*mixed, kind="transaction"))
    assert (422, ["Bundle.entry[3].resource.status"]) == (refused.status_code, refused.json()["issue"][0]["expression"])
    assert not rows(sqlite_engine, RadiologyReport)
    taken = post(url, bundle(*mixed, kind="batch"))
    assert (200, "batch-response") == (taken.status_code, taken.json()["type"])
    assert ["201", "201", "201", "422", "201"] == [entry["response"]["status"][:3] for entry in taken.json()["entry"]]
    assert ["DiagnosticReport/1", "DiagnosticReport/3"] == [report.external_id for report in rows(sqlite_engine, RadiologyReport)]


def test_put_and_versions(url: str, sqlite_engine: Engine) -> None:
    """Final, then amended by PUT, then a late preliminary, then entered in error."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/fhir+json"}
    for changes in (
        {},
        {"status": "amended", "issued": "2026-03-01T13:00:00Z", "presentedForm": [attachment("Pneumothorax.")]},
        {"status": "preliminary", "issued": "2026-03-01T14:00:00Z"},
    ):
        answer = httpx.put(f"{url}/DiagnosticReport/1", content=json.dumps(alone(**changes)), headers=headers, timeout=20)
        assert 201 == answer.status_code
    other = httpx.put(f"{url}/DiagnosticReport/2", content=json.dumps(alone()), headers=headers, timeout=20)
    assert 422 == other.status_code
    assert ("corrected", "positive") == (the_report(sqlite_engine).status, label_of(sqlite_engine, the_report(sqlite_engine)))
    post(f"{url}/DiagnosticReport", alone(status="entered-in-error", issued="2026-03-01T15:00:00Z"))
    assert ("withdrawn", None) == (the_report(sqlite_engine).status, the_report(sqlite_engine).label_id)


@pytest.mark.parametrize(
    ("changes", "text", "flags"),
    [
        ({"presentedForm": [attachment("Décollement.")]}, "Décollement.", []),
        ({"presentedForm": [attachment("D\xe9collement.".encode("latin-1"), "text/plain;charset=iso-8859-1")]}, "Décollement.", []),
        ({"presentedForm": [attachment("<p>No</p><p>air</p>", "text/html")]}, "No\nair", []),
        ({"presentedForm": [attachment(b"%PDF-1.4", "application/pdf")]}, "", ["pdf_without_text"]),
        ({"presentedForm": [attachment(b"%PDF-1.4", "application/pdf")], "conclusion": "No air."}, "No air.", []),
        ({"presentedForm": None, "text": {"status": "generated", "div": "<div>All <b>clear</b></div>"}}, "All clear", []),
        ({"presentedForm": [attachment("Body.")], "conclusion": "Small air."}, "Body.\n\nIMPRESSION:\nSmall air.", []),
        ({"presentedForm": [attachment("Body. Small air.")], "conclusion": "Small  air."}, "Body. Small air.", []),
        ({"status": "unknown"}, "No pneumothorax.", ["status_unknown"]),
        ({"conclusion": "\ud800\x00"}, "No pneumothorax.\n\nIMPRESSION:\n\ufffd\ufffd", []),
    ],
)
def test_where_the_text_is(url: str, sqlite_engine: Engine, changes: dict[str, Any], text: str, flags: list[str]) -> None:
    assert 201 == post(f"{url}/DiagnosticReport", alone(**changes)).status_code
    (row,) = rows(sqlite_engine, RadiologyReportVersion)
    assert (text, flags) == (row.text, row.flags)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (alone(status=None), "DiagnosticReport.status"),
        (alone(status="done"), "DiagnosticReport.status"),
        (diagnostic_report(), "DiagnosticReport.subject"),
        (alone(presentedForm=None), "DiagnosticReport.presentedForm"),
        (alone(presentedForm=[{"contentType": "text/plain", "data": "%%%"}]), "DiagnosticReport.presentedForm[0].data"),
        (alone(effectiveDateTime="2026-13-45"), "DiagnosticReport.effectiveDateTime"),
        (alone(id=None), "DiagnosticReport.identifier"),
        (patient(), "resourceType"),
        (bundle(), "Bundle.entry"),
        ([], "resourceType"),
        (b"{", "resourceType"),
        (b"[" * 100_00, "resourceType"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_kept(url: str, sqlite_engine: Engine, content: object, where: str) -> None:
    answer = post(f"{url}/DiagnosticReport", content)
    assert (422, [where]) == (answer.status_code, answer.json()["issue"][0]["expression"])
    (message,) = rows(sqlite_engine, ReportMessage)
    assert ("refused", "422") == (message.verdict, message.acknowledgement)


def test_nobody_enters_without_a_token_and_nothing_else_is_taken(url: str, sqlite_engine: Engine) -> None:
    assert [401, 401, 415, 413] == [
        post(url, bundle(), token="wrong").status_code,
        httpx.post(url, content=b"{}", timeout=20).status_code,
        post(url, b"<xml/>", media_type="application/fhir+xml").status_code,
        post(url, b"x" * 200_000).status_code,
    ]
    assert not rows(sqlite_engine, ReportMessage)


def test_a_request_that_stalls_ends(sqlite_engine: Engine, tmp_path: Path) -> None:
    door = FhirDoor("portal", PARIS, bearer_tokens=(TOKEN,), idle_timeout_s=0.3)
    fields = ("Host: x", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", "Content-Length: 100")
    head = "\r\n".join(["POST /fhir HTTP/1.1", *fields, "", "{"])
    with serving(sqlite_engine, tmp_path, door) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(head.encode())
        assert b"408" in sock.recv(100)


def test_a_database_that_is_away_is_503(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'missing' / 'ptx.db'}")
    assert 503 == take(make_intake(engine, tmp_path), FhirDoor("portal", PARIS), json.dumps(alone()).encode()).status
    engine.dispose()


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["final", "Patient/p1", "#p1", "2026", "x|y"])
)
WORDS = (
    "resourceType id status subject reference identifier value system type coding code text div presentedForm data contentType",
    "effectiveDateTime effectivePeriod start issued imagingStudy study modality series basedOn category contained result conclusion",
    "entry resource fullUrl",
)
NAMES = st.sampled_from([word for line in WORDS for word in line.split()])
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=5)), max_leaves=20
)


@given(st.dictionaries(NAMES, ANYTHING, max_size=8), st.booleans())
def test_no_resource_breaks_the_reader(content: dict[str, Any], in_bundle: bool) -> None:
    given_one = {**alone(), **content, "resourceType": "DiagnosticReport"}
    whole = {"resourceType": "Bundle", "entry": [{"resource": given_one}, content]} if in_bundle else given_one
    for found in reports(whole, Site("fuzz", PARIS)):
        assert found.version is None or found.version.content_sha256


@given(st.binary(max_size=60))
def test_no_bytes_break_it_either(data: bytes) -> None:
    try:
        reports(load(data), Site("fuzz", PARIS))
    except FhirError:
        return
