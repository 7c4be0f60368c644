"""The sample PACS routing rules, loaded by the programs they are written for. Another Orthanc or storescp plays the node."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, generate_uid

from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port, port_answers, running, wait_until

RULES = Path(__file__).resolve().parents[2] / "deploy" / "pacs"
ENV = {"TCP_NODELAY": "1"}


def write(folder: Path, *, modality: str = "CR", body_part: str = "CHEST", series: str = "", sop_class: str = "") -> Path:
    """A small valid instance of its own series."""
    ds = pydicom.Dataset()
    ds.SOPClassUID = sop_class or (CTImageStorage if modality == "CT" else ComputedRadiographyImageStorage)
    ds.SOPInstanceUID, ds.StudyInstanceUID = generate_uid(), generate_uid()
    ds.SeriesInstanceUID = series or generate_uid()
    ds.PatientID, ds.PatientName, ds.Modality, ds.BodyPartExamined = "SIM-1", "Simulated^One", modality, body_part
    ds.Rows = ds.Columns = 8
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = bytes(128)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def send(port: int, *paths: Path, calling: str = "MODALITY", called: str = "PACS") -> None:
    command = ["/usr/bin/dcmsend", "--decompress-never", "--aetitle", calling, "--call", called, "127.0.0.1", str(port)]
    subprocess.run([*command, *map(str, paths)], check=True, capture_output=True, timeout=60, env={**os.environ, **ENV})


def uids(paths: list[Path]) -> set[str]:
    return {path.stem for path in paths}


def held(pacs: Pacs) -> set[str]:
    return {tags["SOPInstanceUID"] for tags in pacs.instances()}


def test_orthanc_routes_new_chest_images_and_not_what_comes_back(tmp_path: Path) -> None:
    with (
        running_pacs(tmp_path / "node", ae_title="PTX") as node,
        running_pacs(
            tmp_path / "pacs", modalities={"ptx-node": ("PTX", "127.0.0.1", node.dicom_port)}, lua=RULES / "orthanc-route.lua"
        ) as pacs,
    ):
        series = generate_uid()
        wanted = [
            write(tmp_path),
            write(tmp_path, body_part=""),
            write(tmp_path, modality="CT", series=series),
            write(tmp_path, modality="CT", series=series),
        ]
        unwanted = [write(tmp_path, body_part="HAND"), write(tmp_path, modality="CT", body_part="HEAD")]
        result = write(tmp_path)
        send(pacs.dicom_port, *unwanted)
        send(pacs.dicom_port, result, calling="PTX")
        send(pacs.dicom_port, *wanted)
        wait_until(lambda: uids(wanted) <= held(node), what="the node to have every chest image")
        wait_until(lambda: no_jobs_left(pacs), what="Orthanc to finish its jobs")
        assert held(node) == uids(wanted)
        assert held(pacs) == uids([*wanted, *unwanted, result])


def no_jobs_left(pacs: Pacs) -> bool:
    """Every series is stable (so that each rule has had its say), and no sending is under way."""
    series = httpx.get(f"{pacs.http_url}/series?expand", timeout=10).json()
    jobs = httpx.get(f"{pacs.http_url}/jobs?expand", timeout=10).json()
    return all(one["IsStable"] for one in series) and all(job["State"] == "Success" for job in jobs)


@contextmanager
def storescp(folder: Path, ae_title: str, *options: str, env: dict[str, str] | None = None, port: int = 0) -> Iterator[int]:
    """A storescp of dcmtk in a folder of its own; yields its port."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    command = ["/usr/bin/storescp", "--aetitle", ae_title, "--promiscuous", "--output-directory", str(folder), *options, str(port)]
    with running(command, log=folder.parent / f"{ae_title}.log", ready=lambda: port_answers(port), env={**ENV, **(env or {})}):
        yield port


def received(folder: Path) -> set[str]:
    """SOP Instance UIDs of the files in a folder from which another process may be removing some."""
    found = set()
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found.add(str(pydicom.dcmread(path, force=True, stop_before_pixels=True).get("SOPInstanceUID", path.name)))
    return found


def test_dcmtk_forwards_chest_images_and_keeps_what_the_node_did_not_take(tmp_path: Path) -> None:
    spool, node_folder, node_port = tmp_path / "spool", tmp_path / "node", free_port()
    env = {"PTX_HOST": "127.0.0.1", "PTX_PORT": str(node_port), "PTX_RETRY_MINUTES": "-1"}
    forward = RULES / "dcmtk-forward.sh"
    options = ("--fork", "--accept-all", "--unique-filenames", "--exec-on-reception", f"{shlex.quote(str(forward))} #p/#f")
    radiograph, slice_, other = write(tmp_path), write(tmp_path, modality="CT"), write(tmp_path, sop_class="1.2.840.10008.5.1.4.1.1.6.1")
    with storescp(spool, "ROUTER", *options, env=env) as router_port:
        send(router_port, radiograph, called="ROUTER")
        wait_until(lambda: received(spool) == uids([radiograph]), what="the router to keep what the absent node could not take")
        with storescp(node_folder, "PTX", "--accept-all", port=node_port):
            send(router_port, other, slice_, called="ROUTER")
            wait_until(lambda: uids([slice_]) <= received(node_folder), what="the CT slice to be forwarded")
            retry = subprocess.run(
                ["sh", str(forward), "--retry", str(spool)], env={**os.environ, **ENV, **env}, check=False, timeout=60, capture_output=True
            )
            assert retry.returncode == 0, retry.stderr
            assert received(node_folder) == uids([slice_, radiograph])
            wait_until(lambda: received(spool) == set(), what="the spool folder to be empty")


def test_dcmtk_keeps_a_file_that_the_node_refuses(tmp_path: Path) -> None:
    """The exit code of dcmsend is 0 although the peer accepts no presentation context; the script must not believe it."""
    spool = tmp_path / "spool"
    spool.mkdir()
    path = write(tmp_path)
    ds = pydicom.dcmread(path)
    ds.compress(pydicom.uid.RLELossless)
    ds.save_as(spool / "kept.dcm")
    with storescp(tmp_path / "node", "PTX") as port:  # takes uncompressed transfer syntaxes only
        outcome = subprocess.run(
            ["sh", str(RULES / "dcmtk-forward.sh"), str(spool / "kept.dcm")],
            env={**os.environ, **ENV, "PTX_HOST": "127.0.0.1", "PTX_PORT": str(port)},
            check=False,
            timeout=60,
            capture_output=True,
        )
    assert outcome.returncode == 1
    assert (spool / "kept.dcm").exists()
    assert not any((tmp_path / "node").iterdir())


def ldif_entries(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    """The entries of an LDIF file (RFC 2849) without folded or encoded lines, of which ours has none."""
    entries = []
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", text).strip()):
        pairs = [line.split(": ", 1) for line in block.splitlines()]
        assert all(len(pair) == 2 for pair in pairs), block
        assert pairs[0][0] == "dn", block
        attributes: dict[str, list[str]] = {}
        for key, value in pairs[1:]:
            attributes.setdefault(key, []).append(value)
        entries.append((pairs[0][1], attributes))
    return entries


@pytest.fixture(scope="module")
def ldif() -> list[tuple[str, dict[str, list[str]]]]:
    return ldif_entries((RULES / "dcm4chee-arc.ldif").read_text(encoding="utf-8"))


def test_each_ldif_entry_carries_the_attribute_that_names_it(ldif: list[tuple[str, dict[str, list[str]]]]) -> None:
    assert len({dn for dn, _ in ldif}) == len(ldif)
    for dn, attributes in ldif:
        key, value = dn.split(",")[0].split("=")
        assert value in attributes[key], dn
        assert attributes["objectClass"], dn


def test_ldif_entries_that_refer_to_each_other_agree(ldif: list[tuple[str, dict[str, list[str]]]]) -> None:
    by_class: dict[str, list[dict[str, list[str]]]] = {}
    for _, attributes in ldif:
        by_class.setdefault(attributes["objectClass"][0], []).append(attributes)
    (exporter,) = by_class["dcmExporter"]
    (ae,) = by_class["dicomNetworkAE"]
    assert exporter["dcmURI"] == [f"dicom:{ae['dicomAETitle'][0]}"]
    assert ae["dicomNetworkConnectionReference"][0] in {dn for dn, _ in ldif}
    for rule in by_class["dcmExportRule"]:
        assert rule["dcmExporterID"] == exporter["dcmExporterID"]
        assert f"SendingApplicationEntityTitle!={ae['dicomAETitle'][0]}" in rule["dcmProperty"], "its own results would come back"
