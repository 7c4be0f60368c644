"""Identity of simulated patients: name, number, birth date, and the day on which everything happens. Nobody's.

The same seed is the same person at every site, so that a radiograph, a CT and a report of a day belong together.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ptx_node.simulator.patient import Patient

NAMESPACE = uuid.UUID("6b1f0f2e-4a8c-5d7e-9c53-2f0a1c7d9e44")
GIVEN = {"F": ("Hélène", "Zoë", "Françoise", "Ingrid", "Noémie", "Märta"), "M": ("André", "José", "Jürgen", "Loïc", "Søren", "Benoît")}
FIRST_DAY, DAYS = date(2026, 1, 5), 300


@dataclass(frozen=True, slots=True)
class Person:
    """Who a simulated patient is on paper.

    Attributes:
        arrives_at: local time of the radiograph; the CT and its report follow on the same day.
    """

    patient_id: str
    name: str
    sex: str
    birth_date: date
    age_years: int
    arrives_at: datetime

    @property
    def ct_at(self) -> datetime:
        """Local time of the CT: one to six hours after the radiograph."""
        return self.arrives_at + timedelta(minutes=60 + self.arrives_at.minute * 5)


def uid_of(*parts: object) -> str:
    """A UID that belongs to these words for ever (UUID form, PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(map(str, parts))).int}"


def number_of(*parts: object) -> str:
    """Twelve letters and digits that belong to these words for ever."""
    return uuid.uuid5(NAMESPACE, "/".join(map(str, parts))).hex[:12].upper()


def person_of(patient: Patient) -> Person:
    """The papers of this patient; every name says SIMULATED."""
    rng = np.random.default_rng([patient.seed, 303])
    day = FIRST_DAY + timedelta(days=patient.seed % DAYS)
    birthday = day - timedelta(days=round(patient.age_years * 365.25) + int(rng.integers(5, 360)))
    arrives = datetime(day.year, day.month, day.day, int(rng.integers(6, 15)), int(rng.integers(60)), int(rng.integers(60)))  # noqa: DTZ001 - local clinical time, as modalities write it
    given = GIVEN[patient.sex][int(rng.integers(len(GIVEN[patient.sex])))]
    return Person(f"SIM{patient.seed:08d}", f"SIMULATED^{given}", patient.sex, birthday, patient.age_years, arrives)
