"""An archive asked by DICOMweb: QIDO-RS for studies and series (PS3.18 10.6), WADO-RS for instances (PS3.18 10.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from pydicom.datadict import tag_for_keyword

from ptx_node.domain.retrieval import Fetched, Found
from ptx_node.errors import DestinationRefusedError, DestinationUnavailableError
from ptx_node.outbound.archive_answers import SERIES_KEYS, STUDY_KEYS, as_attributes, questions, series_of, studies_of
from ptx_node.outbound.dicomweb import DicomwebClient, as_json
from ptx_node.outbound.multipart import MultipartError, PartBegin, PartData, PartEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ptx_node.domain.retrieval import FoundSeries, Incoming, StudyQuery
    from ptx_node.outbound.archive_answers import Attributes
    from ptx_node.outbound.dicomweb import DicomwebService

PAGE = 100
STUDIES = "/studies"
TRY_AGAIN_LATER = (0x0110, 0xA700)


class DicomwebArchive:
    """A DICOMweb service that holds studies.

    Args:
        name: of the archive, in the settings.
        service: its address and our credentials.
        page: answers asked for at a time; a service may give fewer.
    """

    def __init__(self, name: str, service: DicomwebService, *, page: int = PAGE) -> None:
        self.name = name
        self._client = DicomwebClient(service)
        self._url = self.address = service.url
        self.ae_title = ""
        self._page = page

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def find_studies(self, query: StudyQuery, *, limit: int) -> Found:
        """Studies that the archive says match, at most `limit`.

        Raises:
            DestinationUnavailableError: it does not answer, or not now.
            DestinationRefusedError: it does not take the question.
        """
        answers: list[Attributes] = []
        complete = True
        for keys in questions(query):
            if complete:
                found, complete = self._search(STUDIES, keys, STUDY_KEYS, limit=limit)
                answers += found
        return Found(tuple(studies_of(answers, self._url)), complete)

    def find_series(self, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study; none when the archive does not have it.

        Raises:
            DestinationUnavailableError, DestinationRefusedError: as `find_studies`.
        """
        found, complete = self._search(f"/studies/{study_instance_uid}/series", {}, SERIES_KEYS)
        if not complete:
            raise DestinationRefusedError(f"{self._url} gives {self._page} series of study {study_instance_uid} and hides the others")
        return series_of(found, self._url, study_instance_uid)

    def fetch(self, study_instance_uid: str, series_instance_uids: Sequence[str], begin: Callable[[], Incoming]) -> Fetched:
        """Have these series sent, each instance to `begin` as its bytes come in: no instance is whole in memory.

        Raises:
            DestinationUnavailableError: the archive does not answer, or broke off.
        """
        sent = 0
        for series_instance_uid in series_instance_uids:
            sent += self._series(f"/studies/{study_instance_uid}/series/{series_instance_uid}", begin)
        return Fetched("WADO-RS", sent, 0)

    def _series(self, path: str, begin: Callable[[], Incoming]) -> int:
        sent = 0
        incoming: Incoming | None = None
        try:
            for event in self._client.parts(path):
                if isinstance(event, PartBegin):
                    incoming = begin()
                elif incoming is None:
                    continue
                elif isinstance(event, PartData):
                    incoming.write(event.data)
                elif isinstance(event, PartEnd):
                    sent += 1
                    if incoming.finish() in TRY_AGAIN_LATER:
                        raise DestinationUnavailableError("the node could not take what came")
                    incoming = None
        except MultipartError as error:
            raise DestinationUnavailableError(f"{self._url} broke off its answer, or it is none: {error.detail}") from error
        finally:
            if incoming is not None:
                incoming.abort()
        return sent

    def _search(self, path: str, keys: Mapping[str, str], wanted: Sequence[str], *, limit: int = 0) -> tuple[list[Attributes], bool]:
        """Page after page until one brings nothing new, and whether that is all.

        A service may give fewer at a time than were asked for, so that a short page is not the last one. A full page that
        comes again says that the service knows no offset: what lies behind it is out of reach.
        """
        found: dict[tuple[str, ...], Attributes] = {}
        seen = 0
        while not limit or len(found) <= limit:
            page = self._one_page(path, {**keys, "includefield": ",".join(wanted), "limit": str(self._page), "offset": str(seen)})
            before = len(found)
            for answer in page:
                found.setdefault((*answer.get("StudyInstanceUID", ()), *answer.get("SeriesInstanceUID", ())), answer)
            if len(found) == before:
                return list(found.values()), len(page) < self._page
            seen += len(page)
        return list(found.values())[:limit], False

    def _one_page(self, path: str, parameters: Mapping[str, str]) -> list[Attributes]:
        response = self._client.request("GET", path, params=dict(parameters))
        # Of a study that is not there, 404 is an answer; of all studies it says that no such service is at this address.
        if response.status_code == httpx.codes.NO_CONTENT or (response.status_code == httpx.codes.NOT_FOUND and path != STUDIES):
            return []
        if response.status_code != httpx.codes.OK:
            told = f"{self._url} answered HTTP {response.status_code} to a query: {response.text[:200]}"
            if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise DestinationUnavailableError(told)
            raise DestinationRefusedError(told)
        return [_attributes(item) for item in as_json(response, list) if isinstance(item, dict)]


def _attributes(item: Mapping[str, Any]) -> Attributes:
    """An answer in the DICOM JSON model (PS3.18 F.2) as text."""
    values: dict[str, Sequence[object]] = {}
    for keyword in (*STUDY_KEYS, *SERIES_KEYS):
        element = item.get(f"{tag_for_keyword(keyword):08X}")
        several = element.get("Value") if isinstance(element, dict) else None
        values[keyword] = [value for value in several if value is not None] if isinstance(several, list) else ()
    return as_attributes(values)
