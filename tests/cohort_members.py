"""A cohort as `ptx cohort build` leaves it, in the tables: no archive, no model; a number stands for patient, image, answer and report."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ptx_node.db import cohorts
from ptx_node.db.session import begin_read, begin_write, now
from ptx_node.db.tables import Cohort
from ptx_node.domain.cohort import Choice, Exclusion, MemberState, Terms
from ptx_node.domain.finding import ModelIdentity
from ptx_node.domain.study import Via
from ptx_node.pipeline import cohort_select
from ptx_node.pipeline.reconcile import reconcile
from tests.case_database import DAY, FIRST, Hospital

PATIENTS, EACH = 44, 14
LATER = 0.9 + 0.0001234567 * 20.5
"""The site's threshold when the cohort was begun: the first twenty that the model called positive are called negative by it."""
LAST = DAY + timedelta(days=30)


def positive(number: int) -> bool:
    return number % 2 == 0


def called(number: int) -> bool:
    """By the cohort's threshold; the model is wrong of each seventh."""
    return (positive(number) != (number % 7 == 0)) and number > 20


def fill(engine: Engine, folder: Path) -> Hospital:
    """Patient, image, finding and report of a number go together; half of the images were fetched for a cohort."""
    hospital = Hospital(engine, folder)
    for number in range(1, PATIENTS + 1):
        day, name = DAY + timedelta(days=number % 20), f"MRN{number:05}"
        outcome = "positive" if positive(number) != (number % 7 == 0) else "negative"
        hospital.read(name, day=day, outcome=outcome, image={"via": Via.RETRIEVE if number % 2 else Via.DIMSE})
        hospital.told("Left pneumothorax." if positive(number) else "No pneumothorax.", name, day=day)
    reconcile(engine)
    return hospital


def build(engine: Engine, choice: Choice = Choice.BALANCED, *, complete: bool = True) -> Cohort:
    """As `ptx cohort build` leaves it, without an archive: who is drawn is read already; of number 9 the header was of a lateral view."""
    wanted = EACH if choice is Choice.BALANCED else None
    terms = Terms("even", DAY, LAST, choice, wanted, 7, "pacs", FIRST[0], FIRST[2])
    model = ModelIdentity("Makers", *FIRST, f"2.25.{FIRST[1]}")
    cohort, _ = cohort_select.begin(engine, terms, cohort_select.Circumstances(model, LATER, "user alice", "0" * 64))
    counted = Counter[bool]()
    with begin_write(engine) as session:
        for member in cohorts.members_in(session, cohort.id, MemberState.WAITING):
            group = bool(member.positive)
            if member.report_id == 9:
                cohorts.exclude(session, member, Exclusion.NOT_ELIGIBLE, code="lateral_view", now=now())
            elif wanted is None or counted[group] < wanted:
                counted[group] += 1
                about: dict[str, Any] = {"finding_id": member.report_id, "instance_id": member.report_id, "interval_s": 4 * 3600.0}
                cohorts.advance(session, member, MemberState.COUNTED, now=now(), **about)
        if complete:
            cohorts.close(session, cohort.id, now=now())
    with begin_read(engine) as session:
        return cohorts.cohort_named(session, "even")
