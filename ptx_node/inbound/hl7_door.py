"""What happens to one HL7 message: who sent it, what it is, into the intake, and only then the answer.

Nobody is accepted who is not among the site's senders. What cannot be taken is kept for a person, bytes and reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ptx_node import log
from ptx_node.domain.radiology_report import ReportFlag, ReportVia
from ptx_node.errors import DatabaseUnavailableError, StorageFullError
from ptx_node.inbound.hl7_acknowledge import NOTHING, Answer, Outcome, Problem, acknowledgements, first_code, version_of
from ptx_node.inbound.hl7_frames import Wrong
from ptx_node.inbound.hl7_message import HeaderError, Message, parse
from ptx_node.inbound.hl7_reports import LINK, MERGES, UNLINK, ContentError, merges, reports
from ptx_node.inbound.negotiation import address_allowed
from ptx_node.pipeline.refusals import Allowance
from ptx_node.pipeline.report_intake import Arrival, NotMergedError, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from ptx_node.inbound.hl7_frames import Frame
    from ptx_node.pipeline.report_intake import ReportIntake
    from ptx_node.settings import Hl7Sender

logger = log.get(__name__)

OLDEST, NEWEST = (2, 3), (2, 8, 99)
PATIENT_EVENTS = MERGES | {LINK, UNLINK}
NOT_NOW = Answer(Outcome.REJECT, "the node cannot store anything now: send again later", Problem.INTERNAL, error_in_accept_mode=True)
LONGEST_CONTROL_ID = 200


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a message is not taken: the answer, what becomes of the message, and the coded reason for people."""

    answer: Answer
    verdict: Verdict
    reason: str


class Hl7Door:
    """Answers messages for one process; shared by its connections.

    Args:
        intake: takes reports and merges.
        senders: who may send, and how each writes.
        zone: the site's time zone.
    """

    def __init__(self, intake: ReportIntake, senders: Sequence[Hl7Sender], zone: ZoneInfo) -> None:
        self._intake = intake
        self._senders = tuple(senders)
        self._zone = zone
        self._allowance = Allowance()

    def answer(self, frame: Frame, address: str) -> list[bytes]:
        """Take one message; returns the messages to send back, unframed. Does not raise for anything in the message.

        An acceptance is returned after the commit, never before.
        """
        message, sender = NOTHING, None
        try:
            message = parse(frame.content)
            sender = self._sender(message, address)
            if sender is not None and sender.charset:
                message = parse(frame.content, charset=sender.charset)
        except HeaderError:
            pass
        arrival = self._arrival(frame, message, sender, address)
        try:
            refusal = self._refusal(frame, message, sender)
            answer = self._take(frame, arrival, message, sender) if refusal is None and sender is not None else None
        except ContentError as error:
            answer, refusal = None, _wrong(str(error.code), error.where, error.detail)
        except NotMergedError as error:
            answer, refusal = None, _wrong(Problem.UNKNOWN_KEY, "PID^1^3", str(error))
        except (DatabaseUnavailableError, StorageFullError) as error:
            logger.warning("HL7 message put off", sender=arrival.sender, error=str(error))
            return acknowledgements(message, NOT_NOW, self._zone)
        if refusal is not None:
            answer = refusal.answer
            try:
                self._refuse(frame, arrival, message, refusal)
            except (DatabaseUnavailableError, StorageFullError) as error:
                logger.warning("HL7 refusal not recorded", sender=arrival.sender, reason=refusal.reason, error=str(error))
        assert answer is not None
        return acknowledgements(message, answer, self._zone)

    def _sender(self, message: Message, address: str) -> Hl7Sender | None:
        application, facility = (message.value(message.header, number) for number in (3, 4))
        for sender in self._senders:
            named = sender.application in ("*", application) and sender.facility in ("*", facility)
            if named and address_allowed(address, sender.addresses):
                return sender
        return None

    def _arrival(self, frame: Frame, message: Message, sender: Hl7Sender | None, address: str) -> Arrival:
        kind = "^".join(message.part(message.header.raw(9), n) for n in (1, 2)).strip("^")
        return Arrival(
            via=ReportVia.HL7,
            sender=sender.name if sender else "",
            control_id=message.value(message.header, 10)[:LONGEST_CONTROL_ID],
            sha256=hashlib.sha256(frame.content).hexdigest(),
            kind=kind[:LONGEST_CONTROL_ID],
            peer_address=address,
        )

    def _refusal(self, frame: Frame, message: Message, sender: Hl7Sender | None) -> _Refusal | None:
        """Why a message cannot be taken at all, from its frame and header; None if it can."""
        if message is NOTHING:
            return _Refusal(Answer(Outcome.REJECT, "no readable MSH segment", Problem.SEGMENT_SEQUENCE), Verdict.QUARANTINED, "no_header")
        if sender is None:
            text = "this application, facility and address are not among the senders (hl7.senders)"
            return _reject(Problem.INTERNAL, "MSH^1^3", text, "unknown_sender")
        if frame.wrong is Wrong.TOO_LARGE:
            return _reject(Problem.INTERNAL, "", "the message is larger than hl7.max_message_bytes", "too_large")
        if frame.wrong is Wrong.CUT_OFF:
            return _Refusal(_error(Problem.SEGMENT_SEQUENCE, "", "the message breaks off"), Verdict.QUARANTINED, "cut_off")
        return _header_refusal(message, sender)

    def _take(self, frame: Frame, arrival: Arrival, message: Message, sender: Hl7Sender) -> Answer:
        accepted = Answer(Outcome.ACCEPT)
        code = first_code(message, accepted)
        if self._intake.accepted_before(arrival, acknowledgement=code):
            return Answer(Outcome.ACCEPT, "already here: nothing was done again")
        if message.part(message.header.raw(9), 1).upper() == "ADT":
            pairs = merges(message, message.part(message.header.raw(9), 2).upper(), sender)
            self._intake.merge(self._kept(frame, arrival), pairs, acknowledgement=code)
            return accepted
        versions = reports(message, sender, self._zone)
        if frame.wrong is Wrong.UNENDED:
            versions = [replace(one, flags=one.flags | {ReportFlag.END_MISSING}) for one in versions]
        taken = self._intake.take(self._kept(frame, arrival), versions, acknowledgement=code)
        logger.info("HL7 reports", sender=sender.name, reports=len(taken), new=sum(one.new for one in taken))
        parked = sum(one.parked is not None for one in taken)
        return Answer(Outcome.ACCEPT, f"{parked} of {len(taken)} reports wait for their patient" if parked else "")

    def _kept(self, frame: Frame, arrival: Arrival) -> Arrival:
        path = self._intake.keep(arrival.via, arrival.sha256, frame.content)
        return replace(arrival, path=path)

    def _refuse(self, frame: Frame, arrival: Arrival, message: Message, refusal: _Refusal) -> None:
        # a stranger's bytes are not kept, and few of a stranger's refusals: anybody could fill the disk with them
        known = bool(arrival.sender) or (message is NOTHING and self._known_address(arrival.peer_address))
        if not known and not self._allowance.take()[0]:
            return
        kept = self._kept(frame, arrival) if known else arrival
        code = first_code(message, refusal.answer)
        self._intake.refuse(kept, refusal.verdict, acknowledgement=code, reason=refusal.reason, detail=refusal.answer.text)

    def _known_address(self, address: str) -> bool:
        return any(address_allowed(address, sender.addresses) for sender in self._senders)


def _error(problem: str, where: str, text: str) -> Answer:
    return Answer(Outcome.ERROR, text, problem, where)


def _wrong(problem: str, where: str, text: str) -> _Refusal:
    return _Refusal(_error(problem, where, text), Verdict.REFUSED, "content")


def _reject(problem: str, where: str, text: str, reason: str) -> _Refusal:
    return _Refusal(Answer(Outcome.REJECT, text, problem, where), Verdict.REFUSED, reason)


def _header_refusal(message: Message, sender: Hl7Sender) -> _Refusal | None:
    """Why a message cannot be taken by what its MSH says (AR for type, version and processing id)."""
    kind, event = (message.part(message.header.raw(9), n).upper() for n in (1, 2))
    if kind not in ("ORU", "ADT"):
        return _reject(Problem.TYPE, "MSH^1^9", f"messages of type {kind[:3] or 'none'} are not served", "message_type")
    if (kind, event) != ("ORU", "R01") and not (kind == "ADT" and event in PATIENT_EVENTS):
        return _reject(Problem.EVENT, "MSH^1^9", f"event {event[:3] or 'none'} of {kind} is not served", "message_type")
    if not message.value(message.header, 12) or not OLDEST <= version_of(message) <= NEWEST:
        return _reject(Problem.VERSION, "MSH^1^12", "versions 2.3 to 2.8 are served", "version")
    if message.value(message.header, 11) not in sender.processing_ids:
        return _reject(Problem.PROCESSING_ID, "MSH^1^11", "this processing id is not accepted from this sender", "processing_id")
    if not message.value(message.header, 10):
        return _wrong(Problem.REQUIRED_FIELD, "MSH^1^10", "there is no message control id")
    return None
