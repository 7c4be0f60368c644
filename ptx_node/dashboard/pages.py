"""The pages, in the order of the menu. A new one is a module with a `PAGE`, a template, and a line here."""

from __future__ import annotations

from ptx_node.dashboard import (
    audit_page,
    destinations_page,
    drift_page,
    exports_page,
    find_page,
    models_page,
    now_page,
    people,
    performance_page,
    review_page,
    rules_page,
    study_page,
)
from ptx_node.dashboard.page import Page

PAGES: tuple[Page, ...] = (
    now_page.PAGE,
    find_page.PAGE,
    performance_page.PAGE,
    drift_page.PAGE,
    study_page.PAGE,
    review_page.PAGE,
    rules_page.PAGE,
    destinations_page.PAGE,
    models_page.PAGE,
    exports_page.PAGE,
    audit_page.PAGE,
    people.PAGE,
)
