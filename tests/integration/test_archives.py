"""Archives are asked and understood: Orthanc by DIMSE and by DICOMweb, and peers with the habits of other systems."""

from __future__ import annotations

import io
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from ptx_node.domain.retrieval import FoundSeries, StudyQuery, choose
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError, UsageError
from ptx_node.outbound.archive_dicomweb import DicomwebArchive
from ptx_node.outbound.archive_dimse import DimseArchive
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port
from tests.archives import dimse_archive, fill, finding, giving, hospital, peer, web_archive
from tests.factories import Place, as_file, ct_series, dx

ONE, TWO, THREE, FOUR, FIVE = (Place(number).uid(1) for number in range(1, 6))
KINDS = ("dimse", "dicomweb")


@pytest.fixture(scope="module")
def archive_pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with running_pacs(tmp_path_factory.mktemp("pacs") / "pacs", extra={"DicomAlwaysAllowGet": True}) as pacs:
        fill(pacs, hospital())
        yield pacs


def archive(pacs: Pacs, kind: str) -> DimseArchive | DicomwebArchive:
    return dimse_archive(pacs.dicom_port, "c_get") if kind == "dimse" else web_archive(pacs.dicomweb_url, page=2)


class Kept:
    """Takes what comes, and answers so."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.whole: list[bytes] = []
        self.aborted = 0

    def begin(self) -> KeptOne:
        return KeptOne(self)

    def sop_instance_uids(self) -> list[str]:
        return sorted(str(pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID) for data in self.whole)


class KeptOne:
    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> int:
        self.kept.whole.append(bytes(self.data))
        return self.kept.status

    def abort(self) -> None:
        self.kept.aborted += 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("query", "studies"),
    [
        (StudyQuery(study_instance_uid=ONE), {ONE}),
        (StudyQuery(accession_number="A000004"), {FOUR}),
        (StudyQuery(patient_id="P-00011"), {THREE}),
        (StudyQuery(patient_id="nobody"), set()),
        (StudyQuery(since=date(2026, 3, 1), until=date(2026, 3, 1)), {ONE, TWO, FOUR}),
        (StudyQuery(since=date(2026, 3, 2)), {THREE, FIVE}),
        (StudyQuery(until=date(2026, 3, 2), modalities=("CT", "CR")), {ONE, THREE}),
        (StudyQuery(since=date(2026, 3, 1), modalities=("MR",)), set()),
    ],
)
def test_orthanc_finds_what_is_asked(archive_pacs: Pacs, kind: str, query: StudyQuery, studies: set[str]) -> None:
    chosen = choose(query, archive(archive_pacs, kind).find_studies(query, limit=50))
    assert studies == {one.study_instance_uid for one in chosen}


def test_a_number_with_an_accent_is_asked_for_in_a_character_set(archive_pacs: Pacs) -> None:
    """Orthanc's C-FIND finds it; the archive itself has it in Latin-1."""
    asked = StudyQuery(patient_id="PÉ-5")
    found = archive(archive_pacs, "dimse").find_studies(asked, limit=50)
    assert [FIVE] == [one.study_instance_uid for one in choose(asked, found)]


def test_one_patient_number_of_two_issuers(archive_pacs: Pacs) -> None:
    """The other issuer's patient never comes, and without an issuer nobody guesses."""
    asked = StudyQuery(patient_id="P-0001", issuer_of_patient_id="EXAMPLE")
    found = archive(archive_pacs, "dimse").find_studies(asked, limit=50)
    assert [ONE] == [one.study_instance_uid for one in choose(asked, found)]
    with pytest.raises(UsageError, match="EXAMPLE, OTHER"):
        choose(StudyQuery(patient_id="P-0001"), found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_carry_what_a_person_must_see(archive_pacs: Pacs, kind: str) -> None:
    (study,) = archive(archive_pacs, kind).find_studies(StudyQuery(study_instance_uid=ONE), limit=50).studies
    assert ("P-0001", "A000001", date(2026, 3, 1), 6) == (study.patient_id, study.accession_number, study.study_date, study.instance_count)
    assert {"CT", "DX"} == set(study.modalities or ())
    series = archive(archive_pacs, kind).find_series(ONE)
    assert {FoundSeries(Place(1).uid(2), "CT", 5), FoundSeries(Place(1, 2).uid(2), "DX", 1)} == set(series)
    assert [] == archive(archive_pacs, kind).find_series("1.2.3")


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_is_kept_and_told(archive_pacs: Pacs, kind: str) -> None:
    found = archive(archive_pacs, kind).find_studies(StudyQuery(since=date(2026, 3, 1)), limit=3)
    assert (3, False) == (len(found.studies), found.complete)


@pytest.mark.parametrize("kind", KINDS)
def test_instances_come_as_they_are_stored(archive_pacs: Pacs, kind: str) -> None:
    """A compressed radiograph stays compressed; a CT comes whole."""
    kept = Kept()
    fetched = archive(archive_pacs, kind).fetch(ONE, [Place(1).uid(2), Place(1, 2).uid(2)], kept.begin)
    assert (6, 0) == (fetched.sent, fetched.failed)
    assert sorted(str(ds.SOPInstanceUID) for ds in hospital() if ds.StudyInstanceUID == ONE) == kept.sop_instance_uids()
    compressed = Kept()
    archive(archive_pacs, kind).fetch(FOUR, [Place(4).uid(2)], compressed.begin)
    (ds,) = (pydicom.dcmread(io.BytesIO(data)) for data in compressed.whole)
    assert RLELossless == ds.file_meta.TransferSyntaxUID
    assert hospital()[8].PixelData == ds.PixelData


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_without_room_is_sent_no_more(archive_pacs: Pacs, kind: str) -> None:
    full = Kept(0xA700)
    with pytest.raises(DestinationUnavailableError, match="could not take"):
        archive(archive_pacs, kind).fetch(ONE, [Place(1).uid(2)], full.begin)
    assert 1 == len(full.whole)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0xA700, DestinationUnavailableError),
        (0xA701, DestinationUnavailableError),
        (0x0110, DestinationUnavailableError),
        (0xA900, DestinationRefusedError),
        (0xC001, DestinationRefusedError),
        (0x0122, DestinationRefusedError),
        (0x0124, DestinationRefusedError),
    ],
)
def test_failures_of_a_query_are_told_apart(status: int, error: type[Exception]) -> None:
    with peer(find=lambda event: iter([(status, None)])) as port, pytest.raises(error, match=f"0x{status:04X}"):
        dimse_archive(port).find_series(ONE)


def test_an_archive_that_supports_fewer_keys_is_understood() -> None:
    """Status 0xFF01, no counts, no modalities, another study among the answers: taken for what it is."""

    def find(event: Any) -> Iterator[Any]:
        for study, series in ((ONE, "1.1"), (ONE, "1.1"), (TWO, "2.1"), ("", "1.2")):
            answer = Dataset()
            answer.StudyInstanceUID, answer.SeriesInstanceUID = study, series
            yield 0xFF01, answer

    with peer(find=find) as port:
        assert [FoundSeries("1.1"), FoundSeries("1.2")] == dimse_archive(port).find_series(ONE)


def test_an_answer_in_an_unknown_character_set_does_not_stop_the_others() -> None:
    def find(event: Any) -> Iterator[Any]:
        for number, character_set in ((1, "ISO_IR 999"), (2, "ISO_IR 192"), (3, "ISO_IR 100")):
            answer = Dataset()
            answer.SpecificCharacterSet = character_set
            answer.StudyInstanceUID, answer.AccessionNumber = f"1.{number}", "A1"
            answer.PatientID = "Pé"
            yield 0xFF00, answer

    with peer(find=find) as port:
        found = dimse_archive(port).find_studies(StudyQuery(patient_id="Pé"), limit=10)
    assert ["1.1", "1.2", "1.3"] == [one.study_instance_uid for one in found.studies]
    assert {"1.2", "1.3"} <= {one.study_instance_uid for one in choose(StudyQuery(patient_id="Pé"), found)}


def test_an_archive_is_told_to_stop_when_there_is_enough() -> None:
    sent = []

    def find(event: Any) -> Iterator[Any]:
        for number in range(1, 10_000):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            answer = Dataset()
            answer.StudyInstanceUID = f"1.{number}"
            sent.append(number)
            yield 0xFF00, answer

    with peer(find=find) as port:
        found = dimse_archive(port).find_studies(StudyQuery(since=date(2026, 3, 1)), limit=20)
    assert (20, False) == (len(found.studies), found.complete)
    assert len(sent) < 5000


def test_an_archive_that_does_not_stop_is_left() -> None:
    def find(event: Any) -> Iterator[Any]:
        for number in range(1, 100_000):
            answer = Dataset()
            answer.StudyInstanceUID = f"1.{number}"
            yield 0xFF00, answer

    with peer(find=find) as port:
        found = dimse_archive(port).find_studies(StudyQuery(since=date(2026, 3, 1)), limit=5)
    assert (5, False) == (len(found.studies), found.complete)


def test_silent_and_absent_archives_are_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for one in (dimse_archive(port, timeout_s=0.5), dimse_archive(free_port(), timeout_s=0.5)):
            with pytest.raises(DestinationUnavailableError):
                one.find_series(ONE)
    with pytest.raises(DestinationUnavailableError):
        web_archive(f"http://127.0.0.1:{free_port()}").find_series(ONE)


def test_a_query_that_is_never_answered_ends() -> None:
    over = threading.Event()

    def find(event: Any) -> Iterator[Any]:
        over.wait(20)
        yield 0x0000, None

    with peer(find=find) as port:
        with pytest.raises(DestinationUnavailableError, match="no answer"):
            dimse_archive(port, timeout_s=0.5).find_series(ONE)
        over.set()


def test_an_archive_that_moves_nowhere_says_what_to_do() -> None:
    instances = [dx(Place(1))]

    def move(event: Any) -> Iterator[Any]:
        yield None, None

    with peer(find=finding(instances), move=move) as port, pytest.raises(DestinationRefusedError, match="PTX_RETRIEVE"):
        dimse_archive(port).fetch(ONE, [Place(1).uid(2)], Kept().begin)


def test_a_c_get_that_is_cut_leaves_no_half_instance() -> None:
    """What came before the cut came whole; the rest is told as an archive that went away."""
    instances = ct_series(4, Place(1))

    def get(event: Any) -> Iterator[Any]:
        yield len(instances)
        for ds in instances[:2]:
            yield 0xFF00, ds
        event.assoc.abort()
        yield 0xFF00, instances[2]

    kept = Kept()
    with peer(get=get) as port, pytest.raises(DestinationUnavailableError):
        dimse_archive(port, "c_get").fetch(ONE, [Place(1).uid(2)], kept.begin)
    assert [str(ds.SOPInstanceUID) for ds in instances[:2]] == kept.sop_instance_uids()


def test_series_are_asked_for_one_by_one() -> None:
    instances = [dx(Place(1, 1)), dx(Place(1, 2))]
    asked: list[list[str]] = []
    kept = Kept()
    with peer(get=giving(instances, asked)) as port:
        fetched = dimse_archive(port, "c_get").fetch(ONE, [Place(1, 1).uid(2), Place(1, 2).uid(2)], kept.begin)
    assert ([[Place(1, 1).uid(2)], [Place(1, 2).uid(2)]], 2) == (asked, fetched.sent)


@contextmanager
def web(answer: Callable[[str, dict[str, str]], tuple[int, str, bytes]], *, cut: int = 0) -> Iterator[str]:
    """A DICOMweb service that answers as `answer` says; `cut`: so many bytes are announced more than sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            code, content_type, body = answer(url.path, {key: values[0] for key, values in parse_qs(url.query).items()})
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body) + cut))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def qido(uids: list[str]) -> bytes:
    return json.dumps([{"0020000D": {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


STUDIES = [f"1.{number}" for number in range(1, 8)]
PERIOD = StudyQuery(since=date(2026, 3, 1))


def test_a_service_that_gives_fewer_than_asked_is_asked_on() -> None:
    def answer(path: str, asked: dict[str, str]) -> tuple[int, str, bytes]:
        first = int(asked["offset"])
        return 200, "application/dicom+json", qido(STUDIES[first : first + 3])

    with web(answer) as url:
        found = web_archive(url, page=100).find_studies(PERIOD, limit=50)
    assert (STUDIES, True) == ([one.study_instance_uid for one in found.studies], found.complete)


def test_a_service_without_paging_is_not_believed_to_be_complete() -> None:
    """The same full page again: nobody knows what lies behind it. A short one is all there is."""
    with web(lambda path, asked: (200, "application/dicom+json", qido(STUDIES[:3]))) as url:
        assert not web_archive(url, page=3).find_studies(PERIOD, limit=50).complete
        assert web_archive(url, page=4).find_studies(PERIOD, limit=50).complete
        with pytest.raises(DestinationRefusedError):
            web_archive(url, page=3).find_series(ONE)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, DestinationRefusedError),
        (401, DestinationUnavailableError),
        (404, DestinationRefusedError),
        (413, DestinationRefusedError),
        (500, DestinationUnavailableError),
        (503, DestinationUnavailableError),
    ],
)
def test_failures_of_a_service_are_told_apart(code: int, error: type[Exception]) -> None:
    with web(lambda path, asked: (code, "text/plain", b"no")) as url, pytest.raises(error, match=str(code)):
        web_archive(url).find_studies(PERIOD, limit=50)


def test_a_wado_instance_is_never_whole_in_memory() -> None:
    """64 MB come through in little pieces."""
    size = 64_000_000
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + bytes(size) + b"\r\n--b--\r\n"
    received = 0

    class Counted(KeptOne):
        def write(self, data: bytes) -> None:
            nonlocal received
            received += len(data)

    answer = lambda path, asked: (200, 'multipart/related; type="application/dicom"; boundary=b', body)  # noqa: E731
    with web(answer) as url:
        archive = web_archive(url)
        tracemalloc.start()
        try:
            archive.fetch(ONE, ["1.1"], lambda: Counted(Kept()))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert size == received
    assert peak < 8_000_000


@pytest.mark.parametrize("cut", [0, 1000])
def test_a_wado_answer_that_ends_early_leaves_no_half_instance(cut: int) -> None:
    """Cut by the connection, or by a service that just ends: what was whole is kept, what was not is let go."""
    parts = [as_file(ds) for ds in ct_series(3, Place(1))]
    body = b"".join(b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + part for part in parts) + b"\r\n--b--\r\n"
    content_type = 'multipart/related; type="application/dicom"; boundary=b'
    kept = Kept()
    answer = lambda path, asked: (200, content_type, body[: len(body) - 5000])  # noqa: E731
    with web(answer, cut=cut) as url, pytest.raises(DestinationUnavailableError):
        web_archive(url).fetch(ONE, ["1.1"], kept.begin)
    assert (parts[:2], 1) == (kept.whole, kept.aborted)
