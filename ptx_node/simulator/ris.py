"""The simulated hospital's information system: sends the CT reports of the day as HL7 v2 ORU^R01 over MLLP. SIMULATED, about nobody."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ptx_node.errors import PtxError
from ptx_node.simulator.people import number_of, person_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ptx_node.simulator.patient import Patient
    from ptx_node.simulator.reports import CtReport

APPLICATION, FACILITY, AUTHORITY = "SIMRIS", "SIMULATED", "SIMULATED"
STATUSES = {"final": "F", "preliminary": "P", "corrected": "C"}
PROCEDURES = {"en": "CTCHEST^CT chest^L", "fr": "TDMTHORAX^Scanner thoracique^L"}
ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
BEGIN, END = b"\x0b", b"\x1c\r"
TIMEOUT_S = 30.0


def report_message(patient: Patient, report: CtReport, *, control_id: str) -> bytes:
    """The report of this patient's CT of the day as one message, a line of it in each OBX; UTF-8.

    Times are local, as information systems write them.
    """
    person = person_of(patient)
    name = number_of(person.patient_id, "ct")
    taken, signed = (f"{moment:%Y%m%d%H%M%S}" for moment in (person.ct_at, person.ct_at.replace(second=0)))
    status = STATUSES[report.status]
    order = [
        "OBR",
        "1",
        "",
        f"R{name}",
        PROCEDURES[report.language],
        "",
        "",
        taken,
        *[""] * 10,
        f"C{name}",
        *[""] * 3,
        signed,
        "",
        "CT",
        status,
    ]
    segments = [
        f"MSH|^~\\&|{APPLICATION}|{FACILITY}|PTX|NODE|{signed}||ORU^R01^ORU_R01|{control_id}|P|2.5||||||UNICODE UTF-8",
        f"PID|1||{person.patient_id}^^^{AUTHORITY}^MR||SIMULATED^PATIENT||{person.birth_date:%Y%m%d}|{person.sex}",
        "ORC|RE",
        "|".join(order),
        *(f"OBX|{number}|TX|18782-3^Report^LN||{_escaped(line)}||||||{status}" for number, line in enumerate(report.text.split("\n"), 1)),
    ]
    return "\r".join([*segments, ""]).encode()


def send_messages(messages: Iterable[bytes], port: int, host: str = "127.0.0.1") -> list[str]:
    """Send over one connection, each after the answer to the one before; the acknowledgement codes (MSA-1).

    Raises:
        PtxError: nobody listens, or an answer does not come.
    """
    codes = []
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
            for message in messages:
                connection.sendall(BEGIN + message + END)
                codes.append(_acknowledgement(connection))
    except OSError as error:
        raise PtxError(f"the HL7 door at {host}:{port} does not answer: {error}") from error
    return codes


def _acknowledgement(connection: socket.socket) -> str:
    answer = b""
    while not answer.endswith(END):
        data = connection.recv(65_536)
        if not data:
            raise PtxError("the HL7 door closed the connection without an answer")
        answer += data
    said = next((line for line in answer.split(b"\r") if line.startswith(b"MSA|")), b"MSA||")
    return said.split(b"|")[1].decode("ascii", "replace")


def _escaped(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)
