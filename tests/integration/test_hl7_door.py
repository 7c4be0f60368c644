"""The HL7 door on real sockets: answers, what is kept of what is refused, character sets, bad peers, TLS, a killed process."""

from __future__ import annotations

import base64
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from ptx_node.db.session import begin_read, open_engine
from ptx_node.db.tables import AuditEvent, PatientMerge, RadiologyReport, RadiologyReportVersion, ReportMessage, Table
from ptx_node.inbound.hl7_door import Hl7Door
from ptx_node.inbound.hl7_frames import framed
from ptx_node.inbound.hl7_mllp import MllpServer
from ptx_node.inbound.storage_scp import listen
from ptx_node.inbound.tls import tls_context
from ptx_node.pipeline.refusals import BURST
from ptx_node.settings import Hl7Fields, Hl7Sender, TlsFiles
from ptx_node.simulator.patient import draw_patient
from ptx_node.simulator.processes import free_port, port_answers, wait_until
from ptx_node.simulator.reports import write
from ptx_node.simulator.reports.report import Language
from tests.authority import Authority
from tests.hl7_sender import adt, by_library, code, conversation, oru
from tests.radiology import counted, image, label_of, make_intake, rows, the_report

RIS = Hl7Sender(name="ris", application="RIS", statuses={"A": "addendum"})
PARIS = ZoneInfo("Europe/Paris")


@contextmanager
def door(engine: Engine, folder: Path, *senders: Hl7Sender, tls: ssl.SSLContext | None = None, **limits: Any) -> Iterator[int]:
    listener = listen("127.0.0.1", 0)
    answer = Hl7Door(make_intake(engine, folder), senders, PARIS).answer
    limits = {"max_message_bytes": 200_000, "max_connections": 10, "message_timeout_s": 20.0, **limits}
    server = MllpServer(listener, answer, tls=tls, **limits)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.stop()
        thread.join(20)
        listener.close()


@pytest.fixture
def port(sqlite_engine: Engine, tmp_path: Path) -> Iterator[int]:
    with door(sqlite_engine, tmp_path, RIS) as port:
        yield port


def ask(port: int, message: bytes) -> Any:
    with conversation(port) as peer:
        return peer.ask(message)


def versions(engine: Engine) -> list[RadiologyReportVersion]:
    return rows(engine, RadiologyReportVersion)


def test_an_independent_client_is_answered_after_the_report_is_there(engine: Engine, tmp_path: Path) -> None:
    image(engine, "1")
    with door(engine, tmp_path, RIS) as port:
        assert ["AA", "AA", "AA"] == by_library(port, oru("Left pneumothorax."), oru("Left pneumothorax."), oru("Other.", control_id="1"))
    assert (2, 1, 2, 2) == counted(engine)
    report, (first, _) = the_report(engine), versions(engine)
    assert ("R1", "A1", "1.2.840.1", "CT", "CTCHEST", "CT chest") == (
        report.external_id,
        report.accession_number,
        report.study_instance_uid,
        report.modality,
        report.procedure_code,
        report.procedure_text,
    )
    assert (datetime(2026, 3, 1, 10, 30, tzinfo=UTC), date(2026, 3, 1)) == (report.examined_at, report.examined_on)
    assert [["hospital", "MR", "1"]] == first.patients
    kinds = [event.kind for event in audited(engine)]
    assert ["receipt", "label", "receipt", "receipt", "label"] == [kind for kind in kinds if kind in ("receipt", "label")]


def audited(engine: Engine) -> list[AuditEvent]:
    with begin_read(engine) as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.sequence)))


def test_the_bytes_of_an_accepted_message_lie_in_the_store(port: int, sqlite_engine: Engine, tmp_path: Path) -> None:
    ask(port, oru())
    (message,) = rows(sqlite_engine, ReportMessage)
    assert message.path
    assert oru() == (tmp_path / "store" / message.path).read_bytes()


@pytest.mark.parametrize(
    ("changes", "answer", "problem"),
    [
        ({"kind": "ORM^O01"}, "AR", "200"),
        ({"kind": "ORU^R30"}, "AR", "201"),
        ({"kind": "ADT^A08"}, "AR", "201"),
        ({"kind": ""}, "AR", "200"),
        ({"version": "2.2"}, "AR", "203"),
        ({"version": "3.0"}, "AR", "203"),
        ({"version": ""}, "AR", "203"),
        ({"processing_id": "T"}, "AR", "202"),
        ({"control_id": ""}, "AE", "101"),
        ({"pid": ""}, "AE", "101"),
        ({"order": "", "accession": ""}, "AE", "101"),
        ({"obx": ["NTE|1||nothing"]}, "AE", "101"),
        ({"obx": ["OBX|1|ED|18782-3||^application^pdf^Base64^!!!||||||F"]}, "AE", "102"),
        ({"application": "STRANGER"}, "AR", "207"),
    ],
)
def test_what_is_wrong_is_answered_by_its_kind_and_noted(
    port: int, sqlite_engine: Engine, changes: dict[str, Any], answer: str, problem: str
) -> None:
    reply = ask(port, oru(**changes))
    assert (answer, problem) == (code(reply), reply.value(reply.first("ERR"), 3) or reply.value(reply.first("ERR"), 1, 4))
    (message,) = rows(sqlite_engine, ReportMessage)
    assert ("refused", answer) == (message.verdict, message.acknowledgement)
    assert not rows(sqlite_engine, RadiologyReport)


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8"])
def test_every_version_served_is_answered_in_its_own(port: int, version: str) -> None:
    reply = ask(port, oru(version=version, control_id=f"x{version}"))
    assert ("AA", f"x{version}", version) == (code(reply), reply.value(reply.first("MSA"), 2), reply.value(reply.header, 12))
    assert ("NODE", "RIS") == (reply.value(reply.header, 4), reply.value(reply.header, 5))


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("AL", "NE", ["CA"], ["CR"]),
        ("NE", "AL", ["AA"], ["AR"]),
        ("AL", "AL", ["CA", "AA"], ["CR", "AR"]),
        ("ER", "NE", [], ["CR"]),
        ("SU", "ER", ["CA"], ["AR"]),
        ("", "AL", ["AA"], ["AR"]),
        ("NE", "NE", [], []),
    ],
)
def test_enhanced_mode_answers_what_the_sender_asks_for(port: int, accept: str, application: str, good: list[str], bad: list[str]) -> None:
    tail = f"|||{accept}|{application}"
    with conversation(port) as peer:
        peer.send(framed(oru(tail=tail)) + framed(oru(tail=tail, version="2.1")) + framed(oru(control_id="end")))
        answers = []
        while (reply := peer.answer()).value(reply.first("MSA"), 2) != "end":
            answers.append(code(reply))
    assert [*good, *bad] == answers


def test_what_has_no_header_is_rejected_with_a_made_one_and_kept(port: int, sqlite_engine: Engine, tmp_path: Path) -> None:
    reply = ask(port, b"this is no message\r")
    assert ("AR", "ACK") == (code(reply), reply.value(reply.header, 9))
    (message,) = rows(sqlite_engine, ReportMessage)
    assert ("quarantined", "no_header") == (message.verdict, message.reason)
    assert message.path
    assert b"this is no message\r" == (tmp_path / "store" / message.path).read_bytes()


def test_nobody_is_accepted_who_is_not_named_by_application_facility_and_address(sqlite_engine: Engine, tmp_path: Path) -> None:
    elsewhere = Hl7Sender(name="far", application="RIS", addresses=("10.0.0.0/8",))
    with door(sqlite_engine, tmp_path, elsewhere, Hl7Sender(name="near", application="RIS", facility="CLINIC")) as port:
        assert ["AR", "AA"] == by_library(port, oru(), oru(facility="CLINIC"))
    assert ["near"] == [report.source for report in rows(sqlite_engine, RadiologyReport)]


def test_a_flood_from_strangers_fills_neither_table_nor_disk(port: int, sqlite_engine: Engine, tmp_path: Path) -> None:
    with conversation(port) as peer:
        for number in range(BURST + 20):
            assert "AR" == code(peer.ask(oru(application="STRANGER", control_id=str(number))))
    assert BURST <= len(rows(sqlite_engine, ReportMessage)) < BURST + 20
    assert not list((tmp_path / "store" / "reports").rglob("*"))


FRENCH = "Décollement pleural gauche, pas d'épanchement à droite."


@pytest.mark.parametrize(
    ("charset", "codec", "setting", "flags"),
    [
        ("8859/1", "latin-1", "", []),
        ("8859/15", "iso8859-15", "", []),
        ("UNICODE UTF-8", "utf-8", "", []),
        ("", "utf-8", "", []),
        ("", "latin-1", "8859/1", []),
        ("", "latin-1", "", ["charset_doubtful"]),
        ("UNICODE UTF-8", "latin-1", "", ["charset_doubtful"]),
    ],
)
def test_french_arrives_whole(sqlite_engine: Engine, tmp_path: Path, charset: str, codec: str, setting: str, flags: list[str]) -> None:
    tail = "|" * 6 + charset
    with door(sqlite_engine, tmp_path, Hl7Sender(name="ris", charset=setting)) as port:
        reply = ask(port, oru(FRENCH, tail=tail, codec=codec))
    assert "AA" == code(reply)
    (version,) = versions(sqlite_engine)
    assert (FRENCH, flags) == (version.text, version.flags)


def test_text_of_several_segments_repetitions_and_escapes(port: int, sqlite_engine: Engine) -> None:
    obx = [
        r"OBX|1|FT|36643-5^Chest CT^LN||CT of the chest.\.br\Findings: 5 \T\ 6 mm.~Next line||||||F",
        "OBX|2|TX|36643-5^Chest CT^LN||wrong line||||||W",
        "OBX|3|NM|1||5||||||F",
        "OBX|4|TX|36643-5&IMP^Impression^LN||Small pneumothorax.||||||F",
        "OBX|5|ST|113014^DICOM Study^DCM||1.2.3.4||||||F",
    ]
    ask(port, oru(obx=obx, zds=""))
    (version,) = versions(sqlite_engine)
    assert "CT of the chest.\nFindings: 5 & 6 mm.\nNext line\n\nIMPRESSION:\nSmall pneumothorax." == version.text
    assert "1.2.3.4" == version.study_instance_uid


def encapsulated(data: bytes, kind: str = "application^pdf") -> str:
    return f"OBX|1|ED|18782-3||RIS^{kind}^Base64^{base64.b64encode(data).decode()}||||||F"


@pytest.mark.parametrize(
    ("obx", "text", "flags", "label"),
    [
        ([encapsulated(b"%PDF-1.4 no pneumothorax")], "", ["pdf_without_text"], None),
        ([encapsulated(b"{\\rtf1 no pneumothorax}", "TEXT^rtf")], "", ["document_without_text"], None),
        ([encapsulated(b"%PDF-1.4"), "OBX|2|TX|1||Right pneumothorax.||||||F"], "Right pneumothorax.", [], "positive"),
        ([encapsulated("Pneumothorax à droite".encode("latin-1"), "TEXT^plain")], "Pneumothorax à droite", [], "positive"),
        ([encapsulated(b"<html><p>No <b>pneumothorax</b>.</p></html>", "TEXT^HTML")], "No pneumothorax.", [], "negative"),
    ],
    ids=["PDF", "RTF", "PDF beside text", "text", "HTML"],
)
def test_documents_are_read_or_said_to_be_unread(
    port: int, sqlite_engine: Engine, obx: list[str], text: str, flags: list[str], label: str | None
) -> None:
    assert "AA" == code(ask(port, oru(obx=obx, tail="|" * 6 + "8859/1")))
    (version,) = versions(sqlite_engine)
    assert (text, flags, label) == (version.text, version.flags, label_of(sqlite_engine, the_report(sqlite_engine)))


def test_several_reports_of_several_patients_in_one_message(port: int, sqlite_engine: Engine) -> None:
    second = oru("Second.", order="R2", accession="A2", pid="2^^^HOSPITAL^MR").split(b"\r", 1)[1]
    linked = b"ORC|RE\rOBR|3||R3|CTABD\r"
    assert "AA" == code(ask(port, oru("First.") + second + linked))
    found = {report.external_id: report.accession_number for report in rows(sqlite_engine, RadiologyReport)}
    assert {"R1": "A1", "R2": "A2"} == found
    assert [[["hospital", "MR", "1"]], [["hospital", "MR", "2"]]] == [version.patients for version in versions(sqlite_engine)]


def test_fields_are_where_the_site_says(sqlite_engine: Engine, tmp_path: Path) -> None:
    fields = Hl7Fields(report=("OBR-18",), accession=("ORC-3.1", "OBR-3"), examined_at=("OBR-22", "OBR-7"), modality=("OBR-4",))
    with door(sqlite_engine, tmp_path, Hl7Sender(name="ris", fields=fields, time_zone="UTC")) as port:
        ask(port, oru(examined_at="20260301233000"))
    report = the_report(sqlite_engine)
    assert ("A1", "R1", "CTCHEST") == (report.external_id, report.accession_number, report.modality)
    assert (datetime(2026, 3, 1, 23, 30, tzinfo=UTC), date(2026, 3, 2)) == (report.examined_at, report.examined_on)


@pytest.mark.parametrize(
    ("value", "on", "timed", "flags"),
    [
        ("20260301", "2026-03-01", False, []),
        ("202603010005+0000", "2026-03-01", True, []),
        ("20260301233000-0500", "2026-03-02", True, []),
        ("20261025023000", "2026-10-25", True, ["time_ambiguous"]),
        ("2026", "None", False, ["time_unreadable"]),
        ("20260231", "None", False, ["time_unreadable"]),
        ("", "None", False, []),
    ],
)
def test_the_time_of_the_examination_and_no_other(
    port: int, sqlite_engine: Engine, value: str, on: str, *, timed: bool, flags: list[str]
) -> None:
    ask(port, oru(examined_at=value))
    (version,) = versions(sqlite_engine)
    assert (on, timed, flags) == (str(version.examined_on), version.examined_at is not None, version.flags)


def test_final_late_preliminary_addendum_and_withdrawal(port: int, sqlite_engine: Engine) -> None:
    statuses = []
    for number, (status, text) in enumerate([("F", "Clear."), ("P", "Pneumothorax?"), ("A", "Pneumothorax."), ("X", "")]):
        obx = ["NTE|1"] if status == "X" else None
        assert "AA" == code(ask(port, oru(text, status=status, control_id=str(number), obx=obx)))
        statuses.append((the_report(sqlite_engine).status, label_of(sqlite_engine, the_report(sqlite_engine))))
    assert [("final", "not_mentioned"), ("final", "not_mentioned"), ("addendum", "positive"), ("withdrawn", None)] == statuses


def test_patients_are_merged_and_parted_by_message(port: int, sqlite_engine: Engine) -> None:
    image(sqlite_engine, "1")
    first, second = "1^^^HOSPITAL^MR", "2^^^HOSPITAL^MR"
    reply = ask(port, oru(pid=second))
    assert "1 of 1 reports wait for their patient" == reply.value(reply.first("MSA"), 3)
    assert "unknown_patient" == the_report(sqlite_engine).parked
    assert "AA" == code(ask(port, adt("A40", first, second, control_id="2")))
    assert the_report(sqlite_engine).parked is None
    assert "AA" == code(ask(port, adt("A37", first, second, control_id="3")))
    assert "unknown_patient" == the_report(sqlite_engine).parked
    reply = ask(port, adt("A37", first, second, control_id="4"))
    assert ("AE", "204") == (code(reply), reply.value(reply.first("ERR"), 3))
    assert "AE" == code(ask(port, adt("A40", first, "", control_id="5")))
    assert 1 == len(rows(sqlite_engine, PatientMerge))


def test_many_messages_in_any_packets_are_answered_in_order(port: int, sqlite_engine: Engine) -> None:
    stream = b"junk" + b"".join(framed(oru(f"Report {n}", control_id=str(n), order=f"R{n}")) + b"\n" for n in range(20))
    with conversation(port) as peer:
        for at in range(0, len(stream), 997):
            peer.send(stream[at : at + 997])
        assert [str(n) for n in range(20)] == [(reply := peer.answer()).value(reply.first("MSA"), 2) for _ in range(20)]
    assert 20 == len(rows(sqlite_engine, RadiologyReport))


def test_a_message_that_is_too_large_is_rejected_and_the_connection_goes_on(port: int, sqlite_engine: Engine) -> None:
    with conversation(port) as peer:
        assert "AR" == code(peer.ask(oru("x" * 300_000)))
        assert "AA" == code(peer.ask(oru(control_id="2")))
    assert ["too_large", None] == [message.reason for message in rows(sqlite_engine, ReportMessage)]


def test_a_message_cut_off_is_no_report_and_one_without_its_end_is_flagged(port: int, sqlite_engine: Engine) -> None:
    with conversation(port) as peer:
        peer.send(framed(oru("No pneumothorax."))[:-40])
        peer.sock.shutdown(1)
        assert "AE" == code(peer.answer())
    assert not rows(sqlite_engine, RadiologyReport)
    with conversation(port) as peer:
        peer.send(b"\x0b" + oru("No pneumothorax."))
        peer.sock.shutdown(1)
        assert "AA" == code(peer.answer())
    assert [["end_missing"]] == [version.flags for version in versions(sqlite_engine)]


def test_a_peer_that_stalls_within_a_message_is_let_go_and_others_are_served(sqlite_engine: Engine, tmp_path: Path) -> None:
    with door(sqlite_engine, tmp_path, RIS, message_timeout_s=1.0) as port, conversation(port) as slow:
        slow.send(framed(oru())[:50])
        assert ["AA"] == by_library(port, oru(control_id="2"))
        assert "AE" == code(slow.answer())
        with pytest.raises(EOFError):
            slow.answer()


def test_more_connections_than_allowed_are_closed(sqlite_engine: Engine, tmp_path: Path) -> None:
    with door(sqlite_engine, tmp_path, RIS, max_connections=1) as port, conversation(port) as first:
        assert "AA" == code(first.ask(oru()))
        with conversation(port) as second, pytest.raises((EOFError, ConnectionError)):
            second.ask(oru(control_id="2"))


def test_a_database_that_is_away_is_answered_so_that_the_sender_tries_again(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'missing' / 'ptx.db'}")
    with door(engine, tmp_path, RIS) as port:
        reply = ask(port, oru())
        assert ("AR", "207") == (code(reply), reply.value(reply.first("ERR"), 3))
        assert "CE" == code(ask(port, oru(tail="|||AL|NE")))
    engine.dispose()


def test_over_tls_with_client_certificates(sqlite_engine: Engine, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (certificate, private_key), client = authority.issue("node"), authority.issue("client")
    server_side = tls_context(TlsFiles(certificate=certificate, private_key=private_key, trusted=authority.certificate))
    client_side = ssl.create_default_context(cafile=authority.certificate)
    client_side.check_hostname = False
    with door(sqlite_engine, tmp_path, RIS, tls=server_side) as port:
        with conversation(port, client_side) as peer, pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            peer.ask(oru())
        client_side.load_cert_chain(*client)
        with conversation(port, client_side) as peer:
            assert "AA" == code(peer.ask(oru()))


KILLED = """
import os, signal, sys
from pathlib import Path
from zoneinfo import ZoneInfo
from ptx_node.db.session import begin_read, open_engine
from ptx_node.inbound.hl7_door import Hl7Door
from ptx_node.inbound.hl7_mllp import MllpServer
from ptx_node.inbound.storage_scp import listen
from ptx_node.settings import Hl7Sender
from tests.radiology import make_intake
url, folder, port, deadly = sys.argv[1:]
door = Hl7Door(make_intake(open_engine(url), Path(folder)), [Hl7Sender(name="ris")], ZoneInfo("UTC"))
def answer(frame, address):
    replies = door.answer(frame, address)
    if deadly == "yes":
        os.kill(os.getpid(), signal.SIGKILL)  # committed, and not acknowledged yet
    return replies
MllpServer(listen("127.0.0.1", int(port)), answer, max_message_bytes=100000, max_connections=5, message_timeout_s=20.0).serve()
"""


def test_killed_between_commit_and_answer_the_message_sent_again_is_accepted_and_nothing_is_doubled(
    database_url: str, tmp_path: Path
) -> None:
    engine = open_engine(database_url)
    Table.metadata.create_all(engine)
    image(engine, "1")
    port = free_port()
    for deadly in ("yes", "no"):
        command = [sys.executable, "-c", KILLED, database_url, str(tmp_path), str(port), deadly]
        with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2]) as process:
            wait_until(lambda: port_answers(port), what="the door")
            if deadly == "yes":
                with conversation(port) as peer, pytest.raises((EOFError, ConnectionError)):
                    peer.ask(oru("Pneumothorax."))
                assert -signal.SIGKILL == process.wait(20)
                assert (1, 1, 1, 1) == counted(engine)
            else:
                assert ["AA"] == by_library(port, oru("Pneumothorax."))
                process.terminate()
    assert (1, 1, 1, 1) == counted(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("language", "charset", "codec"), [("en", "", "ascii"), ("fr", "8859/15", "iso8859-15"), ("fr", "UNICODE UTF-8", "utf-8")]
)
def test_the_simulated_hospitals_reports_arrive_word_for_word(
    port: int, sqlite_engine: Engine, language: Language, charset: str, codec: str
) -> None:
    """Every report of twelve patients, sent by an independent client, is kept exactly as it was dictated."""
    dictated = {f"S{seed}": write(draw_patient(seed), language=language, seed=seed) for seed in range(12)}
    messages = [
        oru(
            "\n".join(escaped(line) for line in one.text.split("\n")),
            control_id=name,
            order=name,
            status={"final": "F", "preliminary": "P", "corrected": "C"}[one.status],
            tail="|" * 6 + charset,
            codec=codec,
        )
        for name, one in dictated.items()
    ]
    assert ["AA"] * len(dictated) == by_library(port, *messages)
    names = {report.id: report.external_id for report in rows(sqlite_engine, RadiologyReport)}
    kept = {names[row.report_id]: (row.text, row.status, row.flags) for row in versions(sqlite_engine)}
    assert {name: (one.text.strip("\n"), one.status, []) for name, one in dictated.items()} == kept


def escaped(line: str) -> str:
    for one, code_of_it in (("\\", "E"), ("|", "F"), ("^", "S"), ("&", "T"), ("~", "R")):
        line = line.replace(one, f"\\{code_of_it}\\")
    return line
