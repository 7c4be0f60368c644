"""What makes a page: its place in the menu, whom it is for, and its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from ptx_node.domain.access import Permission


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        title: in the menu and the window's title.
        path: of the page itself; its parts and its API lie elsewhere.
        permission: who sees it in the menu. Each of its routes declares for itself what it needs.
        routers: of its HTML (`include_in_schema=False`) and of its part of the API (`prefix="/api/v1"`).
        menu: whether it stands in the menu.
    """

    title: str
    path: str
    permission: Permission
    routers: tuple[APIRouter, ...]
    menu: bool = True
