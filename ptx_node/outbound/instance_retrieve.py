"""C-GET as SCU, Study Root (PS3.4 C.4.3): instances come back on the association that asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]  # made at run time

from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError
from ptx_node.outbound.association import association

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ptx_node.outbound.association import DimsePeer

SUCCESS = 0x0000


def get_instances(
    peer: DimsePeer, sop_class_uids: Collection[str], wanted: Iterable[tuple[str, str, Collection[str]]]
) -> dict[str, Dataset]:
    """Instances by their SOP Instance UID; those that the peer does not have are absent. All of them are held in memory.

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

    def identifiers() -> Iterator[Dataset]:
        for study_instance_uid, series_instance_uid, sop_instance_uids in wanted:
            ds = Dataset()
            ds.QueryRetrieveLevel = "IMAGE"
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = study_instance_uid, series_instance_uid, list(sop_instance_uids)
            yield ds

    contexts = [build_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for uid in sop_class_uids]
    for status in get_each(peer, contexts, identifiers(), keep):
        if status.get("Status") != SUCCESS:
            raise DestinationRefusedError(f"{peer} answered C-GET with {_words(status)}")
    return received


def get_each(peer: DimsePeer, contexts: Sequence[Any], identifiers: Iterable[Dataset], on_store: Callable[[Any], int]) -> Iterator[Dataset]:
    """Ask for each identifier on one association; its final status, which is empty when the peer fell silent or went away.

    Args:
        peer: whom to ask.
        contexts: what instances may come as, beside C-GET itself.
        identifiers: what to ask for; nothing more is asked after a peer that went away.
        on_store: pynetdicom's handler of C-STORE; called in this thread.

    Raises:
        DestinationUnavailableError: the peer does not answer.
        DestinationRefusedError: it does not offer C-GET.
    """
    model = StudyRootQueryRetrieveInformationModelGet
    roles = [build_role(uid, scp_role=True) for uid in dict.fromkeys(context.abstract_syntax for context in contexts)]
    with association(peer, [build_context(model), *contexts], [(evt.EVT_C_STORE, on_store)], roles) as assoc:
        if not any(context.abstract_syntax == model for context in assoc.accepted_contexts):
            raise DestinationRefusedError(f"{peer} does not offer C-GET")
        for identifier in identifiers:
            status = Dataset()
            try:
                for status, _ in assoc.send_c_get(identifier, model):  # noqa: B007 - the last one counts
                    pass
            except (RuntimeError, ValueError) as error:
                raise DestinationUnavailableError(f"C-GET could not be sent to {peer}: {error}") from error
            yield status
            if "Status" not in status:
                return


def _words(status: Dataset) -> str:
    return f"0x{status.Status:04X}" if "Status" in status else "nothing"
