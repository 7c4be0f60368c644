"""The DIMSE destination: C-STORE as SCU, then Storage Commitment or C-FIND.

Files go out as the bytes they hold, unless the peer takes them in another uncompressed transfer syntax only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context

from ptx_node.domain.delivery import Answer, Arrival, Proof, Verdict
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError
from ptx_node.outbound.association import association
from ptx_node.outbound.query_retrieve import FIND_CONTEXT, find_instances
from ptx_node.outbound.statuses import verdict_of
from ptx_node.outbound.storage_commitment import COMMITMENT_CONTEXT, CommitmentScu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.domain.delivery import Outgoing
    from ptx_node.outbound.association import DimsePeer

MAX_ABORTS = 3
"""After so many associations that ended early, the rest of a batch waits for the next attempt."""

NO_ANSWER = "no answer"

VERIFICATION = "1.2.840.10008.1.1"
UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@dataclass(frozen=True, slots=True)
class Commitment:
    """How arrival is proven. `mode`: auto, storage_commitment, c_find, none.

    `report_wait_s` is how long the association stays open for a report that comes on it, until a peer has once let us
    wait in vain; later ones come to our SCP.
    """

    mode: str = "auto"
    report_wait_s: float = 0.25


class StorageScu:
    """A DICOM application that takes our results."""

    def __init__(self, name: str, peer: DimsePeer, commitment: Commitment | None = None) -> None:
        self.name = name
        self.peer = peer
        self.commitment = commitment or Commitment()
        self._reports_at_once = True
        # Files are sent as the bytes they hold; pynetdicom otherwise decodes and encodes them again.
        _config.STORE_SEND_CHUNKED_DATASET = True

    def send(self, batch: Sequence[Outgoing]) -> list[Answer]:
        """One association for the batch; another one for the rest if the peer ends it.

        Raises:
            DestinationUnavailableError: the peer cannot be reached at all.
        """
        answers: list[Answer] = []
        for _ in range(MAX_ABORTS):
            try:
                answers += self._send_until_abort(batch[len(answers) :])
            except DestinationUnavailableError as error:
                if not answers:
                    raise
                return answers + _unavailable(str(error), len(batch) - len(answers))
            except DestinationRefusedError as error:
                refusal = Answer(Verdict.REFUSED, "no presentation context", str(error))
                return answers + [refusal] * (len(batch) - len(answers))
            if len(answers) == len(batch):
                return answers
        return answers + _unavailable(f"{self.peer} ended {MAX_ABORTS} associations", len(batch) - len(answers))

    def _send_until_abort(self, batch: Sequence[Outgoing]) -> list[Answer]:
        """Answers to the first instances of a batch; the last one of them is the one at which an abort came."""
        answers: list[Answer] = []
        with association(self.peer, _contexts(batch)) as assoc:
            for item in batch:
                answers.append(self._store(assoc, item))
                if answers[-1].status == NO_ANSWER:
                    assoc.abort()  # a late answer would be taken for the next instance's
                    break
        return answers

    def _store(self, assoc: Any, item: Outgoing) -> Answer:
        accepted = {context.transfer_syntax[0] for context in assoc.accepted_contexts if context.abstract_syntax == item.sop_class_uid}
        convertible = item.transfer_syntax_uid in UNCOMPRESSED and bool(accepted.intersection(UNCOMPRESSED))
        if item.transfer_syntax_uid not in accepted and not convertible:
            offer = f"SOP class {item.sop_class_uid} in transfer syntax {item.transfer_syntax_uid}"
            return Answer(Verdict.REFUSED, "no presentation context", f"{self.peer} does not accept {offer}")
        try:
            answer = assoc.send_c_store(item.path if item.transfer_syntax_uid in accepted else dcmread(item.path))
        except (ValueError, AttributeError) as error:
            return Answer(Verdict.REFUSED, "file", f"the result cannot be sent: {error}")
        except (OSError, RuntimeError) as error:  # the file cannot be read now; the association has just gone
            return Answer(Verdict.UNAVAILABLE, NO_ANSWER, f"{self.peer}: {error}")
        if "Status" not in answer:
            return Answer(Verdict.UNAVAILABLE, NO_ANSWER, f"{self.peer} gave no answer within {self.peer.timeout_s:.0f} s, or aborted")
        verdict, meaning = verdict_of(answer.Status)
        comment = str(answer.get("ErrorComment", "") or "")
        return Answer(verdict, f"0x{answer.Status:04X}", ": ".join(word for word in (meaning, comment) if word))

    def echo(self) -> str:
        """Verify that the peer answers C-ECHO (PS3.4 A); what it said, for a person.

        Raises:
            DestinationUnavailableError: it does not.
            DestinationRefusedError: it does not offer Verification.
        """
        with association(self.peer, [build_context(VERIFICATION)]) as assoc:
            status = assoc.send_c_echo().get("Status")
        if status != 0:
            raise DestinationUnavailableError(f"{self.peer} answered {status if status is None else hex(status)} to C-ECHO")
        return f"{self.peer} answers C-ECHO"

    def prove(self, batch: Sequence[Outgoing], *, transaction_uid: str | None) -> list[Proof]:
        """Storage Commitment where wanted, offered and `transaction_uid` is given; else C-FIND where offered.

        Raises:
            DestinationUnavailableError: the peer cannot be asked now.
        """
        mode = self.commitment.mode
        proposed = [COMMITMENT_CONTEXT] if mode in ("auto", "storage_commitment") else []
        proposed += [FIND_CONTEXT] if mode in ("auto", "c_find") else []
        if not proposed:
            return [Proof(Arrival.UNSUPPORTED, "none", "not asked for")] * len(batch)
        try:
            return self._prove(batch, proposed, transaction_uid)
        except DestinationRefusedError as error:
            return [Proof(Arrival.UNSUPPORTED, "none", str(error))] * len(batch)

    def _prove(self, batch: Sequence[Outgoing], proposed: Sequence[Any], transaction_uid: str | None) -> list[Proof]:
        scu = CommitmentScu()
        with association(self.peer, proposed, scu.handlers()) as assoc:
            accepted = {context.abstract_syntax for context in assoc.accepted_contexts}
            if COMMITMENT_CONTEXT.abstract_syntax in accepted and transaction_uid is not None:
                proofs = scu.ask(assoc, batch, transaction_uid, self.commitment.report_wait_s if self._reports_at_once else 0.0)
                if proofs is not None:
                    # A peer reports here or on associations of its own: waiting in vain once is enough.
                    self._reports_at_once = scu.reported
                    return proofs
            elif FIND_CONTEXT.abstract_syntax in accepted:
                return find_instances(assoc, batch)
            else:
                return [Proof(Arrival.UNSUPPORTED, "storage_commitment", "no report came, and the peer answers no query")] * len(batch)
        # Turned down, often by an abort (Orthanc, when it does not know our AE title): the query needs an association of its own.
        if self.commitment.mode == "auto":
            return self._prove(batch, [FIND_CONTEXT], None)
        raise DestinationUnavailableError(f"{self.peer} turns Storage Commitment down. Make our AE title known there")


def _contexts(batch: Sequence[Outgoing]) -> list[Any]:
    """A context for each SOP class and transfer syntax, and one in the default transfer syntax for what is uncompressed.

    One transfer syntax a context: the peer accepts each by itself, instead of choosing one of several for us.
    """
    wanted = dict.fromkeys((item.sop_class_uid, item.transfer_syntax_uid) for item in batch)
    uncompressed = [(sop_class, ImplicitVRLittleEndian) for sop_class, syntax in wanted if syntax in UNCOMPRESSED]
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted | dict.fromkeys(uncompressed)]


def _unavailable(detail: str, count: int) -> list[Answer]:
    return [Answer(Verdict.UNAVAILABLE, "not sent", detail)] * count
