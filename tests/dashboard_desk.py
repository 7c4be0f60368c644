"""What the pages of those who run a node are given, without a configuration: rules, models, destinations that do not exist."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sqlalchemy import Engine

from ptx_node.dashboard.desk import RuleBook
from ptx_node.db.session import begin_write
from ptx_node.db.tables import Instance, Job
from ptx_node.dicom.attributes import known_keywords
from ptx_node.domain.eligibility import Requirements
from ptx_node.domain.routing import parse_rules
from ptx_node.domain.rule_check import Site
from tests.dashboard_rows import a_day
from tests.factories import Place, Size, as_file, dx

KINDS = frozenset({"seg", "sr", "sc"})
CHEST = """[[rules]]
name = "chest"
model = "ptx-cxr-demo"
destinations = [{ name = "pacs", kinds = ["seg", "sr"] }]
match = { keyword = "Modality", equals = "DX" }
"""


def rule_book(folder: Path) -> RuleBook:
    """One rule in force, two models, two destinations; stored files lie in `folder`."""
    raw = tomllib.loads(CHEST)["rules"]
    site = Site(known_keywords(), ("ptx-cxr-demo", "other"), {"pacs": KINDS, "research": KINDS})
    requirements = {"ptx-cxr-demo": Requirements("radiograph"), "other": Requirements("radiograph")}
    return RuleBook(parse_rules(raw), CHEST, site, requirements, frozenset(), folder.joinpath)


def stored_day(engine: Engine, folder: Path, studies: int = 12) -> list[str]:
    """A day whose radiographs lie on disk; its Study Instance UIDs, the oldest first. The jobs went to `pacs`, SEG and SR."""
    uids = a_day(engine, studies)
    with begin_write(engine) as session:
        for number, instance in enumerate(session.query(Instance).order_by(Instance.id)):
            (folder / instance.path).write_bytes(as_file(dx(Place(study=number + 1), size=Size(16, 16), PatientID=f"SIM{number:05d}")))
        for job in session.query(Job):
            job.destinations = [{"name": "pacs", "kinds": ["seg", "sr"]}]
    return uids
