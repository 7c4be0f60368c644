"""No room: nothing is acknowledged that is not stored, and the node goes on by itself when there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptx_node.simulator.modality import send_files
from ptx_node.simulator.processes import wait_until
from tests.factories import Place, as_file, dx
from tests.node import Node, data_set_bytes, folder_destination, stow

DISK_BYTES, WATERMARK_BYTES = 8 << 20, 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def node(tmp_path: Path, small_disk: Path, tiny_bundles: Path) -> Iterator[Node]:
    store = {"folder": str(small_disk / "store"), "watermark_bytes": WATERMARK_BYTES}
    rules = '[[rules]]\nname = "all"\nmodel = "tiny-cxr"\ntrigger = "instance"\nmatch = { keyword = "Modality", any_of = ["DX"] }\n'
    destinations = [folder_destination(tmp_path / "out", name="out")]
    given = Node(
        tmp_path / "node", tiny_bundles, destinations, settings={"store": store}, rules=rules + 'destinations = [{ name = "out" }]\n'
    )
    with given.up():
        yield given


def test_a_full_disk_is_answered_a700_and_costs_nothing_when_there_is_room_again(node: Node, small_disk: Path, tmp_path: Path) -> None:
    before, meanwhile = dx(Place(study=1)), dx(Place(study=2))
    path = tmp_path / "meanwhile.dcm"
    path.write_bytes(as_file(meanwhile))
    assert stow(node, as_file(before)).status_code == 200
    filler = small_disk / "filler"
    filler.write_bytes(bytes(DISK_BYTES - WATERMARK_BYTES))

    (row,) = send_files([path], node.peer)
    assert (row["verdict"], row["status"]) == ("unavailable", "0xA700")
    assert stow(node, path.read_bytes()).status_code in (409, 503)
    assert node.status()["refusals"]["storage_full"] >= 1
    assert meanwhile.SOPInstanceUID not in node.instances()

    filler.unlink()
    (row,) = send_files([path], node.peer)
    assert row["verdict"] == "accepted"
    jobs = node.wait_for_jobs([before.StudyInstanceUID, meanwhile.StudyInstanceUID])
    assert {job["state"] for job in jobs.values()} == {"done"}
    assert data_set_bytes(node.store / node.instances()[meanwhile.SOPInstanceUID].path) == data_set_bytes(path)
    wait_until(lambda: [one["state"] for one in node.deliveries()] == ["committed"] * 4, what="the results to be delivered")
