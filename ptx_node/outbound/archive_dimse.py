"""An archive asked by DIMSE, Study Root (PS3.4 C): C-FIND for studies and series, C-GET or C-MOVE to our Storage SCP for instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import uid as syntax
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]  # made at run time

from ptx_node.domain.retrieval import Fetched, Found
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError
from ptx_node.outbound.archive_answers import SERIES_KEYS, STUDY_KEYS, as_attributes, questions, series_of, studies_of
from ptx_node.outbound.association import association
from ptx_node.outbound.instance_retrieve import get_each
from ptx_node.outbound.query_retrieve import FIND_CONTEXT, SUCCESS, matches, raise_for
from ptx_node.outbound.storage_classes import IMAGE_CLASSES, STORAGE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ptx_node.domain.retrieval import FoundSeries, Incoming, StudyQuery
    from ptx_node.outbound.archive_answers import Attributes
    from ptx_node.outbound.association import DimsePeer

WARNING = 0xB000
UNKNOWN_DESTINATION = 0xA801
TRY_AGAIN_LATER = (0x0110, 0xA700)
"""Our own answers to a C-STORE for want of room or of the database: the rest need not come now."""

COMPRESSED = (
    syntax.JPEGLosslessSV1,
    syntax.JPEG2000Lossless,
    syntax.JPEGLSLossless,
    syntax.JPEG2000,
    syntax.JPEGBaseline8Bit,
    syntax.JPEGExtended12Bit,
    syntax.RLELossless,
    syntax.JPEGLSNearLossless,
    syntax.JPEGLossless,
    syntax.DeflatedExplicitVRLittleEndian,
)
"""One context each, so that an archive sends what it has and changes nothing; at most 128 contexts fit into a proposal."""


@dataclass(frozen=True, slots=True)
class Retrieve:
    """How instances are fetched: `method` is auto, c_get or c_move; `auto` moves where C-GET is refused.

    `move_ae` is our own AE title that instances are moved to, and `move_timeout_s` the longest silence of an archive while
    it does: many say nothing before the last instance is sent.
    """

    method: str = "auto"
    move_ae: str = "PTX_RETRIEVE"
    move_timeout_s: float = 600.0


class _NothingCameError(DestinationUnavailableError):
    """The archive aborted before the first instance: so do some that do not allow C-GET, and so does one that is going down."""


class DimseArchive:
    """A DICOM application that holds studies."""

    def __init__(self, name: str, peer: DimsePeer, retrieve: Retrieve | None = None) -> None:
        self.name = name
        self.peer = peer
        self.retrieve = retrieve or Retrieve()
        self._get_refused = False

    @property
    def ae_title(self) -> str:
        """The archive's AE title."""
        return self.peer.called_ae

    @property
    def address(self) -> str:
        """The archive's host."""
        return self.peer.host

    def find_studies(self, query: StudyQuery, *, limit: int) -> Found:
        """Studies that the archive says match, at most `limit`; then it is told to stop.

        Raises:
            DestinationUnavailableError: it does not answer, or not now.
            DestinationRefusedError: it does not take the question.
        """
        answers: list[Attributes] = []
        complete = True
        with association(self.peer, [FIND_CONTEXT]) as assoc:
            for keys in questions(query):
                if complete:
                    found, complete = matches(assoc, _identifier("STUDY", keys, STUDY_KEYS), str(self.peer), limit=limit)
                    answers += map(_attributes, found)
        return Found(tuple(studies_of(answers, str(self.peer))), complete)

    def find_series(self, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study; none when the archive does not have it.

        Raises:
            DestinationUnavailableError, DestinationRefusedError: as `find_studies`.
        """
        with association(self.peer, [FIND_CONTEXT]) as assoc:
            found, _ = matches(assoc, _identifier("SERIES", {"StudyInstanceUID": study_instance_uid}, SERIES_KEYS), str(self.peer))
        return series_of(map(_attributes, found), str(self.peer), study_instance_uid)

    def fetch(self, study_instance_uid: str, series_instance_uids: Sequence[str], begin: Callable[[], Incoming]) -> Fetched:
        """Have these series sent: on our association (C-GET: each instance to `begin`), or to our Storage SCP (C-MOVE).

        Raises:
            DestinationUnavailableError: the archive does not answer, broke off, or cannot now.
            DestinationRefusedError: it does not send them in any way that is allowed.
        """
        asked = [_series(study_instance_uid, uid) for uid in series_instance_uids]
        if self.retrieve.method == "c_move" or (self.retrieve.method == "auto" and self._get_refused):
            return self._move(asked)
        try:
            return self._get(asked, begin)
        except (DestinationRefusedError, _NothingCameError) as refused:
            if self.retrieve.method != "auto":
                raise
            try:
                moved = self._move(asked)
            except DestinationRefusedError as error:
                raise type(refused)(f"{refused}; and {error}") from error
            self._get_refused = True
            return moved

    def _get(self, asked: Sequence[Dataset], begin: Callable[[], Incoming]) -> Fetched:
        refused: list[int] = []
        begun = 0

        def take(event: Any) -> int:
            nonlocal begun
            if refused:
                return refused[0]
            begun += 1
            incoming = begin()
            try:
                incoming.write(event.encoded_dataset())
                status = incoming.finish()
            finally:
                incoming.abort()
            if status in TRY_AGAIN_LATER:
                refused.append(status)
            return status

        tally = _Tally(str(self.peer), "C-GET")
        for status in get_each(self.peer, _contexts(), asked, take):
            if refused:
                raise DestinationUnavailableError("the node could not take what came")
            if "Status" not in status and not begun:
                raise _NothingCameError(f"{self.peer} broke off C-GET before it sent anything")
            tally.add(status)
        fetched = tally.fetched()
        if fetched.failed and not begun:  # it offers C-GET, but does not let us be the SCP of what comes
            raise DestinationRefusedError(f"{self.peer} sent nothing by C-GET")
        return fetched

    def _move(self, asked: Sequence[Dataset]) -> Fetched:
        model = StudyRootQueryRetrieveInformationModelMove
        tally = _Tally(str(self.peer), "C-MOVE")
        with association(self.peer, [build_context(model)]) as assoc:
            assoc.dimse_timeout = assoc.network_timeout = self.retrieve.move_timeout_s
            for identifier in asked:
                status = Dataset()
                try:
                    for status, _ in assoc.send_c_move(identifier, self.retrieve.move_ae, model):  # noqa: B007 - the last one counts
                        pass
                except (RuntimeError, ValueError) as error:
                    raise DestinationUnavailableError(f"C-MOVE could not be sent to {self.peer}: {error}") from error
                if status.get("Status") == UNKNOWN_DESTINATION:
                    raise DestinationRefusedError(
                        f"{self.peer} does not know {self.retrieve.move_ae}: name that AE title there, with host and port of `ptx receive`"
                    )
                tally.add(status)
        return tally.fetched()


class _Tally:
    """Adds up what an archive says of its sub-operations (PS3.4 C.4.2, C.4.3), a series at a time."""

    def __init__(self, peer: str, method: str) -> None:
        self._peer = peer
        self._method = method
        self._sent: int | None = 0
        self._failed = 0
        self._answer = ""

    def add(self, status: Dataset) -> None:
        """One final status; some instances that failed are no error here, none at all is.

        Raises:
            DestinationUnavailableError, DestinationRefusedError: nothing came of it.
        """
        code = status.get("Status")
        if code is None:
            raise DestinationUnavailableError(f"{self._peer} broke off {self._method}, or fell silent")
        sent, warned, failed = (status.get(f"NumberOf{which}Suboperations") for which in ("Completed", "Warning", "Failed"))
        if code not in (SUCCESS, WARNING) and not sent:
            raise_for(code, self._peer, self._method, str(status.get("ErrorComment", "") or ""))
        if code != SUCCESS:
            self._answer = f"{self._peer} ended {self._method} with 0x{code:04X}"
        self._sent = None if self._sent is None or sent is None else self._sent + int(sent) + int(warned or 0)
        self._failed += int(failed or 0)

    def fetched(self) -> Fetched:
        """All of them together."""
        return Fetched(self._method, self._sent, self._failed, self._answer)


def _contexts() -> list[Any]:
    """What instances may come as: every class uncompressed, and images in each compressed transfer syntax by itself."""
    plain = [build_context(uid, [syntax.ExplicitVRLittleEndian, syntax.ImplicitVRLittleEndian]) for uid in STORAGE_CLASSES]
    return plain + [build_context(uid, one) for uid in IMAGE_CLASSES for one in COMPRESSED]


def _identifier(level: str, keys: Mapping[str, str], wanted: Sequence[str]) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    if not all(value.isascii() for value in keys.values()):
        ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in wanted:
        setattr(ds, keyword, None)
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def _series(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    return _identifier("SERIES", {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}, ())


def _attributes(answer: Dataset) -> Attributes:
    """An answer as text. A value that cannot be decoded by its character set is left out: then it does not match."""
    values: dict[str, Sequence[object]] = {}
    for keyword in (*STUDY_KEYS, *SERIES_KEYS):
        try:
            value = answer.get(keyword)
        except (ValueError, LookupError, NotImplementedError):
            continue
        values[keyword] = () if value is None else value if isinstance(value, MultiValue) else (value,)
    return as_attributes(values)
