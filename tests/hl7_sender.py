"""A sender of HL7 for tests: messages as a RIS writes them, and a client that goes on after any answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hl7.client import MLLPClient

from ptx_node.inbound.hl7_frames import FrameReader, framed
from ptx_node.inbound.hl7_message import Message, parse


def oru(text: str = "No pneumothorax.", *, control_id: str = "1", end: str = "\r", **changes: Any) -> bytes:
    """An ORU^R01 of one report; `text` is escaped by the caller, its lines become OBX segments."""
    said: dict[str, Any] = {
        "kind": "ORU^R01^ORU_R01",
        "processing_id": "P",
        "version": "2.5",
        "tail": "",
        "pid": "1^^^HOSPITAL^MR",
        "order": "R1",
        "accession": "A1",
        "examined_at": "20260301113000",
        "status": "F",
        "application": "RIS",
        "facility": "HOSPITAL",
        "obx": None,
        "codec": "latin-1",
        "zds": "ZDS|1.2.840.1^RIS^Application^DICOM",
        **changes,
    }
    header = f"MSH|^~\\&|{said['application']}|{said['facility']}|PTX|NODE|20260301120000||{said['kind']}|{control_id}"
    obr = ["OBR", "1", "", said["order"], "CTCHEST^CT chest^L", "", "", said["examined_at"], *[""] * 10, said["accession"], *[""] * 5]
    observations = said["obx"] or [f"OBX|{n}|TX|18782-3^Report^LN||{line}||||||F" for n, line in enumerate(text.split("\n"), 1)]
    segments = [
        f"{header}|{said['processing_id']}|{said['version']}{said['tail']}",
        f"PID|1||{said['pid']}||DOE^JANE||19700102|F",
        "ORC|RE",
        "|".join([*obr, "CT", said["status"]]),
        *observations,
        *([said["zds"]] if said["zds"] else []),
    ]
    return str(end).join([*segments, ""]).encode(said["codec"])


def adt(event: str, pid: str, other: str, *, control_id: str) -> bytes:
    """An ADT message of two patients: the second in MRG, or in a PID of its own for A24 and A37."""
    second = f"PID|2||{other}" if event in ("A24", "A37") else f"MRG|{other}"
    head = f"MSH|^~\\&|RIS|HOSPITAL|PTX|NODE|20260301120000||ADT^{event}|{control_id}|P|2.5"
    return "\r".join([head, f"EVN|{event}", f"PID|1||{pid}", second, ""]).encode()


class Conversation:
    """One raw connection: sends any bytes, reads whole answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._reader = FrameReader(max_bytes=1_000_000)
        self._waiting: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, timeout_s: float = 20) -> Message:
        """The next answer.

        Raises:
            EOFError: the door closed the connection.
            TimeoutError: there is none.
        """
        self.sock.settimeout(timeout_s)
        while not self._waiting:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("no answer")
            self._waiting += [frame.content for frame in self._reader.feed(data)]
        return parse(self._waiting.pop(0))

    def ask(self, message: bytes) -> Message:
        self.send(framed(message))
        return self.answer()


@contextmanager
def conversation(port: int, tls: ssl.SSLContext | None = None) -> Iterator[Conversation]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        if tls is None:
            yield Conversation(plain)
            return
        with tls.wrap_socket(plain) as sock:
            yield Conversation(sock)


def code(answer: Message) -> str:
    """MSA-1."""
    return answer.value(answer.first("MSA"), 1)


def by_library(port: int, *messages: bytes) -> list[str]:
    """Send with python-hl7's client over one connection; MSA-1 of each answer."""
    with MLLPClient("127.0.0.1", port) as client:
        return [code(parse(client.send_message(message).strip(b"\x0b\x1c\r"))) for message in messages]
