"""The two crowds of `tests.bench.crowd`, each a process of its own, as cheap as they can be: one sends studies, one looks at pages."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.factories import Place, Size, as_file, dx
from tests.raw_peer import P_DATA, associated, p_data, read_pdu, store_command

SENDERS = 8
RELEASE = b"\5\0\0\0\0\4\0\0\0\0"
WAITS_S = 30.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a process did: how many a second, seconds that each took, how many went wrong, and its own processor seconds."""

    per_second: float
    took_s: list[float]
    failed: int
    processor_s: float


def send(port: int, per_second: float, seconds: float) -> Done:
    """Send studies of one small radiograph, each in an association of its own, at times that are fixed beforehand.

    `took_s` is from the connection to the C-STORE response; the rate is of the responses, from the first one to the last one, so that it is
    lower only where they fall behind.
    """
    began_processor, began = time.process_time(), time.perf_counter()
    form = _form()

    def one(number: int) -> tuple[float, float] | None:
        time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        try:
            return _store(port, form), time.perf_counter()
        except (OSError, AssertionError):
            return None

    with ThreadPoolExecutor(SENDERS) as pool:
        answers = list(pool.map(one, range(int(per_second * seconds))))
    taken = [answer for answer in answers if answer is not None]
    ends = sorted(end for _, end in taken)
    rate = (len(ends) - 1) / (ends[-1] - ends[0]) if len(ends) > 1 else 0.0
    return Done(rate, [took_s for took_s, _ in taken], len(answers) - len(taken), time.process_time() - began_processor)


def _form() -> tuple[str, bytes, list[bytes]]:
    """SOP class and data set of a radiograph, and the UIDs in it that another one of the same length replaces."""
    uids = [_uid("1"), _uid("2"), _uid("3")]
    names = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    ds = dx(Place(), size=Size(16, 16), AccessionNumber="CROWD", PatientID="CROWD", **dict(zip(names, uids, strict=True)))
    file = as_file(ds)
    (length,) = struct.unpack_from("<I", file, 140)
    return str(ds.SOPClassUID), file[144 + length :], [uid.encode() for uid in uids]


def _uid(start: str) -> str:
    """A UID of 44 characters."""
    return f"2.25.{start}{uuid.uuid4().int % 10**37:037d}1"


def _store(port: int, form: tuple[str, bytes, list[bytes]]) -> float:
    sop_class, data, uids = form
    fresh = [_uid("4").encode() for _ in uids]
    for old, new in zip(uids, fresh, strict=True):
        data = data.replace(old, new)
    began = time.perf_counter()
    with associated(port, sop_class) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pieces = [data[place : place + 16_000] for place in range(0, len(data), 16_000)]
        body = b"".join(p_data(piece, control=2 if number == len(pieces) - 1 else 0) for number, piece in enumerate(pieces))
        sock.sendall(store_command(sop_class, fresh[0].decode()) + body)
        kind, answer = read_pdu(sock)
        took_s = time.perf_counter() - began
        status = answer.partition(b"\0\0\0\x09\2\0\0\0")[2][:2]
        assert (kind, status) == (P_DATA, b"\0\0"), answer
        sock.sendall(RELEASE)
        read_pdu(sock)
    return took_s


def look(port: int, addresses: list[tuple[str, str]], every_s: float, seconds: float) -> Done:
    """Have people ask for their pages, each every so many seconds and not before the last answer came.

    Args:
        port: of the dashboard.
        addresses: cookie and address of each person.
        every_s: between two requests of one person.
        seconds: how long.
    """
    return asyncio.run(_look(port, addresses, every_s, seconds))


async def _look(port: int, addresses: list[tuple[str, str]], every_s: float, seconds: float) -> Done:
    began_processor, end = time.process_time(), time.perf_counter() + seconds
    took_s: list[float] = []
    failures = 0

    async def person(number: int, cookie: str, address: str) -> None:
        nonlocal failures
        words = f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: ptx-session={cookie}\r\nHX-Request: true\r\n\r\n".encode()
        await asyncio.sleep(every_s * number / len(addresses))
        while time.perf_counter() < end:
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)  # the server ends one that was idle for 5 s
            writer.write(words)
            status = await asyncio.wait_for(_answer(reader), WAITS_S)
            writer.close()
            took_s.append(time.perf_counter() - began)
            failures += status != 200
            await asyncio.sleep(max(0.0, min(end, began + every_s) - time.perf_counter()))

    await asyncio.gather(*(person(number, *one) for number, one in enumerate(addresses)))
    return Done(len(took_s) / seconds, took_s, failures, time.process_time() - began_processor)


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer that says how long it is, all of it read."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert length, head
    await reader.readexactly(int(length[1]))
    return int(head.split(b" ", 2)[1])
