"""The API described (OpenAPI 3.1): what each operation needs, answers, and says when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from ptx_node.dashboard.entry import SAFE, SIGNED_IN, declared, needs, session_cookie_name
from ptx_node.domain.access import Permission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ptx_node.dashboard.parts import Parts

DESCRIPTION = (
    "What the dashboard's pages show and do. Research software, not a medical device. A program shows a token, whose scopes are the "
    "permissions that an operation names. A browser shows its session's cookie, and where it changes something the header X-CSRF-Token."
)
ALWAYS = {
    401: "Nobody is signed in, and no token was given that holds.",
    403: "This needs a permission that the token or the account does not have.",
    421: "Asked under a name that is not the dashboard's.",
    422: "Something in the address or the body is not as it is described here.",
    503: "The database, or something else that this needs, does not answer now.",
}
NAMED = {404: "Nothing is here under this name."}
CHANGING = {
    400: "This cannot be done as things stand, or the body cannot be read.",
    409: "Somebody was faster: what this was about has changed.",
    413: "The body is larger than any of these needs.",
}
BUSY: dict[int | str, dict[str, Any]] = {429: {"description": "Others are doing this at this moment: ask again."}}
"""For a route of which only so many run at once."""
REFUSED = {
    "type": "object",
    "title": "Refused",
    "required": ["detail"],
    "properties": {"detail": {"type": "string", "description": "What is wrong, in words for people."}},
}
_GENERATED = ("HTTPValidationError", "ValidationError")
"""FastAPI's own word for a wrong request, which this application does not use: see `errors.wrong`."""


def router(app: FastAPI, parts: Parts) -> APIRouter:
    """The address of the description; it is made once, when it is first asked for."""
    made = APIRouter(include_in_schema=False)

    @made.get("/api/v1/openapi.json", dependencies=[needs(Permission.STATUS)])
    def openapi() -> dict[str, Any]:
        """The API described."""
        if app.openapi_schema is None:
            app.openapi_schema = describe(app, parts)
        return app.openapi_schema

    return made


def describe(app: FastAPI, parts: Parts) -> dict[str, Any]:
    """FastAPI's description, with what this application's own code decides: permissions, and how errors are told."""
    made: dict[str, Any] = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts_of_it = made.setdefault("components", {})
    for name in _GENERATED:
        parts_of_it.get("schemas", {}).pop(name, None)
    parts_of_it.setdefault("schemas", {})["Refused"] = REFUSED
    parts_of_it["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": session_cookie_name(parts)},
    }
    for route, method in _operations(app):
        operation = made["paths"][route.path][method.lower()]
        need = declared(route)
        operation["security"] = [{"session": []}] if need == SIGNED_IN else [{"token": [need]}, {"session": [need]}]
        operation["responses"].update(_problems(route, method, operation["responses"]))
    return made


def _operations(app: FastAPI) -> Iterator[tuple[APIRoute, str]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield from ((route, method) for method in route.methods or ())


def _problems(route: APIRoute, method: str, told: dict[str, Any]) -> dict[str, Any]:
    """Every answer of an operation that is no success: what all have, and what its path, its method and it itself add."""
    words = ALWAYS | (NAMED if route.param_convertors else {}) | ({} if method in SAFE else CHANGING)
    words |= {int(status): one["description"] for status, one in told.items() if int(status) >= 400 and int(status) not in words}  # noqa: PLR2004
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Refused"}}}
    return {str(status): {"description": words[status], "content": body} for status in sorted(words)}
