"""Answers to HL7 messages: original and enhanced mode (chapter 2, 2.9), in the words and delimiters of the one asked.

Original mode (MSH-15 and MSH-16 empty): one answer, AA, AE or AR. Enhanced mode: CA, CE or CR where MSH-15 asks for it,
and the application's AA, AE or AR where MSH-16 does.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from ptx_node.inbound.hl7_message import Delimiters, Message, Segment

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

NOTHING = Message(Delimiters(), (Segment("MSH", ("MSH", "|", "^~\\&")),), "ascii", doubtful=False)
"""What an unreadable message is answered as."""
LONGEST_TEXT = 80
"""MSA-3 is ST of 80 characters."""
_ERR_2_5 = (2, 5)
_STRUCTURES = (2, 3, 1)


class Outcome(StrEnum):
    """What is answered, whatever the mode."""

    ACCEPT = "A"
    ERROR = "E"
    """The content is wrong: the same message will not do."""
    REJECT = "R"
    """Type, version, processing id or sender is not served, or the node cannot take anything now."""


class Problem(StrEnum):
    """Table 0357, as far as it is used."""

    SEGMENT_SEQUENCE = "100"
    REQUIRED_FIELD = "101"
    DATA_TYPE = "102"
    TYPE = "200"
    EVENT = "201"
    PROCESSING_ID = "202"
    VERSION = "203"
    UNKNOWN_KEY = "204"
    INTERNAL = "207"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a message is answered.

    Attributes:
        problem: a code of table 0357; empty where all is well.
        where: `segment^sequence^field` of the problem; empty where it has no place.
        text: for people, in ASCII, without patient data.
        error_in_accept_mode: in enhanced mode a rejection that is not about MSH is an error (CE).
    """

    outcome: Outcome
    text: str = ""
    problem: str = ""
    where: str = ""
    error_in_accept_mode: bool = False

    @property
    def commit_code(self) -> str:
        """MSA-1 of the accept acknowledgement."""
        return "CE" if self.error_in_accept_mode else f"C{self.outcome}"


def acknowledgements(message: Message, answer: Answer, zone: ZoneInfo) -> list[bytes]:
    """The messages to send back, in order; none where the sender wants none."""
    accept, application = (message.value(message.header, number).upper() for number in (15, 16))
    if not accept and not application:
        return [_encode(message, answer, f"A{answer.outcome}", zone)]
    sent = []
    if _wanted(accept, answer.outcome):
        sent.append(_encode(message, answer, answer.commit_code, zone))
    if _wanted(application, answer.outcome):
        sent.append(_encode(message, answer, f"A{answer.outcome}", zone))
    return sent


def first_code(message: Message, answer: Answer) -> str:
    """MSA-1 of the first answer that is sent; empty where none is."""
    accept, application = (message.value(message.header, number).upper() for number in (15, 16))
    if _wanted(accept, answer.outcome):
        return answer.commit_code
    original = not accept and not application
    return f"A{answer.outcome}" if original or _wanted(application, answer.outcome) else ""


def _wanted(condition: str, outcome: Outcome) -> bool:
    """Table 0155: always, never, only errors and rejects, only success. Whoever says something else is told."""
    if not condition:
        return False
    return {"AL": True, "NE": False, "ER": outcome is not Outcome.ACCEPT, "SU": outcome is Outcome.ACCEPT}.get(condition, True)


def version_of(message: Message) -> tuple[int, ...]:
    """MSH-12 as numbers; (2, 5) where it is none."""
    parts = message.value(message.header, 12).split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() and len(part) < LONGEST_TEXT for part in parts) else _ERR_2_5


def _encode(message: Message, answer: Answer, code: str, zone: ZoneInfo) -> bytes:
    """One acknowledgement. Fields of the message are repeated as they stand, so with its delimiters and escapes."""
    d, asked = message.delimiters, message.header
    encoding = f"{d.component}{d.repetition}{d.escape}{d.subcomponent}"
    version = version_of(message)
    event = message.components(asked.raw(9))[1:2]
    kind = d.component.join(["ACK", *event, *(["ACK"] if event and version >= _STRUCTURES else [])])
    moment = datetime.now(zone).strftime("%Y%m%d%H%M%S%z")
    ours = ["MSH", encoding, asked.raw(5), asked.raw(6), asked.raw(3), asked.raw(4), moment, "", kind, secrets.token_hex(10)]
    header = d.field.join([*ours, asked.raw(11) or "P", asked.raw(12) or "2.5"])
    if asked.raw(15) or asked.raw(16):
        header += d.field * 3 + "NE" + d.field + "NE"
    text = _escaped(answer.text, d)
    segments = [header, d.field.join(["MSA", code, asked.raw(10), text[:LONGEST_TEXT]]).rstrip(d.field)]
    if answer.problem:
        segments.append(_error(answer, d, version, text))
    return ("\r".join(segment.replace("\r", " ").replace("\n", " ") for segment in segments) + "\r").encode(message.codec, "replace")


def _error(answer: Answer, d: Delimiters, version: tuple[int, ...], text: str) -> str:
    where = answer.where.split("^") if answer.where else []
    if version < _ERR_2_5:
        place = [*where, "", "", ""][:3]
        return d.field.join(["ERR", d.component.join([*place, d.subcomponent.join([answer.problem, "", "HL70357"])])])
    coded = d.component.join([answer.problem, "", "HL70357"])
    return d.field.join(["ERR", "", d.component.join(where), coded, "E", "", "", "", text])


def _escaped(text: str, d: Delimiters) -> str:
    meanings = {d.escape: "E", d.field: "F", d.component: "S", d.repetition: "R", d.subcomponent: "T"}
    return "".join(f"{d.escape}{meanings[one]}{d.escape}" if one in meanings else one for one in text)
