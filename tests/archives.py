"""Archives for tests: an Orthanc with known studies, and small peers that answer C-FIND and C-GET as a test wants them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from sqlalchemy import Engine, select

from ptx_node.db.retrievals import Wanted, want
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.tables import Instance, Retrieval
from ptx_node.domain.retrieval import BY_HAND
from ptx_node.outbound.archive_dicomweb import DicomwebArchive
from ptx_node.outbound.archive_dimse import DimseArchive, Retrieve
from ptx_node.outbound.association import DimsePeer
from ptx_node.outbound.dicomweb import DicomwebService
from ptx_node.simulator.pacs import Pacs
from tests.factories import LATIN1, UTF8, Place, as_file, cr, ct_series, dx

NIGHT = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)


def hospital() -> list[Dataset]:
    """Study 1 of P-0001: a CT of five slices and a radiograph. 2: P-0001 of another issuer. 3: P-00011. 4: compressed. 5: Latin-1."""
    compressed = dx(Place(4, 1, 1, "P-0002"))
    compressed.compress(RLELossless, generate_instance_uid=False)
    return [
        *ct_series(5, Place(1, 1, 1)),
        dx(Place(1, 2, 1)),
        dx(Place(2, 1, 1, changes={"IssuerOfPatientID": "OTHER"})),
        cr(Place(3, 1, 1, "P-00011", {"StudyDate": "20260302", **UTF8})),
        compressed,
        cr(Place(5, 1, 1, "PÉ-5", {"StudyDate": "20260303", **LATIN1})),
    ]


def fill(pacs: Pacs, instances: Sequence[Dataset]) -> None:
    for ds in instances:
        httpx.post(f"{pacs.http_url}/instances", content=as_file(ds), timeout=30).raise_for_status()


def dimse_archive(port: int, method: str = "auto", *, timeout_s: float = 10.0, called_ae: str = "PACS") -> DimseArchive:
    peer = DimsePeer("127.0.0.1", port, called_ae, timeout_s=timeout_s)
    return DimseArchive("pacs", peer, Retrieve(method, move_timeout_s=timeout_s))


def web_archive(url: str, *, page: int = 100) -> DicomwebArchive:
    return DicomwebArchive("pacs", DicomwebService(url, timeout_s=10.0), page=page)


class Clock:
    """A given clock."""

    def __init__(self, moment: datetime = NIGHT) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def go(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


def ask(engine: Engine, studies: Sequence[str], *, why: str = BY_HAND, again: bool = False, **more: Any) -> list[int]:
    """Note studies that are wanted from the archive `pacs`."""
    with begin_write(engine) as session:
        return want(session, Wanted("pacs", studies, why, **more), now=NIGHT, again=again)


def work_list(engine: Engine) -> list[Retrieval]:
    with begin_read(engine) as session:
        return list(session.scalars(select(Retrieval).order_by(Retrieval.id)))


def stored(engine: Engine) -> list[Instance]:
    with begin_read(engine) as session:
        return list(session.scalars(select(Instance).order_by(Instance.id)))


@contextmanager
def peer(
    *,
    find: Callable[[Any], Iterator[Any]] | None = None,
    get: Callable[[Any], Iterator[Any]] | None = None,
    move: Callable[[Any], Iterator[Any]] | None = None,
) -> Iterator[int]:
    """A small archive of pynetdicom; a service without a handler is not offered."""
    ae = AE("PACS")
    handlers: list[Any] = []
    services = (
        (find, StudyRootQueryRetrieveInformationModelFind, evt.EVT_C_FIND),
        (get, StudyRootQueryRetrieveInformationModelGet, evt.EVT_C_GET),
        (move, StudyRootQueryRetrieveInformationModelMove, evt.EVT_C_MOVE),
    )
    for handler, model, event in services:
        if handler is not None:
            ae.add_supported_context(model)
            handlers.append((event, handler))
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), scu_role=True, scp_role=True)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def finding(instances: Sequence[Dataset], *, counts: dict[str, int] | None = None) -> Callable[[Any], Iterator[Any]]:
    """Answers on the level of series: what there is, or other counts by series; a count of 0 is not answered at all."""

    def find(event: Any) -> Iterator[Any]:
        series: dict[str, list[Dataset]] = {}
        for ds in instances:
            if ds.StudyInstanceUID == event.identifier.StudyInstanceUID:
                series.setdefault(str(ds.SeriesInstanceUID), []).append(ds)
        for uid, held in series.items():
            answer = Dataset()
            answer.QueryRetrieveLevel = "SERIES"
            answer.StudyInstanceUID, answer.SeriesInstanceUID = held[0].StudyInstanceUID, uid
            answer.Modality = held[0].Modality
            count = (counts or {}).get(uid, len(held))
            if count:
                answer.NumberOfSeriesRelatedInstances = count
            yield 0xFF00, answer

    return find


def giving(instances: Sequence[Dataset], asked: list[list[str]] | None = None) -> Callable[[Any], Iterator[Any]]:
    """C-GET of whole series; `asked` keeps the series of each request."""

    def get(event: Any) -> Iterator[Any]:
        wanted = event.identifier.SeriesInstanceUID
        if asked is not None:
            asked.append([str(wanted)])
        held = [ds for ds in instances if ds.SeriesInstanceUID == wanted]
        yield len(held)
        for ds in held:
            yield 0xFF00, ds

    return get
