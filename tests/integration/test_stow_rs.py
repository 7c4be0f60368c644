"""The STOW-RS door over real HTTP: independent clients, broken requests, tokens, TLS, want of room and of the database."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from sqlalchemy import Engine, select, text

from ptx_node.db.session import begin_read
from ptx_node.db.tables import Instance, Refusal, Table
from ptx_node.domain.delivery import Verdict
from ptx_node.inbound.http_door import PLAIN, server
from ptx_node.inbound.stow_rs import StowDoor, create_app
from ptx_node.outbound.association import TlsClient
from ptx_node.outbound.dicomweb import DicomwebService
from ptx_node.outbound.stow_rs import StowRs
from ptx_node.pipeline.receive import Receiver
from ptx_node.pipeline.store import FileStore
from ptx_node.settings import TlsFiles
from ptx_node.simulator.processes import free_port, port_answers, wait_until
from tests.authority import Authority
from tests.factories import Place, Size, as_file, dx
from tests.queued import radiograph_files

TOKEN = "s3cret-token"
DOOR = StowDoor(bearer_tokens=("another", TOKEN))
SMALL = Size(32, 32)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store", watermark_bytes=0)


@pytest.fixture
def receiver(sqlite_engine: Engine, store: FileStore) -> Receiver:
    return Receiver(sqlite_engine, store, invalid_uid="accept", max_instance_bytes=10_000_000, ring=lambda: None)


@pytest.fixture
def url(receiver: Receiver) -> Iterator[str]:
    with serving(receiver, DOOR) as port:
        yield f"http://127.0.0.1:{port}/dicomweb"


@contextmanager
def serving(receiver: Receiver, door: StowDoor, files: TlsFiles = PLAIN) -> Iterator[int]:
    port = free_port()
    web = server(create_app(receiver, door), "127.0.0.1", port, files)
    thread = threading.Thread(target=web.run)
    thread.start()
    try:
        wait_until(lambda: port_answers(port), what="the door")
        yield port
    finally:
        web.should_exit = True
        thread.join(20)


def radiograph(instance: int = 1, **changes: Any) -> bytes:
    return as_file(dx(Place(instance=instance), size=SMALL, **changes))


def without_preamble(data: bytes, *, implicit: bool = False) -> bytes:
    """The bare data set, in either encoding."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, True
    write_dataset(buffer, dcmread(BytesIO(data)))
    return buffer.getvalue()


def request(*parts: bytes, part_type: str = "application/dicom", of: str = "application/dicom") -> dict[str, Any]:
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: {part_type}\r\n\r\n".encode()
    content = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return {
        "content": content,
        "headers": {"Content-Type": f'multipart/related; type="{of}"; boundary={boundary}', "Authorization": f"Bearer {TOKEN}"},
        "timeout": 20,
    }


def post(url: str, *parts: bytes, **options: Any) -> httpx.Response:
    return httpx.post(f"{url}/studies", **request(*parts, **options))


def rows(engine: Engine) -> list[Instance]:
    with begin_read(engine) as session:
        return list(session.scalars(select(Instance).order_by(Instance.sop_instance_uid)))


def failures(response: httpx.Response) -> list[int]:
    return [item["00081197"]["Value"][0] for tag in ("00081198", "0008119A") for item in response.json().get(tag, {}).get("Value", [])]


def test_everything_stored_is_answered_200_and_lies_in_the_store(url: str, sqlite_engine: Engine, store: FileStore) -> None:
    sent = [radiograph(1), radiograph(2)]
    response = post(url, *sent)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    stored = {item["00081155"]["Value"][0] for item in response.json()["00081199"]["Value"]}
    assert stored == {row.sop_instance_uid for row in rows(sqlite_engine)} == {Place(instance=n).uid(3) for n in (1, 2)}
    for row, data in zip(rows(sqlite_engine), sent, strict=True):
        assert dcmread(store.path(row.path)) == dcmread(BytesIO(data))
        assert (row.via, row.source, row.peer_address) == ("stow", "stow", "127.0.0.1")


def test_again_is_no_error_and_makes_no_second_row(url: str, sqlite_engine: Engine) -> None:
    assert [post(url, radiograph()).status_code for _ in range(2)] == [200, 200]
    assert len(rows(sqlite_engine)) == 1


def test_the_same_uid_with_other_bytes_is_refused_as_duplicate(url: str, sqlite_engine: Engine) -> None:
    post(url, radiograph())
    response = post(url, radiograph(StudyDescription="altered"))
    assert (response.status_code, failures(response)) == (409, [0x0111])
    assert len(rows(sqlite_engine)) == 1


@pytest.mark.parametrize("implicit", [False, True])
def test_a_data_set_without_preamble_is_taken(url: str, sqlite_engine: Engine, store: FileStore, implicit: bool) -> None:
    data = without_preamble(radiograph(), implicit=implicit)
    assert data[128:132] != b"DICM"
    assert post(url, data).status_code == 200
    (row,) = rows(sqlite_engine)
    assert dcmread(store.path(row.path)) == dcmread(BytesIO(radiograph()))


def test_some_good_and_some_bad_is_202_and_says_which(url: str, sqlite_engine: Engine) -> None:
    truncated = radiograph(2)[:-50]
    no_class = as_file(dx(Place(instance=3), size=SMALL)).replace(b"\x08\x00\x16\x00UI", b"\x08\x00\x17\x00UI")
    response = post(url, radiograph(1), truncated, b"not DICOM at all", no_class)
    assert response.status_code == 202
    assert len(failures(response)) == 3
    assert 0xC000 in failures(response)
    assert [row.sop_instance_uid for row in rows(sqlite_engine)] == [Place().uid(3)]
    with begin_read(sqlite_engine) as session:
        assert len(session.scalars(select(Refusal)).all()) == 3


def test_an_instance_of_another_study_is_refused(url: str, sqlite_engine: Engine) -> None:
    study = Place().uid(1)
    parts = request(radiograph(), as_file(dx(Place(study=2), size=SMALL)))
    response = httpx.post(f"{url}/studies/{study}", **parts)
    assert (response.status_code, failures(response)) == (202, [0xA900])
    assert [row.study_instance_uid for row in rows(sqlite_engine)] == [study]
    assert httpx.post(f"{url}/studies/..%2Fx", **parts).status_code in (400, 404)
    assert httpx.post(f"{url}/studies/abc", **parts).status_code == 400


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"])
def test_without_a_valid_token_nobody_comes_in(url: str, sqlite_engine: Engine, authorization: str | None) -> None:
    arguments = request(radiograph())
    del arguments["headers"]["Authorization"]
    if authorization is not None:
        arguments["headers"]["Authorization"] = authorization.encode("latin-1")
    response = httpx.post(f"{url}/studies", **arguments)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert rows(sqlite_engine) == []


def test_a_door_without_tokens_is_closed(receiver: Receiver) -> None:
    with serving(receiver, StowDoor()) as port:
        assert post(f"http://127.0.0.1:{port}/dicomweb", radiograph()).status_code == 401


def test_wrong_types_are_415(url: str) -> None:
    assert post(url, b"{}", part_type="application/dicom+json", of="application/dicom+json").status_code == 415
    assert post(url, b"{}", part_type="application/dicom+json").status_code == 415
    plain = {"Content-Type": "application/dicom", "Authorization": f"Bearer {TOKEN}"}
    assert httpx.post(f"{url}/studies", content=radiograph(), headers=plain).status_code == 415


def test_broken_multipart_is_400_and_what_was_complete_stays(url: str, sqlite_engine: Engine, store: FileStore) -> None:
    arguments = request(radiograph(1), radiograph(2))
    arguments["content"] = arguments["content"][:-200]
    assert httpx.post(f"{url}/studies", **arguments).status_code == 400
    assert len(rows(sqlite_engine)) == 1
    assert list((store.folder / "incoming").iterdir()) == []
    assert post(url).status_code == 400
    arguments["headers"]["Content-Type"] = 'multipart/related; type="application/dicom"'
    assert httpx.post(f"{url}/studies", **arguments).status_code == 400


def test_a_request_that_is_too_large_is_413(receiver: Receiver, sqlite_engine: Engine) -> None:
    with serving(receiver, replace(DOOR, max_request_bytes=3000)) as port:
        url = f"http://127.0.0.1:{port}/dicomweb/studies"
        declared = request(radiograph())
        assert httpx.post(url, **declared).status_code == 413
        undeclared = {**declared, "content": iter([declared["content"]])}
        assert httpx.post(url, **undeclared).status_code == 413
    assert rows(sqlite_engine) == []


def test_a_sender_that_stops_half_way_is_let_go(receiver: Receiver, store: FileStore) -> None:
    with serving(receiver, replace(DOOR, idle_timeout_s=0.2)) as port:
        arguments = request(radiograph())
        headers = {**arguments["headers"], "Host": "node", "Content-Length": str(len(arguments["content"]))}
        head = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
            sender.sendall(f"POST /dicomweb/studies HTTP/1.1\r\n{head}\r\n".encode() + arguments["content"][:1000])
            assert sender.recv(100).startswith(b"HTTP/1.1 408")
        assert list((store.folder / "incoming").iterdir()) == []


def test_no_room_is_503_and_no_success(sqlite_engine: Engine, tmp_path: Path) -> None:
    full = FileStore(tmp_path / "full", watermark_bytes=1 << 60)
    receiver = Receiver(sqlite_engine, full, invalid_uid="accept", max_instance_bytes=10_000_000, ring=lambda: None)
    with serving(receiver, DOOR) as port:
        response = post(f"http://127.0.0.1:{port}/dicomweb", radiograph())
    assert (response.status_code, failures(response)) == (503, [0xA700])
    assert "retry-after" in response.headers


def test_a_database_that_is_gone_is_503_and_no_success(url: str, sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        for table in reversed(Table.metadata.sorted_tables):
            connection.execute(text(f"DROP TABLE {table.name}"))
    response = post(url, radiograph())
    assert (response.status_code, failures(response)) == (503, [0x0110])


def test_the_answer_in_xml_and_in_nothing_else(url: str) -> None:
    arguments = request(radiograph(), b"not DICOM at all")
    arguments["headers"]["Accept"] = "application/dicom+xml"
    response = httpx.post(f"{url}/studies", **arguments)
    assert (response.status_code, response.headers["content-type"]) == (202, "application/dicom+xml")
    attribute = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}DicomAttribute"
    keywords = {node.get("keyword") for node in ET.fromstring(response.content).iter(attribute)}
    assert {"ReferencedSOPSequence", "ReferencedSOPInstanceUID", "OtherFailuresSequence", "FailureReason"} <= keywords
    arguments["headers"]["Accept"] = "text/html"
    assert httpx.post(f"{url}/studies", **arguments).status_code == 406


def test_a_large_instance_passes_through_in_pieces(url: str, sqlite_engine: Engine, store: FileStore) -> None:
    """Larger than every buffer on the way."""
    data = as_file(dx(size=Size(1400, 1400)))
    assert len(data) > 3_000_000
    assert post(url, radiograph(2), data, radiograph(3)).status_code == 200
    stored = {row.sop_instance_uid: row for row in rows(sqlite_engine)}
    assert len(stored) == 3
    assert dcmread(store.path(stored[Place().uid(3)].path)) == dcmread(BytesIO(data))


def test_dicomweb_client_stores(url: str, sqlite_engine: Engine) -> None:
    session = create_session_from_user_pass("unused", "unused")
    session.auth = None
    client = DICOMwebClient(url=url, session=session, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = client.store_instances([dcmread(BytesIO(radiograph(n))) for n in (1, 2)])
    assert len(answer.ReferencedSOPSequence) == 2
    assert client.store_instances([dcmread(BytesIO(radiograph(3)))], study_instance_uid=Place().uid(1)).ReferencedSOPSequence
    assert len(rows(sqlite_engine)) == 3


def test_our_own_stow_client_reads_our_answers(url: str, tmp_path: Path) -> None:
    batch = radiograph_files(tmp_path, 2)
    client = StowRs("node", DicomwebService(url, bearer_token=TOKEN))
    assert [answer.verdict for answer in client.send(batch)] == [Verdict.ACCEPTED] * 2
    batch[1].path.write_bytes(as_file(dx(Place(study=1, series=2), size=SMALL, StudyDescription="altered")))
    answers = client.send(batch)
    assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED, Verdict.WARNING], "0x0111: it is there already"


def test_client_certificates_open_the_door_and_nothing_else_does(receiver: Receiver, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    own, client = ca.issue("node"), ca.issue("modality")
    files = TlsFiles(certificate=own[0], private_key=own[1], trusted=ca.certificate)
    with serving(receiver, StowDoor(client_certificates=True), files) as port:
        url = f"https://127.0.0.1:{port}/dicomweb"
        batch = radiograph_files(tmp_path, 1)
        known = StowRs("node", DicomwebService(url, tls=TlsClient(*client, ca.certificate)))
        assert [answer.verdict for answer in known.send(batch)] == [Verdict.ACCEPTED]
        known.close()
        (tmp_path / "body").write_bytes(request(radiograph())["content"])
        command = ["/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", f"@{tmp_path}/body", f"{url}/studies"]
        command += ["--cacert", str(ca.certificate)]
        stranger = subprocess.run(command, capture_output=True, check=False)
        assert stranger.stdout in (b"", b"000")
        old = subprocess.run([*command, "--tls-max", "1.1", "--cert", client[0], "--key", client[1]], capture_output=True, check=False)
        assert old.stdout in (b"", b"000")


def test_curl_stores(url: str, tmp_path: Path) -> None:
    arguments = request(radiograph())
    (tmp_path / "body").write_bytes(arguments["content"])
    headers = [word for key, value in arguments["headers"].items() for word in ("-H", f"{key}: {value}")]
    command = ["/usr/bin/curl", "-sS", "--fail", *headers, "--data-binary", f"@{tmp_path}/body", f"{url}/studies"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["00081199"]["Value"][0]["00081155"]["Value"] == [Place().uid(3)]
