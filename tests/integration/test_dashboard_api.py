"""The API as its own description promises it: whatever is sent to it, on both databases, it answers what is declared, and never 5xx."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks
from sqlalchemy import Engine, select

from ptx_node.dashboard.entry import ANYBODY, SIGNED_IN, declared
from ptx_node.db.session import begin_read
from ptx_node.db.tables import Delivery
from ptx_node.domain.access import Role
from tests.dashboard import serving
from tests.dashboard_desk import CHEST
from tests.dashboard_site import Site, a_site

CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.fixture
def site(engine: Engine, tmp_path: Path) -> Iterator[Site]:
    with a_site(engine, tmp_path) as running:
        yield running


def addresses(site: Site) -> list[dict[str, Any]]:
    """What is there, by the name of the parameter: else nearly every address would be one of nothing."""
    with begin_read(site.dashboard.engine) as session:
        deliveries = {row.result_id: row.id for row in session.scalars(select(Delivery))}
    studies = (site.radiograph, site.volume, site.unread)
    found: list[dict[str, Any]] = [
        {"study": name, "image": image, "result": result, "job": one.job, "delivery": deliveries.get(result, 1)}
        for one in studies
        for name in (one.number, one.study_instance_uid)
        for image in one.images[:1]
        for result in one.results.values() or (1,)
    ]
    reviewed = {"report": site.report, "finding": site.contradicted}
    numbers = [{"number": number} for number in (site.alarm, site.proposal, site.package)]
    names = [{"name": name} for name in ("pacs", "research", "ptx-cxr-demo", "other", "anna", "vera", "spare")]
    return [*found, reviewed, *numbers, *names, {"study": "\0", "name": "\0"}, {"study": "1\0", "name": "anna\0"}]


def wrong_answers(site: Site, *, examples: int, start: int = 1) -> dict[str, str]:
    """What was not as declared, by operation."""
    dashboard, there = site.dashboard, addresses(site)
    headers = {"Authorization": f"Bearer {site.token}"}
    schema = schemathesis.openapi.from_dict(httpx.get(f"{dashboard.url}/api/v1/openapi.json", headers=headers, timeout=60).json())

    def ask(operation: APIOperation[Any, Any, Any, Any], browser: requests.Session) -> None:
        cases = st.one_of(*(operation.as_strategy(mode) for mode in GenerationMode))

        @seed(start)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
        @given(data=st.data())
        def one(data: st.DataObject) -> None:
            case: Case = data.draw(cases)
            here = [some for some in there if some.keys() & case.path_parameters.keys()]
            if here and data.draw(st.integers(0, 3)):
                known = data.draw(st.sampled_from(here))
                case.path_parameters.update({name: value for name, value in known.items() if name in case.path_parameters})
            case.validate_response(case.call(base_url=dashboard.url, session=browser, timeout=120), checks=CHECKS)

        one()

    found = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        with requests.Session() as browser:
            browser.headers.update(headers)
            try:
                ask(operation, browser)
            except (FailureGroup, AssertionError) as error:
                found[operation.label] = "; ".join(map(str, getattr(error, "exceptions", [error])))
    return found


def test_every_operation_answers_as_it_is_described(site: Site) -> None:
    """What fits the description and what does not, of what is there and what is not, by a token that may do everything."""
    found = wrong_answers(site, examples=8)
    assert not found, "\n".join(f"{operation}: {said}" for operation, said in found.items())


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("start", [int(os.environ.get("PTX_API_SEED", "2"))])
def test_every_operation_answers_many_as_it_is_described(site: Site, start: int) -> None:
    """As above, 400 of each; PTX_API_SEED gives others."""
    found = wrong_answers(site, examples=400, start=start)
    assert not found, "\n".join(f"{operation}: {said}" for operation, said in found.items())


# Which operation does what a page does. A page that can do what the API cannot is found here.
BY_PAGE = {
    "GET /": "GET /api/v1/now",
    "GET /now/live": "GET /api/v1/now",
    "GET /find": "GET /api/v1/studies",
    "GET /find/studies.csv": "GET /api/v1/studies.csv",
    "GET /studies/{study}": "GET /api/v1/studies/{study}/contents",
    "POST /studies/{study}/jobs/{job}/retry": "POST /api/v1/studies/{study}/jobs/{job}/retry",
    "POST /studies/{study}/jobs/{job}/supersede": "POST /api/v1/studies/{study}/jobs/{job}/supersede",
    "POST /studies/{study}/deliveries/send-again": "POST /api/v1/studies/{study}/deliveries/{delivery}/send-again",
    "GET /performance": "GET /api/v1/performance",
    "GET /performance/part": "GET /api/v1/performance",
    "GET /drift": "GET /api/v1/drift/looks",
    "POST /drift/acknowledge": "POST /api/v1/alarms/{number}/acknowledge",
    "GET /review": "GET /api/v1/review/labels/{report}",
    "POST /review/labels/{report}": "POST /api/v1/review/labels/{report}",
    "GET /review/findings": "GET /api/v1/review/findings/{finding}",
    "POST /review/findings/{finding}": "POST /api/v1/findings/{finding}/assessments",
    "GET /rules": "GET /api/v1/rules",
    "POST /rules/replay": "POST /api/v1/rules/replay",
    "GET /destinations": "GET /api/v1/destinations",
    "POST /destinations/{name}/test": "POST /api/v1/destinations/{name}/test",
    "POST /destinations/{name}/suspend": "POST /api/v1/destinations/{name}/suspend",
    "POST /destinations/{name}/resume": "POST /api/v1/destinations/{name}/resume",
    "GET /models": "GET /api/v1/thresholds",
    "POST /models/{name}/propose": "POST /api/v1/models/{name}/proposals",
    "POST /models/proposals/{number}/apply": "POST /api/v1/proposals/{number}/apply",
    "POST /models/{name}/threshold": "POST /api/v1/models/{name}/threshold",
    "POST /models/{name}/withdraw": "POST /api/v1/models/{name}/withdraw",
    "GET /exports": "GET /api/v1/exports",
    "GET /exports/live": "GET /api/v1/exports",
    "POST /exports": "POST /api/v1/exports",
    "POST /exports/{number}/verify": "POST /api/v1/exports/{number}/verify",
    "GET /exports/{number}/package.zip": "GET /api/v1/exports/{number}/package.zip",
    "GET /audit": "GET /api/v1/audit",
    "POST /audit/verify": "POST /api/v1/audit/verify",
    "GET /people": "GET /api/v1/users",
    "POST /people/add": "POST /api/v1/users",
    "POST /people/link": "POST /api/v1/users/{name}/link",
    "POST /people/role": "PATCH /api/v1/users/{name}",
    "POST /people/disable": "PATCH /api/v1/users/{name}",
    "POST /people/enable": "PATCH /api/v1/users/{name}",
    "POST /people/token": "POST /api/v1/tokens",
    "POST /people/revoke": "DELETE /api/v1/tokens/{name}",
    "GET /account": "GET /api/v1/account",
    "POST /account/password": "POST /api/v1/account/password",
    "POST /account/sign-out-elsewhere": "POST /api/v1/account/sign-out-elsewhere",
}
OF_BROWSERS = {"POST /sign-out", "GET /api/v1/openapi.json"}
"""A program signs in and out nowhere: its token is made and revoked."""


def test_what_a_page_can_do_the_api_can_too(sqlite_engine: Engine, tmp_path: Path) -> None:
    """With the same permission, which the description names."""
    with serving(sqlite_engine, tmp_path) as dashboard, dashboard.person("anna", Role.ADMINISTRATOR) as client:
        described = client.get("/api/v1/openapi.json").json()["paths"]
        needed = {
            f"{method} {route.path}": declared(route)
            for route in dashboard.shell.inside.router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }
    pages = {name for name in needed if "/api/" not in name and needed[name] != ANYBODY}
    assert pages - OF_BROWSERS == BY_PAGE.keys()
    for page, operation in BY_PAGE.items():
        method, path = operation.split(" ")
        assert needed[page] == needed[operation], page
        named = described[path][method.lower()]["security"]
        assert named[0] == ({"session": []} if needed[page] == SIGNED_IN else {"token": [needed[page]]}), operation


def test_a_program_decides_on_what_it_has_looked_at_only(sqlite_engine: Engine, tmp_path: Path) -> None:
    """As a person on the page: who names what was seen is told when it has changed meanwhile."""
    with a_site(sqlite_engine, tmp_path) as site, site.dashboard.visitor(headers={"Authorization": f"Bearer {site.token}"}) as client:
        label = client.get(f"/api/v1/review/labels/{site.report}").json()["label_id"]
        said = {"label": "negative", "seen": label}
        assert [201, 409] == [client.post(f"/api/v1/review/labels/{site.report}", json=said).status_code for _ in range(2)]
        pair = client.get(f"/api/v1/review/findings/{site.contradicted}").json()
        assert (site.contradicted, "false_positive") == (pair["finding_id"], pair["agreement"])
        word = {"word": "reject", "seen": 0}
        address = f"/api/v1/findings/{site.contradicted}/assessments"
        assert [201, 409] == [client.post(address, json=word).status_code for _ in range(2)]
        assert client.get(f"/api/v1/review/findings/{site.radiograph.finding}").status_code == 404, "held against no report"


def test_the_api_tells_what_the_pages_show(sqlite_engine: Engine, tmp_path: Path) -> None:
    """The table of studies, the rules' own text, the looks over time."""
    with a_site(sqlite_engine, tmp_path) as site, site.dashboard.visitor(headers={"Authorization": f"Bearer {site.token}"}) as client:
        assert client.get("/find/studies.csv?state=done").text == client.get("/api/v1/studies.csv?state=done").text
        assert client.get("/api/v1/rules").json()["text"] == CHEST
        (look,) = client.get("/api/v1/drift/looks").json()
        assert ("view", True) == (look["figure"], look["crossed"])
