"""The whole node between a modality and a real PACS, by every way in and out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pydicom
import pytest

from ptx_node.simulator.modality import all_taken, send_files
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_ports, wait_until
from tests.factories import Place, as_file, ct_series, dx
from tests.node import TOKEN, Node, data_set_bytes, dcmsend, dicomweb_destination, dimse_destination

ROUTE = Path(__file__).resolve().parents[2] / "deploy" / "pacs" / "orthanc-route.lua"
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, tiny_bundles: Path) -> Iterator[tuple[Node, Pacs]]:
    """A PACS that knows the node as a modality, and a node that stores into it by C-STORE."""
    folder = tmp_path_factory.mktemp("hospital")
    port, stow_port = free_ports(2)
    with running_pacs(folder / "pacs", modalities={"ptx": ("PTX", "127.0.0.1", port)}) as pacs:
        node = Node(folder / "node", tiny_bundles, [dimse_destination(pacs)], port=port, stow_port=stow_port)
        with node.up():
            yield node, pacs


def write(folder: Path, *datasets: pydicom.Dataset) -> list[Path]:
    paths = []
    for ds in datasets:
        path = folder / f"{ds.SOPInstanceUID}.dcm"
        path.write_bytes(as_file(ds))
        paths.append(path)
    return paths


def held(pacs: Pacs, study: str) -> dict[str, str]:
    """SOP class -> SOP Instance UID of a study's instances, found by QIDO-RS."""
    answer = httpx.get(f"{pacs.dicomweb_url}/studies/{study}/instances", timeout=30)
    return {one["00080016"]["Value"][0]: one["00080018"]["Value"][0] for one in answer.json()} if answer.status_code == 200 else {}


def test_a_radiograph_by_c_store_comes_back_as_seg_and_sr(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, pacs = hospital
    ds = dx(Place(study=101))
    (path,) = write(tmp_path, ds)
    sent = dcmsend(node.port, path)
    assert sent.returncode == 0, sent.stderr
    wait_until(lambda: set(held(pacs, ds.StudyInstanceUID)) == {SEG, SR}, what="SEG and SR in the PACS", timeout_s=30)
    job = node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]
    assert job["state"] == "done"
    assert [one["outcome"] for one in job["findings"]] == ["positive"]
    stored = node.instances()[ds.SOPInstanceUID]
    assert data_set_bytes(node.store / stored.path) == data_set_bytes(path)
