"""The FHIR door: `POST /fhir/DiagnosticReport`, `PUT /fhir/DiagnosticReport/{id}` and `POST /fhir` with a Bundle (R4, R5).

Closed by default, like the STOW-RS door, with which it shares guard and server. It takes reports and gives nothing back.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from ptx_node import log
from ptx_node.domain.radiology_report import ReportVia, storable
from ptx_node.errors import DatabaseUnavailableError, StorageFullError
from ptx_node.inbound.bearer import no_scope
from ptx_node.inbound.fhir_reports import FhirError, Site, reports
from ptx_node.inbound.http_door import RETRY_AFTER_S, authorised, peer_address
from ptx_node.pipeline.report_intake import Arrival, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

    from ptx_node.inbound.fhir_reports import Found
    from ptx_node.pipeline.report_intake import ReportIntake

logger = log.get(__name__)

MEDIA_TYPES = ("application/fhir+json", "application/json")
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class FhirDoor:
    """Who may come in, and with how much.

    Attributes:
        source: the site's name of this door, the source of its reports.
        zone: the site's, for times without an offset.
        bearer_tokens: any of these opens it.
        scoped: whether an `Authorization` header carries a token of the node with this door's scope.
        client_certificates: TLS has checked a client certificate on every connection.
        idle_timeout_s: between two pieces of a request.
    """

    source: str
    zone: ZoneInfo
    bearer_tokens: tuple[str, ...] = ()
    scoped: Callable[[str], bool] = no_scope
    client_certificates: bool = False
    max_request_bytes: int = 32_000_000
    idle_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Reply:
    """What is answered: an HTTP status and a resource."""

    status: int
    resource: dict[str, Any]


def create_app(intake: ReportIntake, door: FhirDoor) -> FastAPI:
    """The web application. It describes itself to nobody."""
    app = FastAPI(title="ptx-node", docs_url=None, redoc_url=None, openapi_url=None)
    guarded = [Depends(authorised(door, "FHIR"))]

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        return _response(_Reply(error.status_code, outcome("error", "processing", str(error.detail))), error.headers)

    @app.post("/fhir/DiagnosticReport", dependencies=guarded)
    @app.put("/fhir/DiagnosticReport/{identity}", dependencies=guarded)
    @app.post("/fhir", dependencies=guarded)
    @app.post("/fhir/", dependencies=guarded)
    async def store(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in MEDIA_TYPES:
            raise HTTPException(415, "only application/fhir+json is taken")
        try:
            data = await _body(request, door)
        except TimeoutError as error:
            raise HTTPException(408, f"nothing came for {door.idle_timeout_s:.0f} s") from error
        except ClientDisconnect:
            return Response(status_code=400)
        identity = request.path_params.get("identity")
        reply = await run_in_threadpool(take, intake, door, data, address=peer_address(request), identity=identity)
        return _response(reply, {"Retry-After": str(RETRY_AFTER_S)} if reply.status == 503 else None)  # noqa: PLR2004 - HTTP's own number

    return app


async def _body(request: Request, door: FhirDoor) -> bytes:
    body = bytearray()
    stream = aiter(request.stream())
    while True:
        async with asyncio.timeout(door.idle_timeout_s):
            chunk = await anext(stream, None)
        if chunk is None:
            return bytes(body)
        body += chunk
        if len(body) > door.max_request_bytes:
            raise HTTPException(413, f"a request may have {door.max_request_bytes} bytes (fhir.max_request_bytes)")


def take(intake: ReportIntake, door: FhirDoor, data: bytes, *, address: str = "", identity: str | None = None) -> _Reply:
    """Take the reports of one request, and say what became of each. Success is said after the commit.

    A resource alone, a `transaction`, a document or a message is taken whole or not at all; of a `batch` or `collection`,
    what is wrong does not hold up the rest.

    Args:
        intake: takes the reports.
        door: the site's terms.
        data: the body of the request.
        address: of the peer.
        identity: of an update, from the address; the resource must say the same.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    arrival = Arrival(ReportVia.FHIR, door.source, sha256[:32], sha256, kind="", peer_address=address)
    try:
        content = load(data)
        found = reports(content, Site(door.source, door.zone))
        if identity is not None and content.get("id") != identity:
            return _refuse(intake, arrival, data, [FhirError("value", "DiagnosticReport.id", "is not the one of the address")])
        arrival = replace(arrival, control_id=_name(content, sha256), kind=content["resourceType"])
        if not found:
            return _refuse(intake, arrival, data, [FhirError("required", "Bundle.entry", "there is no DiagnosticReport")])
        bundle = content if content["resourceType"] == "Bundle" else {}
        wrong = [one.error for one in found if one.error is not None]
        apart = bundle.get("type") in ("batch", "collection")
        if wrong and (not apart or len(wrong) == len(found)):
            return _refuse(intake, arrival, data, wrong)
        kept = replace(arrival, path=intake.keep(ReportVia.FHIR, sha256, data))
        taken = intake.take(kept, [one.version for one in found if one.version is not None], acknowledgement="201")
    except FhirError as error:
        return _refuse(intake, arrival, data, [error])
    except (DatabaseUnavailableError, StorageFullError) as error:
        logger.warning("FHIR request put off", error=str(error))
        return _Reply(503, outcome("error", "transient", "the node cannot store anything now: send again later"))
    parked = sum(one.parked is not None for one in taken)
    logger.info("FHIR reports", reports=len(taken), new=sum(one.new for one in taken), parked=parked)
    return _accepted(bundle, found, new=any(one.new for one in taken), parked=parked)


def load(data: bytes) -> Any:
    """The JSON of a file or request.

    Raises:
        FhirError: it is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise FhirError("invalid", "resourceType", "the content is not JSON") from None


def _name(content: dict[str, Any], sha256: str) -> str:
    identity = content.get("id")
    return storable(f"{content['resourceType']}/{identity}"[:LONGEST_NAME]) if isinstance(identity, str) else sha256[:32]


def _refuse(intake: ReportIntake, arrival: Arrival, data: bytes, errors: Sequence[FhirError]) -> _Reply:
    """422 for what is wrong, with every place; the bytes are kept for a person."""
    try:
        kept = replace(arrival, path=intake.keep(ReportVia.FHIR, arrival.sha256, data))
        intake.refuse(kept, Verdict.REFUSED, acknowledgement="422", reason=errors[0].code, detail=str(errors[0]))
    except (DatabaseUnavailableError, StorageFullError) as error:
        logger.warning("FHIR refusal not recorded", error=str(error))
    return _Reply(422, {"resourceType": "OperationOutcome", "issue": [_issue("error", one.code, one.detail, one.where) for one in errors]})


def _accepted(bundle: dict[str, Any], found: Sequence[Found], *, new: bool, parked: int) -> _Reply:
    text = "already here: nothing was done again" if not new else f"{parked} of {len(found)} reports wait for their patient"
    told = outcome("information", "informational", text if parked or not new else "stored")
    kind = bundle.get("type")
    if kind not in ("batch", "transaction"):
        told["issue"] += [_issue("error", one.error.code, one.error.detail, one.error.where) for one in found if one.error]
        return _Reply(201 if new else 200, told)
    failed = {one.where: one.error for one in found if one.error is not None}
    entries = []
    for number in range(len(bundle["entry"])):
        error = failed.get(f"Bundle.entry[{number}].resource")
        issue = None if error is None else _issue("error", error.code, error.detail, error.where)
        status = "422 Unprocessable Entity" if issue else "201 Created" if new else "200 OK"
        entries.append({"response": {"status": status, **({"outcome": _outcome(issue)} if issue else {})}})
    return _Reply(200, {"resourceType": "Bundle", "type": f"{kind}-response", "entry": entries})


def outcome(severity: str, code: str, text: str) -> dict[str, Any]:
    """An OperationOutcome of one issue."""
    return _outcome(_issue(severity, code, text))


def _outcome(issue: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _issue(severity: str, code: str, text: str, where: str = "") -> dict[str, Any]:
    return {"severity": severity, "code": code, "diagnostics": text, **({"expression": [where]} if where else {})}


def _response(reply: _Reply, headers: Any = None) -> Response:
    return Response(json.dumps(reply.resource), status_code=reply.status, media_type="application/fhir+json", headers=headers)
