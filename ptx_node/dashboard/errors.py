"""What people see when something is refused or fails: a page in plain words, or JSON below /api/; never a trace."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError
from starlette.exceptions import HTTPException as AnyHttpError
from starlette.responses import JSONResponse, RedirectResponse, Response

from ptx_node import log
from ptx_node.dashboard.entry import API, SignInNeededError, sign_in_address
from ptx_node.dashboard.show import page
from ptx_node.errors import DatabaseUnavailableError, QueryTimeoutError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = log.get(__name__)

RETRY_AFTER_S = 10
TITLES = {
    400: "This cannot be done",
    403: "Not for this account",
    404: "Nothing is here",
    409: "Somebody was faster",
    422: "Something in the address or the form is wrong",
    429: "Too many tries",
    500: "Something went wrong",
    503: "Not at this moment",
}

AWAY = "The node's database cannot be reached. Images are refused or wait with their senders until it is back; nothing is lost."
TOO_LONG = (
    "The database needed longer for this than a page may take, and stopped. Ask for less, such as a shorter period, or try again in a "
    "minute. If it stays so, tell those who run the node: the dashboard's log names this page, and dashboard.query_timeout_s is the limit."
)


def answer(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None, title: str = "") -> Response:
    """An error as a page, or as JSON below /api/. Without a title it has the one of its status."""
    if request.url.path.startswith(API):
        return JSONResponse({"detail": text}, status, headers)
    title = title or TITLES.get(status) or HTTPStatus(status).phrase
    made = page(request, "error.jinja", status, title=title, text=text, number=status)
    made.headers.update(headers or {})
    return made


def handle(app: FastAPI) -> None:
    """Have the application answer its errors by these."""

    @app.exception_handler(SignInNeededError)
    async def sign_in_needed(request: Request, error: SignInNeededError) -> Response:
        if request.headers.get("hx-request"):  # a part of a page asked by itself: the whole page has to go
            return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
        return RedirectResponse(sign_in_address(error.next_path if request.method == "GET" else "/"), 303)

    @app.exception_handler(AnyHttpError)
    async def refused(request: Request, error: AnyHttpError) -> Response:
        return answer(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"][1:])
        return answer(request, 422, f"{place}: {first['msg']}".lower())

    @app.exception_handler(UsageError)
    async def asked_wrongly(request: Request, error: UsageError) -> Response:
        return answer(request, 400, str(error))

    @app.exception_handler(DatabaseUnavailableError)
    async def no_database(request: Request, error: DatabaseUnavailableError) -> Response:
        logger.error("a page had no answer of the database", path=request.url.path, error=str(error))
        title, text = ("This took too long", TOO_LONG) if isinstance(error, QueryTimeoutError) else ("The database does not answer", AWAY)
        return answer(request, 503, text, {"Retry-After": str(RETRY_AFTER_S)}, title)

    @app.exception_handler(DataError)
    async def not_to_be_kept(request: Request, error: DataError) -> Response:
        """PostgreSQL takes no NUL character in a text, wherever it was written: in a path, a form, a body."""
        logger.warning("the database cannot hold what was asked", path=request.url.path, error=str(error.orig))
        return answer(request, 422, "something in this holds a character or a number that the database cannot keep")

    @app.exception_handler(IntegrityError)
    async def at_once(request: Request, error: IntegrityError) -> Response:
        logger.warning("two changes at once", path=request.url.path, error=type(error.orig).__name__)
        return answer(request, 409, "somebody else wrote the same at this moment: nothing of yours was kept. Load the page anew")

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        logger.error("a page failed", path=request.url.path, exc_info=error)
        return answer(request, 500, "The node could not make this page. What happened stands in the dashboard's log.")
