"""Results as a destination gives them back: by C-GET (else C-FIND), by WADO-RS, or from the folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
from pydicom.errors import InvalidDicomError

from ptx_node.domain.delivery import Arrival, Outgoing
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError, InputError
from ptx_node.outbound.association import association
from ptx_node.outbound.folder import Folder
from ptx_node.outbound.instance_retrieve import get_instances
from ptx_node.outbound.multipart import PartBegin, PartData
from ptx_node.outbound.query_retrieve import FIND_CONTEXT, find_instances
from ptx_node.outbound.storage_scu import StorageScu
from ptx_node.outbound.stow_rs import StowRs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom import Dataset

    from ptx_node.db.answers import Sent
    from ptx_node.outbound.multipart import Event


@dataclass(slots=True)
class ReadBack:
    """What a destination gave back.

    Attributes:
        by: how it was asked.
        datasets: by SOP Instance UID.
        found: SOP Instance UIDs that are there, but could only be asked for, not read.
        problem: why nothing could be read, or None.
    """

    by: str
    datasets: dict[str, Dataset] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    problem: str | None = None


def read_back(destination: object, sent: Sequence[Sent]) -> ReadBack:
    """Everything that was sent to this destination, as far as it gives it back; never raises for what the peer does.

    Args:
        destination: an adapter of `wiring.make_destination`.
        sent: results that the node counts as delivered there.
    """
    try:
        if isinstance(destination, Folder):
            return _from_folder(destination, sent)
        if isinstance(destination, StowRs):
            return _by_wado(destination, sent)
        if isinstance(destination, StorageScu):
            return _by_get(destination, sent)
    except (DestinationUnavailableError, DestinationRefusedError, InputError, InvalidDicomError) as error:
        return ReadBack("nothing", problem=str(error))
    return ReadBack("nothing", problem=f"a destination of the kind {type(destination).__name__} cannot be asked")


def _from_folder(destination: Folder, sent: Sequence[Sent]) -> ReadBack:
    back = ReadBack("folder")
    for one in sent:
        path = destination.folder / f"{one.sop_instance_uid}.dcm"
        if path.is_file():
            back.datasets[one.sop_instance_uid] = pydicom.dcmread(path)
    return back


def _by_wado(destination: StowRs, sent: Sequence[Sent]) -> ReadBack:
    back = ReadBack("WADO-RS")
    for one in sent:
        path = f"/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"
        for data in _whole(destination.retrieve(path)):
            ds = pydicom.dcmread(BytesIO(data))
            back.datasets[str(ds.SOPInstanceUID)] = ds
    return back


def _whole(events: Iterable[Event]) -> list[bytes]:
    """The instances of a multipart answer."""
    parts: list[bytearray] = []
    for event in events:
        if isinstance(event, PartBegin):
            parts.append(bytearray())
        elif isinstance(event, PartData):
            parts[-1] += event.data
    return [bytes(part) for part in parts]


def _by_get(destination: StorageScu, sent: Sequence[Sent]) -> ReadBack:
    by_series: dict[tuple[str, str], list[str]] = {}
    for one in sent:
        by_series.setdefault((one.study_instance_uid, one.series_instance_uid), []).append(one.sop_instance_uid)
    wanted = [(study, series, uids) for (study, series), uids in by_series.items()]
    try:
        return ReadBack("C-GET", get_instances(destination.peer, sorted({one.sop_class_uid for one in sent}), wanted))
    except DestinationRefusedError as refused:
        back = ReadBack("C-FIND", problem=str(refused))
    with association(destination.peer, [FIND_CONTEXT]) as assoc:
        batch = [
            Outgoing(Path(), one.sop_class_uid, one.sop_instance_uid, "", one.series_instance_uid, one.study_instance_uid) for one in sent
        ]
        for item, proof in zip(batch, find_instances(assoc, batch), strict=True):
            if proof.arrival is Arrival.PROVEN:
                back.found.add(item.sop_instance_uid)
    return back
