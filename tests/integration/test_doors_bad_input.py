"""The doors of HTTP against whatever comes: the answer is one of those that the standard knows, never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from ptx_node.inbound import fhir, stow_rs
from ptx_node.pipeline.receive import Receiver
from ptx_node.pipeline.store import FileStore
from tests.factories import Size, as_file, dx
from tests.fhir_resources import bundle, diagnostic_report, patient
from tests.radiology import make_intake

PARIS = ZoneInfo("Europe/Paris")
KIND = 'multipart/related; type="application/dicom"; boundary=b'
TOKEN = {"Authorization": "Bearer t0ken"}
BOUNDED = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
DAYS = ("0001-01-01", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00", "2026-02-30")
UNKEPT = ("\0", "a\0b", "\ud800", "\U0001fa7b", "9" * 400, *DAYS)
"""What databases, calendars or encodings stumble over."""
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats())
VALUES = st.one_of(NUMBERS, st.sampled_from(UNKEPT), st.text(max_size=4), st.sampled_from([None, True, [], {}]))


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON tree."""
    yield path
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The tree with another value at one place."""
    if not path:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[path[0]] = changed(content[path[0]], path[1:], value)
    return copy


REPORT = diagnostic_report(subject={"reference": "#p1"}, contained=[{**patient(), "id": "p1"}])
WHOLE = bundle(diagnostic_report())


@pytest.fixture
def portal(engine: Engine, tmp_path: Path) -> TestClient:
    door = fhir.FhirDoor("portal", PARIS, bearer_tokens=("t0ken",), max_request_bytes=100_000)
    return TestClient(fhir.create_app(make_intake(engine, tmp_path), door), raise_server_exceptions=False)


@pytest.fixture
def stow(sqlite_engine: Engine, tmp_path: Path) -> TestClient:
    store = FileStore(tmp_path / "store", watermark_bytes=0)
    receiver = Receiver(sqlite_engine, store, invalid_uid="accept", max_instance_bytes=1_000_000, ring=lambda: None)
    door = stow_rs.StowDoor(bearer_tokens=("t0ken",))
    return TestClient(stow_rs.create_app(receiver, door), raise_server_exceptions=False)


@pytest.mark.parametrize("content", [REPORT, WHOLE])
def test_a_report_with_anything_anywhere_is_taken_or_refused(portal: TestClient, content: dict[str, Any]) -> None:
    """On both databases: one value or two of a good resource are something else, and it goes the whole way into the rows."""
    found = list(places(content))

    @BOUNDED
    @given(st.lists(st.tuples(st.sampled_from(found), VALUES), min_size=1, max_size=2), st.sampled_from(["POST", "PUT"]))
    def send(changes: list[tuple[tuple[Any, ...], Any]], method: str) -> None:
        made: Any = content
        for path, value in sorted(changes, key=lambda one: -len(one[0])):
            try:
                made = changed(made, path, value)
            except (LookupError, TypeError):
                continue  # the other change has taken this place away
        address = "/fhir/DiagnosticReport/r1" if method == "PUT" else "/fhir"
        answer = portal.request(method, address, content=json.dumps(made), headers=TOKEN | {"Content-Type": "application/fhir+json"})
        assert answer.status_code in (200, 201, 422), (answer.text, made)
        assert answer.json()["resourceType"] in ("OperationOutcome", "Bundle")

    send()


def test_a_request_of_images_with_anything_in_its_bytes_is_answered(stow: TestClient) -> None:
    """Bytes flipped, cut and put in, in the envelope and in the instance; types and addresses that are none."""
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + as_file(dx(size=Size(8, 8))) + b"\r\n"
    good = part + b"--b--\r\n"
    kinds = st.sampled_from([KIND] * 20 + ["multipart/related", "multipart/related; boundary=", "x", "", "\xff;;;="])
    studies = st.sampled_from(["", "/1.2.3", "/%00", "/..%2f", "/" + "9" * 80])

    edits = st.lists(st.tuples(st.integers(0, len(good)), st.integers(0, 40), st.binary(max_size=12)), max_size=3)

    @BOUNDED
    @given(edits, kinds, studies)
    def send(edits: list[tuple[int, int, bytes]], kind: str, study: str) -> None:
        data = good
        for place, cut, put in edits:
            data = data[:place] + put + data[place + cut :]
        headers = {"content-type": kind.encode("latin-1"), "authorization": b"Bearer t0ken"}
        answer = stow.post(f"/dicomweb/studies{study}", content=data, headers=headers)  # type: ignore[arg-type]
        assert answer.status_code in (200, 202, 400, 404, 409, 413, 415), (answer.status_code, answer.text)

    send()
