"""The day goes on: the CT reports arrive by HL7, and every finding is held against the report of its patient's CT."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table
from sqlalchemy import func, select

from ptx_node.db.reconciled import primary_pairs
from ptx_node.db.session import begin_read, now
from ptx_node.db.tables import RadiologyReport
from ptx_node.domain.reconciliation import TRUTHS, Agreement
from ptx_node.domain.truth import LabelValue
from ptx_node.errors import PtxError
from ptx_node.pipeline.reconcile import reconcile
from ptx_node.simulator.ris import send_messages
from ptx_node.validation.statistics import Chance, auc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from sqlalchemy import Engine

    from ptx_node.db.reconciled import Held
    from ptx_node.demo.studies import DemoStudy

PATIENCE_S = 60.0
CT = "CT"
DECIDED = (Agreement.TRUE_POSITIVE, Agreement.FALSE_POSITIVE, Agreement.FALSE_NEGATIVE, Agreement.TRUE_NEGATIVE)
LONGEST_SENTENCE = 36
DRAWS = Chance(seed=1, repeats=2000)


def afternoon(engine: Engine, studies: Sequence[DemoStudy], hl7_port: int, console: Console) -> bool:
    """Send the reports, wait until their patients are found, reconcile, and show what agrees; whether everything met.

    Raises:
        PtxError: a report is not taken, or does not find its patient.
    """
    reported = [study for study in studies if study.report is not None]
    messages = [study.report for study in reported if study.report is not None]
    codes = send_messages([*messages, messages[0]], hl7_port)  # the first once more, as a RIS does that missed the answer
    if set(codes) != {"AA"}:
        raise PtxError(f"the node did not take a radiology report: {', '.join(codes)}")
    _wait(engine, len(messages))
    reconcile(engine)
    with begin_read(engine) as session:
        held = primary_pairs(session, [study.expected.study_instance_uid for study in studies])
    labels = {study.expected.study_instance_uid: study.expected.label for study in studies}
    console.print(_table(held, labels))
    console.print(_figures(held))
    return {study.expected.study_instance_uid for study in reported} <= {one.study_instance_uid for one in held}


def _wait(engine: Engine, count: int) -> None:
    """Until so many reports are with their patient."""
    begun = now()
    while True:
        with begin_read(engine) as session:
            placed = session.scalar(select(func.count()).select_from(RadiologyReport).where(RadiologyReport.parked.is_(None))) or 0
        if placed >= count:
            return
        if (now() - begun).total_seconds() > PATIENCE_S:
            raise PtxError(f"only {placed} of {count} radiology reports have found their patient. See: ptx reports list --parked")
        threading.Event().wait(0.2)


def _table(held: Sequence[Held], labels: dict[str, str]) -> Table:
    view = Table(title="CT reports of the day, by HL7 → findings", title_justify="left", header_style="bold")
    for name in ("study", "finding", "CT", "report", "in its words", "together"):
        view.add_column(name, no_wrap=True)
    for one in held:
        after = "same day" if one.interval_s is None else f"{one.interval_s / 3600:+.1f} h"
        colour = "green" if one.agreement.startswith("true") else "red"
        view.add_row(
            labels[one.study_instance_uid],
            f"{one.outcome} {one.laterality or ''} {one.probability or 0:.3f}",
            after,
            f"{one.label} {one.label_laterality or ''}",
            _short(one.evidence),
            f"[{colour}]{one.agreement.replace('_', ' ')}[/{colour}]",
        )
    return view


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_SENTENCE else f"{words[: LONGEST_SENTENCE - 1]}…"


def _figures(held: Sequence[Held]) -> str:
    """The day's 2x2 table and AUC, of radiographs whose report decides."""
    radiographs = [one for one in held if one.modality != CT and one.probability is not None]
    truths = [TRUTHS[LabelValue(one.label)] for one in radiographs]
    decided = [(one, truth) for one, truth in zip(radiographs, truths, strict=True) if truth is not None]
    told = ", ".join(f"{sum(one.agreement == name for one, _ in decided)} {name.replace('_', ' ')}" for name in DECIDED)
    patients = np.array([one.person_id or 0 for one, _ in decided])
    scores = np.array([one.probability for one, _ in decided], dtype=np.float64)
    area = auc(np.array([truth for _, truth in decided], dtype=np.bool_), scores, patients, DRAWS)
    words = f"AUC {area.value:.2f} ({area.low:.2f} to {area.high:.2f}, n = {area.count})"
    return f"radiographs against the CT reports of the day: {told}; {words}. SIMULATED patients"
