"""Asks the archive for a cohort's patients: their studies of the CT's day, by every number of theirs that an image may bear.

An answer counts only where the number and who gave it out are the patient's, by the site's own names; what its headers say is looked at
once more when the images are here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ptx_node.db import cohorts, retrievals
from ptx_node.db.cohort_merges import person_now
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.session import now as current_time
from ptx_node.domain.cohort import Exclusion, MemberState
from ptx_node.domain.radiology_report import PATIENT_NUMBER_TYPES, PatientIdentity
from ptx_node.domain.retrieval import StudyQuery, concerns
from ptx_node.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from ptx_node.db.tables import Cohort, CohortMember
    from ptx_node.domain.radiology_report import Authorities
    from ptx_node.domain.retrieval import Found, FoundStudy

MOST_STUDIES = 200
"""Of one patient; an archive that answers more to a patient's number has matched something else."""


class Archive(Protocol):
    """Where studies are looked for; `ptx_node.pipeline.retrieve.Archive` has this."""

    def find_studies(self, query: StudyQuery, *, limit: int) -> Found:
        """Studies that the archive says match, at most `limit`."""


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for the radiographs of one cohort.

    Args:
        modalities: of the radiographs that the model reads.
        home_issuer: who gave out the patient numbers that the archive answers without an issuer.
    """

    engine: Engine
    cohort: Cohort
    archive: Archive
    authorities: Authorities
    modalities: Sequence[str]
    home_issuer: str

    def look(self, member: CohortMember) -> None:
        """Want the patient's studies with radiographs of the day, or say why there are none. No transaction is open meanwhile.

        Raises:
            DestinationUnavailableError: the archive does not answer; nothing was written.
            DestinationRefusedError: it does not take the question; nothing was written.
            DatabaseUnavailableError: nothing was written.
        """
        assert member.person_id is not None
        with begin_read(self.engine) as session:
            person = person_now(session, member)
            numbers = cohorts.numbers_of(session, [person]).get(person, [])
        queries = [
            query for value in sorted({one.value for one in numbers if one.type in PATIENT_NUMBER_TYPES}) if (query := _query(value))
        ]
        studies: list[FoundStudy] = []
        others = False
        for query in queries:
            of_day = self._hers(replace(query, since=member.examined_on, until=member.examined_on), numbers)
            mine = [one for one in of_day if one.modalities is None or not set(self.modalities).isdisjoint(one.modalities)]
            others |= len(mine) < len(of_day)
            studies += mine
        if studies:
            self._want(member, studies)
            return
        known = others or any(self._hers(query, numbers) for query in queries)
        why = Exclusion.NO_RADIOGRAPH_THAT_DAY if known else Exclusion.PATIENT_NOT_IN_ARCHIVE if queries else Exclusion.NO_PATIENT
        with begin_write(self.engine) as session:
            cohorts.exclude(session, member, why, now=current_time())

    def _hers(self, query: StudyQuery, numbers: Sequence[PatientIdentity]) -> list[FoundStudy]:
        """The answers that are this patient's: the same number, and nobody else who gave it out."""
        found = self.archive.find_studies(query, limit=MOST_STUDIES)
        if not found.complete and query.since is not None:
            raise PermanentError(f"the archive answers more than {MOST_STUDIES} studies of a patient's day: it does not match by patient")
        givers = {one.authority for one in numbers if one.value == query.patient_id}
        return [one for one in found.studies if concerns(query, one) and self._given_by(one, givers)]

    def _given_by(self, study: FoundStudy, givers: set[str]) -> bool:
        """Whether one of these gave out the study's number; where one side does not say, the headers decide later."""
        giver = self.authorities.own(PatientIdentity(study.issuer_of_patient_id or self.home_issuer, "", study.patient_id)).authority
        return not giver or "" in givers or giver in givers

    def _want(self, member: CohortMember, studies: Sequence[FoundStudy]) -> None:
        moment = current_time()
        uids = sorted({one.study_instance_uid for one in studies})
        with begin_write(self.engine) as session:
            if not cohorts.advance(session, member, MemberState.FETCHING, now=moment, study_instance_uids=uids):
                return
            for one in studies:
                retrievals.want(
                    session,
                    retrievals.Wanted(
                        self.cohort.archive,
                        [one.study_instance_uid],
                        self.cohort.name,
                        self.modalities,
                        one.patient_id,
                        one.issuer_of_patient_id,
                    ),
                    now=moment,
                )


def _query(value: str) -> StudyQuery | None:
    """The question for a number; None for one that an archive would take for a pattern."""
    try:
        return StudyQuery(patient_id=value)
    except UsageError:
        return None
