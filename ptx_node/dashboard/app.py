"""The web application: every page's routes in one list, none without a declaration of who may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from ptx_node import __version__
from ptx_node.dashboard import account, errors, oidc, sign_in, static_files
from ptx_node.dashboard.computing import Computing
from ptx_node.dashboard.entry import declared, needs
from ptx_node.dashboard.now_page import Watch
from ptx_node.dashboard.pages import PAGES
from ptx_node.dashboard.passwords import Passwords
from ptx_node.dashboard.shell import Shell
from ptx_node.dashboard.show import make_environment
from ptx_node.dashboard.viewing import Viewing
from ptx_node.domain.access import Permission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.dashboard.page import Page
    from ptx_node.dashboard.parts import Parts

DESCRIPTION = "What the dashboard's pages show and do. Research software, not a medical device."


def create_app(parts: Parts, pages: Sequence[Page] = PAGES) -> Shell:
    """The application of one process.

    Raises:
        TypeError: a route declares nothing, or is of a kind that cannot.
    """
    app = FastAPI(title="ptx-node", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.parts, app.state.pages = parts, tuple(pages)
    app.state.environment, app.state.passwords, app.state.watch, app.state.viewing = make_environment(), Passwords(), Watch(), Viewing()
    app.state.computing = Computing()
    routers = [sign_in.router, oidc.router, account.router, static_files.router, _description(app)]
    for router in (*routers, *(router for page in pages for router in page.routers)):
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise TypeError(f"{route!r} is no route that can declare who may call it")
            declared(route)
            app.router.routes.append(route)
    errors.handle(app)
    return Shell(app, parts.terms)


def _description(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/api/v1/openapi.json", dependencies=[needs(Permission.STATUS)])
    def openapi() -> dict[str, Any]:
        """The API described (OpenAPI 3.1)."""
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        made.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        return made

    return router
