"""The figures of a period for a page: those of the auditors' export, by the same code from the same rows.

It is the work of a process of its own (`work`), since a year of cases costs minutes of a core.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptx_node.db.session import begin_snapshot, open_engine
from ptx_node.domain.promise import NO_PROMISE, Promise
from ptx_node.domain.pseudonym import Pseudonyms
from ptx_node.validation.case_export import CASES_CSV, OVER_TIME_CSV, write_case_table
from ptx_node.validation.case_rows import Pseudonymous
from ptx_node.validation.case_table import read_cases, read_table
from ptx_node.validation.metrics import OVER_TIME, USED, Analysis, compute

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ptx_node.db.cases import Period
    from ptx_node.domain.reading import TruthKind

NOBODYS_KEY = b"figures that stay at the site need names, and no secret"
"""Where a site has no `export.secret`: nothing that bears these names is kept."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which figures.

    Attributes:
        pseudonyms: as the export makes them, since patients are drawn in their order; None: a site that has no secret.
        smallest_cell: patients of a shown subgroup, at least.
        promise: what the site stated that its models do.
        simulated_site: every patient is simulated, whatever the images say.
    """

    period: Period
    truth: TruthKind
    pseudonyms: Pseudonyms | None
    smallest_cell: int
    promise: Promise = NO_PROMISE
    simulated_site: bool = False


def work(url: str, asked: Asked, folder: str) -> dict[str, Any]:
    """`performance`, from a database's address.

    Args:
        url: of the database, with its password.
        asked: which figures.
        folder: empty; whoever gave it takes it away.

    Raises:
        UsageError: a library is missing.
        DatabaseUnavailableError: a retry may help.
    """
    engine = open_engine(url)
    try:
        with begin_snapshot(engine) as session:
            return performance(session, asked, Path(folder))
    finally:
        engine.dispose()


def performance(session: Session, asked: Asked, folder: Path) -> dict[str, Any]:
    """The figures as `metrics.json` has them, the flow of the cases, and how many rows are of simulated patients."""
    naming = Pseudonymous(asked.pseudonyms or Pseudonyms(NOBODYS_KEY))
    table = write_case_table(session, folder, asked.period, naming, truth=asked.truth, smallest_cell=asked.smallest_cell)
    simulated = table.rows if asked.simulated_site else table.simulated
    analysis = Analysis(smallest_cell=asked.smallest_cell, promise=asked.promise, simulated=0 < table.rows == simulated)
    cases, over_time = read_cases(folder / CASES_CSV, USED), read_table(folder / OVER_TIME_CSV, OVER_TIME)
    return {
        "figures": compute(cases, over_time, analysis),
        "flow": table.flow.to_json(),
        "rows": table.rows,
        "patients": table.patients,
        "simulated": simulated,
    }
