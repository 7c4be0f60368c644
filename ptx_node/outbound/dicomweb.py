"""A DICOMweb service as we call it (PS3.18): connections, credentials, and the library's ways to fail, mapped here, once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from ptx_node.errors import DestinationUnavailableError
from ptx_node.outbound.multipart import MultipartParser, parse_content_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ptx_node.outbound.association import TlsClient
    from ptx_node.outbound.multipart import Event

JSON = "application/dicom+json"
ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Instances as they are stored: without the last word a service has to change compressed ones (PS3.18 8.7.3.5.2)."""

BUSY = (408, 425, 429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class DicomwebService:
    """A DICOMweb service and our credentials. `url` is the root below which `/studies` lies."""

    url: str
    bearer_token: str | None = None
    basic: tuple[str, str] | None = None
    timeout_s: float = 30.0
    tls: TlsClient | None = None
    verify_arrival: bool = True


class DicomwebClient:
    """Requests to one service. Connections are kept open; safe for several threads."""

    def __init__(self, service: DicomwebService) -> None:
        self.service = service
        token = service.bearer_token
        self._client = httpx.Client(
            base_url=service.url.rstrip("/"),
            headers={"Accept": JSON, **({"Authorization": f"Bearer {token}"} if token else {})},
            auth=service.basic,
            timeout=service.timeout_s,
            verify=service.tls.context() if service.tls else True,
            follow_redirects=False,
            trust_env=False,  # patients' data go where the settings say, through no proxy of the environment
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request and its whole answer.

        Raises:
            DestinationUnavailableError: no connection, busy, elsewhere, or our credentials are not accepted.
        """
        try:
            response = self._client.request(method, path, **arguments)
        except (httpx.HTTPError, OSError) as error:
            raise self._silent(error) from error
        self._check(method, response)
        return response

    def parts(self, path: str) -> Iterator[Event]:
        """The instances below a path by WADO-RS, as their bytes come in; none where the service has nothing there.

        Raises:
            DestinationUnavailableError: as `request`; or the answer ended early.
            MultipartError: the answer is not what it says it is.
        """
        try:
            with self._client.stream("GET", path, headers={"Accept": ANY_SYNTAX}) as response:
                self._check("GET", response)
                if response.status_code in (204, 404):
                    return
                if response.status_code != httpx.codes.OK:
                    raise DestinationUnavailableError(f"{self.service.url} answered HTTP {response.status_code} to a retrieval")
                parser = MultipartParser(parse_content_type(response.headers.get("Content-Type", "")).boundary)
                for chunk in response.iter_bytes():
                    yield from parser.feed(chunk)
                parser.close()
        except (httpx.HTTPError, OSError) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> DestinationUnavailableError:
        return DestinationUnavailableError(f"{self.service.url} does not answer: {type(error).__name__} {error}")

    def _check(self, method: str, response: httpx.Response) -> None:
        if response.status_code in (401, 403):
            raise DestinationUnavailableError(f"{self.service.url} does not accept our credentials: HTTP {response.status_code}")
        if response.status_code in BUSY or response.is_redirect or (method == "POST" and response.status_code in (404, 405)):
            raise DestinationUnavailableError(
                f"{self.service.url} does not take {'instances' if method == 'POST' else 'requests'} now: "
                f"HTTP {response.status_code}. Check its address"
            )


def as_json(response: httpx.Response, kind: type[Any]) -> Any:
    """The body as JSON of that kind, else empty: services answer errors with pages and texts."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return kind()
    return body if isinstance(body, kind) else kind()


def first_value(item: Mapping[str, Any], tag: str) -> Any:
    """The first value of an attribute in the DICOM JSON model (PS3.18 F.2), None where it has none."""
    values = item.get(tag, {}).get("Value") or [None]
    return values[0]
