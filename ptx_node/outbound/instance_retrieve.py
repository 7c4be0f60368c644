"""C-GET as SCU, Study Root, IMAGE level (PS3.4 C.4.3): instances come back on the association that asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]  # made at run time

from ptx_node.errors import DestinationRefusedError
from ptx_node.outbound.association import association

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ptx_node.outbound.association import DimsePeer

PENDING, SUCCESS = (0xFF00, 0xFF01), 0x0000


def get_instances(
    peer: DimsePeer, sop_class_uids: Collection[str], wanted: Iterable[tuple[str, str, Collection[str]]]
) -> dict[str, Dataset]:
    """Instances by their SOP Instance UID; those that the peer does not have are absent.

    Args:
        peer: whom to ask.
        sop_class_uids: of everything that is wanted.
        wanted: (Study Instance UID, Series Instance UID, SOP Instance UIDs) by series.

    Raises:
        DestinationUnavailableError: the peer does not answer.
        DestinationRefusedError: it does not offer C-GET, or does not allow it to us.
    """
    received: dict[str, Dataset] = {}

    def keep(event: Any) -> int:
        ds = event.dataset
        ds.file_meta = event.file_meta
        received[str(ds.SOPInstanceUID)] = ds
        return SUCCESS

    model = StudyRootQueryRetrieveInformationModelGet
    contexts = [build_context(model), *(build_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for uid in sop_class_uids)]
    roles = [build_role(uid, scp_role=True) for uid in sop_class_uids]
    with association(peer, contexts, [(evt.EVT_C_STORE, keep)], roles) as assoc:
        if not any(context.abstract_syntax == model for context in assoc.accepted_contexts):
            raise DestinationRefusedError(f"{peer} does not offer C-GET")
        for study_instance_uid, series_instance_uid, sop_instance_uids in wanted:
            ds = Dataset()
            ds.QueryRetrieveLevel = "IMAGE"
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = study_instance_uid, series_instance_uid, list(sop_instance_uids)
            for status, _ in assoc.send_c_get(ds, model):
                if status.get("Status") not in (*PENDING, SUCCESS):
                    raise DestinationRefusedError(f"{peer} answered C-GET with {_words(status)}")
    return received


def _words(status: Dataset) -> str:
    return f"0x{status.Status:04X}" if "Status" in status else "nothing"
