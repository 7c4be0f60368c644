"""The DICOMweb destination: STOW-RS (PS3.18 10.5), then QIDO-RS to find the instance again (PS3.18 10.6)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import httpx

from ptx_node.domain.delivery import Answer, Arrival, Proof, Verdict
from ptx_node.errors import DestinationUnavailableError
from ptx_node.outbound.dicomweb import DicomwebClient, as_json, first_value
from ptx_node.outbound.statuses import verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ptx_node.domain.delivery import Outgoing
    from ptx_node.outbound.dicomweb import DicomwebService
    from ptx_node.outbound.multipart import Event

CHUNK_BYTES = 1 << 18
REFERENCED_SOP_SEQUENCE, FAILED_SOP_SEQUENCE = "00081199", "00081198"
REFERENCED_SOP_INSTANCE_UID, WARNING_REASON, FAILURE_REASON = "00081155", "00081196", "00081197"

ONE_MAY_SPOIL_ALL = (400, 409, 413, 415, 422, 500)
"""Answers without a word on single instances that may be owed to one of them: each is then sent by itself."""


class StowRs:
    """A DICOMweb service that takes our results. Connections are kept open between batches; safe for several threads."""

    def __init__(self, name: str, service: DicomwebService) -> None:
        self.name = name
        self.service = service
        self._client = DicomwebClient(service)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, batch: Sequence[Outgoing]) -> list[Answer]:
        """One request for the batch; one each if the service turns down the whole without saying which instance is wrong.

        Raises:
            DestinationUnavailableError: no connection, busy, or our credentials are not accepted.
        """
        boundary = f"ptx-{uuid.uuid4().hex}"
        parts = _Parts(batch, boundary)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(parts.size_bytes),
        }
        response = self._client.request("POST", "/studies", content=iter(parts), headers=headers)
        spoken = _statuses(response)
        if not spoken and response.status_code in ONE_MAY_SPOIL_ALL and len(batch) > 1:
            return self._one_by_one(batch)
        return [_answer(response, spoken.get(item.sop_instance_uid)) for item in batch]

    def _one_by_one(self, batch: Sequence[Outgoing]) -> list[Answer]:
        answers: list[Answer] = []
        for item in batch:
            try:
                answers += self.send([item])
            except DestinationUnavailableError as error:
                answers.append(Answer(Verdict.UNAVAILABLE, "not sent", str(error)))
        return answers

    def echo(self) -> str:
        """Verify that the service answers a query (QIDO-RS for one study); what it said, for a person.

        Raises:
            DestinationUnavailableError: it does not.
        """
        response = self._client.request("GET", "/studies", params={"limit": 1})
        if response.status_code not in (200, 204):
            raise DestinationUnavailableError(f"{self.service.url} answered HTTP {response.status_code} to a query. Check its address")
        return f"{self.service.url} answers queries"

    def prove(self, batch: Sequence[Outgoing], *, transaction_uid: str | None) -> list[Proof]:  # noqa: ARG002 - DIMSE only
        """Look for each instance by QIDO-RS.

        Raises:
            DestinationUnavailableError: the service cannot be asked now.
        """
        if not self.service.verify_arrival:
            return [Proof(Arrival.UNSUPPORTED, "none", "not asked for")] * len(batch)
        return [self._find(item) for item in batch]

    def retrieve(self, path: str) -> Iterator[Event]:
        """What lies below this path by WADO-RS (PS3.18 10.4): the parts of the answer as they come in; none where nothing does.

        Raises:
            DestinationUnavailableError: the service cannot be asked now, or ended its answer early.
            MultipartError: the answer is not what it says it is.
        """
        return self._client.parts(path)

    def _find(self, item: Outgoing) -> Proof:
        path = f"/studies/{item.study_instance_uid}/series/{item.series_instance_uid}/instances"
        response = self._client.request("GET", path, params={"SOPInstanceUID": item.sop_instance_uid})
        if response.status_code in (404, 204):
            return Proof(Arrival.MISSING, "qido_rs", "not found by query")
        if response.status_code != httpx.codes.OK:
            return Proof(Arrival.UNSUPPORTED, "none", f"QIDO-RS answered HTTP {response.status_code}")
        found = {first_value(one, "00080018") for one in as_json(response, list)}
        if item.sop_instance_uid in found:
            return Proof(Arrival.PROVEN, "qido_rs")
        return Proof(Arrival.MISSING, "qido_rs", "not found by query")


class _Parts:
    """The request's body: its size is known first, and no more than one chunk of it is in memory."""

    def __init__(self, batch: Sequence[Outgoing], boundary: str) -> None:
        self._batch = batch
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._end = f"--{boundary}--\r\n".encode()
        parts = sum(len(self._head) + item.path.stat().st_size + 2 for item in batch)
        self.size_bytes = parts + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for item in self._batch:
            yield self._head
            with item.path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
            yield b"\r\n"
        yield self._end


def _statuses(response: httpx.Response) -> dict[str, int]:
    """SOP Instance UID -> storage status, from the answer's sequences (PS3.18 I.2.2)."""
    statuses: dict[str, int] = {}
    body = as_json(response, dict)
    for sequence, reason, default in ((REFERENCED_SOP_SEQUENCE, WARNING_REASON, 0x0000), (FAILED_SOP_SEQUENCE, FAILURE_REASON, 0x0110)):
        for item in body.get(sequence, {}).get("Value", ()):
            code = first_value(item, reason)
            statuses[str(first_value(item, REFERENCED_SOP_INSTANCE_UID))] = default if code is None else int(code)
    return statuses


def _answer(response: httpx.Response, status: int | None) -> Answer:
    """The verdict on one instance: by its own status, else by what the HTTP status says of all."""
    code = response.status_code
    if status is not None:
        verdict, meaning = verdict_of(status)
        return Answer(verdict, f"HTTP {code} 0x{status:04X}", meaning)
    if code == httpx.codes.OK:
        return Answer(Verdict.ACCEPTED, "HTTP 200")
    if code == httpx.codes.ACCEPTED:
        return Answer(Verdict.WARNING, "HTTP 202", "the answer does not say what became of this instance")
    verdict = Verdict.UNAVAILABLE if code >= httpx.codes.INTERNAL_SERVER_ERROR or code == httpx.codes.CONFLICT else Verdict.REFUSED
    return Answer(verdict, f"HTTP {code}", response.text[:200])
