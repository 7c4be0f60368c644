"""The web application: every page's routes in one list, none without a declaration of who may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ptx_node import __version__
from ptx_node.dashboard import account, description, errors, oidc, sign_in, static_files
from ptx_node.dashboard.computing import Computing
from ptx_node.dashboard.entry import declared
from ptx_node.dashboard.now_page import Watch
from ptx_node.dashboard.pages import PAGES
from ptx_node.dashboard.passwords import Passwords
from ptx_node.dashboard.shell import Shell
from ptx_node.dashboard.show import make_environment
from ptx_node.dashboard.viewing import Viewing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.dashboard.page import Page
    from ptx_node.dashboard.parts import Parts


def create_app(parts: Parts, pages: Sequence[Page] = PAGES) -> Shell:
    """The application of one process.

    Raises:
        TypeError: a route declares nothing, or is of a kind that cannot.
    """
    app = FastAPI(
        title="ptx-node", version=__version__, description=description.DESCRIPTION, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.parts, app.state.pages = parts, tuple(pages)
    app.state.environment, app.state.passwords, app.state.watch, app.state.viewing = make_environment(), Passwords(), Watch(), Viewing()
    app.state.computing = Computing()
    routers = [sign_in.router, oidc.router, account.router, account.api, static_files.router, description.router(app, parts)]
    for router in (*routers, *(router for page in pages for router in page.routers)):
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise TypeError(f"{route!r} is no route that can declare who may call it")
            declared(route)
            app.router.routes.append(route)
    errors.handle(app)
    return Shell(app, parts.terms)
