"""A real PACS takes every kind of result by C-STORE and gives back what was sent."""

from __future__ import annotations

import io
import subprocess

import httpx
import pydicom

from ptx_node.domain.finding import Outcome
from ptx_node.simulator.pacs import Pacs
from tests.conformance.conftest import Case


def test_orthanc_keeps_results_as_they_are(cases: dict[tuple[str, Outcome], Case], pacs: Pacs) -> None:
    chosen = [cases["ct", Outcome.POSITIVE], cases["japanese", Outcome.POSITIVE], cases["japanese", Outcome.FAILED]]
    paths = [path for case in chosen for path in case.paths.values()]
    address = ("127.0.0.1", str(pacs.dicom_port))
    sent = subprocess.run(
        ["/usr/bin/storescu", "-xe", "-R", *address, *map(str, paths)],
        env={"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sent.returncode == 0, sent.stderr
    held = httpx.get(f"{pacs.http_url}/instances", timeout=30).json()
    assert len(paths) == len(held)
    expected = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, paths)}
    for identifier in held:
        found = pydicom.dcmread(io.BytesIO(httpx.get(f"{pacs.http_url}/instances/{identifier}/file", timeout=30).content))
        assert expected[str(found.SOPInstanceUID)] == found
