"""Style sheet, scripts and pictures: read once, found by their names in a list, so that no address leads out of the folder."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from ptx_node.dashboard.entry import open_to_anybody

FOLDER = Path(__file__).parent / "static"
SERVED = frozenset({".css", ".js", ".svg"})

router = APIRouter(include_in_schema=False)


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Name below the folder -> content, media type, entity tag."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in SERVED and path.is_file():
            content = path.read_bytes()
            kind = "text/javascript" if path.suffix == ".js" else mimetypes.types_map[path.suffix]
            found[path.relative_to(FOLDER).as_posix()] = (content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


@router.get("/static/{name:path}", dependencies=[open_to_anybody()])
def static(request: Request, name: str) -> Response:
    """One file of ours."""
    found = _files().get(name)
    if found is None:
        raise HTTPException(404, "there is no such file")
    content, kind, tag = found
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
