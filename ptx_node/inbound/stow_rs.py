"""The STOW-RS door (PS3.18 10.5): `POST /dicomweb/studies[/{study}]`, into the same receiver as C-STORE.

Closed by default: without a bearer token of ours, or client certificates demanded by TLS, nobody comes in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from ptx_node import log
from ptx_node.dicom.identity import uid_problem
from ptx_node.domain.study import Origin, Via
from ptx_node.inbound.bearer import no_scope
from ptx_node.inbound.http_door import RETRY_AFTER_S, authorised, peer_address
from ptx_node.inbound.stow_intake import Intake, WrongPartError
from ptx_node.inbound.stow_response import encode, http_status, negotiate, response_module
from ptx_node.outbound.multipart import MultipartError, parse_content_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from ptx_node.pipeline.receive import Receiver

logger = log.get(__name__)

BLOCK_BYTES = 524_288
"""Bytes of a request that are collected before a thread takes them to the disk."""


@dataclass(frozen=True, slots=True)
class StowDoor:
    """Who may come in, and with how much.

    Attributes:
        source: the site's name for this door, for the rules.
        bearer_tokens: any of these opens it.
        scoped: whether an `Authorization` header carries a token of the node with this door's scope.
        client_certificates: TLS has checked a client certificate on every connection; no token is needed then.
        max_request_bytes: of one request, all instances together.
        idle_timeout_s: between two pieces of a request.
    """

    source: str = "stow"
    bearer_tokens: tuple[str, ...] = ()
    scoped: Callable[[str], bool] = no_scope
    client_certificates: bool = False
    max_request_bytes: int = 2_000_000_000
    idle_timeout_s: float = 60.0


def create_app(receiver: Receiver, door: StowDoor) -> FastAPI:
    """The web application. It has no pages, and describes itself to nobody."""
    app = FastAPI(title="ptx-node", docs_url=None, redoc_url=None, openapi_url=None)
    guarded = [Depends(authorised(door, "STOW-RS"))]

    @app.post("/dicomweb/studies", dependencies=guarded)
    async def store(request: Request) -> Response:
        return await _store(receiver, door, request, "")

    @app.post("/dicomweb/studies/{study_instance_uid}", dependencies=guarded)
    async def store_study(request: Request, study_instance_uid: str) -> Response:
        if problem := uid_problem(study_instance_uid):
            raise HTTPException(400, f"the Study Instance UID in the address {problem}")
        return await _store(receiver, door, request, study_instance_uid)

    return app


async def _store(receiver: Receiver, door: StowDoor, request: Request, study_instance_uid: str) -> Response:
    media_type = negotiate(request.headers.get("accept", ""))
    if media_type is None:
        raise HTTPException(406, "the answer is application/dicom+json or application/dicom+xml")
    content_type = parse_content_type(request.headers.get("content-type", ""))
    if content_type.media_type != "multipart/related" or content_type.type not in ("", "application/dicom"):
        raise HTTPException(415, 'only multipart/related; type="application/dicom" is taken')
    if int(request.headers.get("content-length", "0")) > door.max_request_bytes:
        raise HTTPException(413, f"a request may have {door.max_request_bytes} bytes (stow.max_request_bytes)")
    origin = Origin(Via.STOW, door.source, "", "", peer_address(request))
    try:
        intake = Intake(receiver, origin, boundary=content_type.boundary, study_instance_uid=study_instance_uid)
    except MultipartError as error:
        raise HTTPException(400, error.detail) from error
    try:
        await _read(request, door, intake)
    except MultipartError as error:
        raise HTTPException(400, f"{error.detail}; instances stored before: {len(intake.receipts)}") from error
    except WrongPartError as error:
        raise HTTPException(415, error.detail) from error
    except TimeoutError as error:
        raise HTTPException(408, f"nothing came for {door.idle_timeout_s:.0f} s") from error
    except ClientDisconnect:
        return Response(status_code=400)
    finally:
        await run_in_threadpool(intake.abort)
    if not intake.receipts:
        raise HTTPException(400, "the request has no part")
    return _answer(intake, media_type)


async def _read(request: Request, door: StowDoor, intake: Intake) -> None:
    """Take the body in, a block at a time; the reading waits while the disk is busy, and so does the sender."""
    block, size_bytes = bytearray(), 0
    stream = aiter(request.stream())
    while True:
        async with asyncio.timeout(door.idle_timeout_s):
            chunk = await anext(stream, None)
        if chunk is None:
            break
        size_bytes += len(chunk)
        if size_bytes > door.max_request_bytes:
            raise HTTPException(413, f"a request may have {door.max_request_bytes} bytes (stow.max_request_bytes)")
        block += chunk
        if len(block) >= BLOCK_BYTES:
            await run_in_threadpool(intake.feed, block)
            block = bytearray()
    await run_in_threadpool(intake.feed, block)
    intake.close()


def _answer(intake: Intake, media_type: str) -> Response:
    code = http_status(intake.receipts)
    logger.info("stow request", http_status=code, instances=len(intake.receipts))
    return Response(
        encode(response_module(intake.receipts), media_type),
        status_code=code,
        media_type=media_type,
        headers={"Retry-After": str(RETRY_AFTER_S)} if code == 503 else None,  # noqa: PLR2004 - HTTP's own number
    )
