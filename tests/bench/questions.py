"""What `tests.bench.pages` asks of the dashboard: every page, and every answer of its API, with the filters that people use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ptx_node.db.session import now

NOT_ASKED = {
    "/api/v1/openapi.json": "asks nothing of the database",
    "/account": "asks nothing of the large tables",
    "/api/v1/account": "asks nothing of the large tables",
    "/api/v1/studies.csv": "10,000 studies: a table to be kept, not a page",
    "/api/v1/studies/{study}/images/{image}/pixels": "made from a file",
    "/api/v1/studies/{study}/readings/{reading}/drawn": "made from a file",
    "/api/v1/studies/{study}/readings/{reading}/masks/{image}": "made from a file",
    "/api/v1/studies/{study}/results/{result}/drawn": "made from a file",
    "/api/v1/studies/{study}/results/{result}/masks/{image}": "made from a file",
    "/api/v1/studies/{study}/results/{result}/tree": "made from a file",
    "/api/v1/studies/{study}/results/{result}/file": "a file",
    "/exports/{number}/package.zip": "files",
    "/api/v1/exports/{number}/package.zip": "files",
    "/find/studies.csv": "10,000 studies: a table to be kept, not a page",
    "/performance/part": "as /performance",
    "/exports/live": "as /exports",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One address. `NUMBER` in it is that of a job, another one each time, `PATIENT` of its patient; `told` must stand in the answer.

    `fresh`: what the process remembers is forgotten before each time. `ready`: asked once `told` stands there.
    """

    what: str
    route: str
    address: str
    told: str = ""
    auditor: bool = False
    fresh: bool = False
    ready: bool = False


def questions(jobs: int) -> list[Question]:
    """All of them; the year ends today."""
    today = now().date()
    day, week, half = today - timedelta(days=1), today - timedelta(days=7), today - timedelta(days=180)
    find = partial(Question, route="/find")
    audit = partial(Question, route="/audit")
    return [
        Question("Now, made anew", "/", "/", "Now", fresh=True),
        Question("Now, live part of the last two seconds", "/now/live", "/now/live"),
        Question("Now, API", "/api/v1/now", "/api/v1/now", '"stages"'),
        find("Find, nothing asked", address="/find", told=f"A{jobs}<"),
        find("Find, by accession number", address="/find?q=ANUMBER", told="ANUMBER<"),
        find("Find, by patient ID", address="/find?q=PPATIENT", told="PPATIENT<"),
        find("Find, by Study Instance UID", address="/find?q=1.9.NUMBER", told="ANUMBER<"),
        find("Find, by the UID of a result", address="/find?q=2.25.NUMBER", told="ANUMBER<"),
        find("Find, by AE title", address="/find?q=ROOM7", told="ROOM7"),
        find("Find, nothing found", address="/find?q=nobody-NUMBER"),
        find("Find, quarantined", address="/find?state=quarantined", told="quarantined"),
        find("Find, superseded: there is none", address="/find?state=superseded"),
        find("Find, positive", address="/find?outcome=positive", told="positive"),
        find("Find, failed", address="/find?outcome=failed", told="failed"),
        find("Find, positive of a day half a year ago", address=f"/find?outcome=positive&since={half}&until={half}", told="positive"),
        find("Find, a day half a year ago", address=f"/find?since={half}&until={half}"),
        find("Find, quarantined and negative: there is none", address="/find?state=quarantined&outcome=negative"),
        find("Find, an AE title half a year ago", address=f"/find?q=ROOM7&since={half}&until={half}", told="ROOM7"),
        find("Find, by an auditor", address="/find", auditor=True),
        Question("Find, API, 200 studies", "/api/v1/studies", "/api/v1/studies?limit=200", f'"A{jobs}"'),
        Question("a study's timeline, API", "/api/v1/studies/{study}", "/api/v1/studies/NUMBER", '"ANUMBER"'),
        Question("a study's page", "/studies/{study}", "/studies/NUMBER", "ANUMBER"),
        Question("a study's contents, API", "/api/v1/studies/{study}/contents", "/api/v1/studies/NUMBER/contents"),
        Question("Drift", "/drift", "/drift", "Distribution of the scores"),
        Question("Drift, API", "/api/v1/drift", "/api/v1/drift", '"looks"'),
        Question("Drift, API, all looks of 120 days", "/api/v1/drift/looks", "/api/v1/drift/looks", '"probability"'),
        Question("Review, labels", "/review", "/review", "pneumothorax"),
        Question("Review, findings", "/review/findings", "/review/findings", "pneumothorax"),
        Question("Review, labels, API", "/api/v1/review/labels", "/api/v1/review/labels", "contradiction"),
        Question("Review, one label, API", "/api/v1/review/labels/{report}", "/api/v1/review/labels/NUMBER", "pneumothorax"),
        Question("Review, findings, API", "/api/v1/review/findings", "/api/v1/review/findings", "false_"),
        Question("Review, one finding, API", "/api/v1/review/findings/{finding}", "/api/v1/review/findings/NUMBER", '"agreement"'),
        Question("what people said of a finding, API", "/api/v1/findings/{finding}/assessments", "/api/v1/findings/NUMBER/assessments"),
        Question("Rules", "/rules", "/rules", "chest"),
        Question("Rules, API", "/api/v1/rules", "/api/v1/rules", '"outcomes"'),
        Question("Destinations", "/destinations", "/destinations", "pacs1"),
        Question("Destinations, API", "/api/v1/destinations", "/api/v1/destinations", '"committed"'),
        Question("Models", "/models", "/models", "ptx-cxr-demo"),
        Question("Models, API", "/api/v1/models", "/api/v1/models", '"intact":true'),
        Question("Thresholds, API", "/api/v1/thresholds", "/api/v1/thresholds", "applied"),
        Question("Exports", "/exports", "/exports", "user anna"),
        Question("Exports, API", "/api/v1/exports", "/api/v1/exports", "user anna"),
        audit("Audit, the newest", address="/audit", told="user anna"),
        audit("Audit, by kind: looks", address="/audit?kind=look", told="user anna"),
        audit("Audit, by kind: exports", address="/audit?kind=export"),
        audit("Audit, by actor", address="/audit?actor=person7", told="user person7"),
        audit("Audit, by an actor who is nobody", address="/audit?actor=nobody-NUMBER"),
        audit("Audit, looks by an actor", address="/audit?kind=look&actor=person7", told="user person7"),
        audit("Audit, by a UID of today", address=f"/audit?object=1.9.{jobs - 5}", told=f"1.9.{jobs - 5}"),
        audit("Audit, yesterday", address=f"/audit?since={day}&until={day}", told="ROOM"),
        audit("Audit, a day half a year ago", address=f"/audit?since={half}&until={half}", told="ROOM"),
        audit("Audit, exports of half a year", address=f"/audit?kind=export&since={half}", told="export"),
        audit("Audit, logins of the last week by an actor", address=f"/audit?kind=login&actor=person&since={week}", told="login"),
        audit("Audit, an actor, by an auditor", address="/audit?actor=nobody-NUMBER", auditor=True),
        audit("Audit, a word, by an auditor", address="/audit?object=nobody-NUMBER", auditor=True),
        audit("Audit, half a year ago, by an auditor", address=f"/audit?since={half}&until={half}", auditor=True),
        Question("Audit, API, 500 rows", "/api/v1/audit", "/api/v1/audit?limit=500", '"kind"'),
        Question("People", "/people", "/people", "person7"),
        Question("People, API", "/api/v1/users", "/api/v1/users", "person7"),
        Question("Tokens, API", "/api/v1/tokens", "/api/v1/tokens", "token7"),
        Question("Health: /livez", "/livez", "/livez"),
        Question("Health: /readyz", "/readyz", "/readyz"),
        Question("Health: /statusz", "/statusz", "/statusz", "pacs1"),
        Question("Health: /metrics", "/metrics", "/metrics", "ptx_deliveries"),
        Question(
            "Performance, figures of a day that are ready",
            "/performance",
            f"/performance?since={day}&until={day}",
            "Sensitivity",
            ready=True,
        ),
        Question("Performance, API", "/api/v1/performance", f"/api/v1/performance?since={day}&until={day}", '"figures":{'),
        Question("Performance, three months that are being made", "/performance", "/performance"),
    ]
