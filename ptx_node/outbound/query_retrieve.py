"""C-FIND as SCU, Study Root, IMAGE level (PS3.4 C): does the peer have these instances?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]  # made at run time

from ptx_node.domain.delivery import Arrival, Proof
from ptx_node.errors import DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ptx_node.domain.delivery import Outgoing

FIND_CONTEXT = build_context(StudyRootQueryRetrieveInformationModelFind)
PENDING = (0xFF00, 0xFF01)
BY = "c_find"


def find_instances(assoc: Any, batch: Sequence[Outgoing]) -> list[Proof]:
    """Which instances the peer has; one query a series (list of UID matching), then one each for what that did not find.

    Raises:
        DestinationUnavailableError: the peer did not answer the query.
    """
    by_series: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for item in batch:
        by_series[item.study_instance_uid, item.series_instance_uid].append(item.sop_instance_uid)
    found: set[str] = set()
    for (study, series), uids in by_series.items():
        found |= _query(assoc, study, series, uids)
        if len(uids) > 1:
            for uid in set(uids) - found:
                found |= _query(assoc, study, series, [uid])
    return [
        Proof(Arrival.PROVEN, BY) if item.sop_instance_uid in found else Proof(Arrival.MISSING, BY, "not found by query") for item in batch
    ]


def _query(assoc: Any, study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Iterable[str]) -> set[str]:
    ds = Dataset()
    ds.QueryRetrieveLevel = "IMAGE"
    ds.StudyInstanceUID = study_instance_uid
    ds.SeriesInstanceUID = series_instance_uid
    ds.SOPInstanceUID = list(sop_instance_uids)
    found: set[str] = set()
    try:
        for status, identifier in assoc.send_c_find(ds, StudyRootQueryRetrieveInformationModelFind):
            if "Status" not in status:
                raise DestinationUnavailableError("C-FIND got no answer")
            if status.Status in PENDING and identifier is not None:
                found.add(str(identifier.get("SOPInstanceUID", "")))
            elif status.Status not in (0x0000, *PENDING):
                raise DestinationUnavailableError(f"C-FIND was answered with 0x{status.Status:04X}")
    except (RuntimeError, ValueError) as error:
        raise DestinationUnavailableError(f"C-FIND could not be sent: {error}") from error
    return found
