"""The whole node between a modality and a real PACS, by every way in and out.

Radiographs' results leave by C-STORE and Storage Commitment, CT's by STOW-RS and QIDO-RS; the PACS routes by the sample script.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pydicom
import pytest
from pydicom.uid import generate_uid

from ptx_node.dicom.pixels import read_radiograph
from ptx_node.domain.audit import pixel_sha256
from ptx_node.simulator.modality import all_taken, send_files
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_ports, wait_until
from ptx_node.wiring.node import settings_sha256
from tests.factories import Place, as_file, cr, ct_series, dx
from tests.node import CT, CXR, Node, data_set_bytes, dcmsend, dicomweb_destination, dimse_destination, stow

ROUTE = Path(__file__).resolve().parents[2] / "deploy" / "pacs" / "orthanc-route.lua"
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
RETIRED = ("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
RULES = f"""
[[rules]]
name = "chest radiographs"
model = "{CXR}"
trigger = "instance"
match = {{ keyword = "Modality", any_of = ["CR", "DX"] }}
destinations = [{{ name = "pacs" }}]

[[rules]]
name = "chest CT"
model = "{CT}"
trigger = "series"
quiet_s = 1
match = {{ keyword = "Modality", any_of = ["CT"] }}
destinations = [{{ name = "web" }}]
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, tiny_bundles: Path) -> Iterator[tuple[Node, Pacs]]:
    """A PACS that routes new images to the node, and a node that stores its results there."""
    folder = tmp_path_factory.mktemp("hospital")
    port, stow_port, pacs_port, pacs_http = free_ports(4)
    modalities = {"ptx-node": ("PTX", "127.0.0.1", port)}
    with running_pacs(folder / "pacs", ports=(pacs_port, pacs_http), modalities=modalities, lua=ROUTE) as pacs:
        node = Node(
            folder / "node",
            tiny_bundles,
            [dimse_destination(pacs), dicomweb_destination(pacs, name="web")],
            settings={"dicom": {"peers": [{"ae_title": "MODALITY"}, {"ae_title": "PACS", "host": "127.0.0.1", "port": pacs_port}]}},
            rules=RULES,
            port=port,
            stow_port=stow_port,
        )
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


def of_study(node: Node, study: str) -> list[dict[str, object]]:
    return [one for one in node.deliveries() if one["study_instance_uid"] == study]


def wait_for_proof(node: Node, study: str, by: str) -> None:
    """SEG and SR of the study are committed in the PACS, known in this way."""
    wait_until(
        lambda: (
            sorted((one["kind"], one["state"], one["proof"]) for one in of_study(node, study))
            == [("seg", "committed", by), ("sr", "committed", by)]
        ),
        what=f"SEG and SR to be committed, proven by {by}",
        timeout_s=60,
        interval_s=0.1,
    )


def test_a_radiograph_by_c_store_comes_back_as_seg_and_sr_that_the_pacs_commits_to(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, pacs = hospital
    ds = dx(Place(study=101))
    (path,) = write(tmp_path, ds)
    sent = dcmsend(node.port, path)
    assert sent.returncode == 0, sent.stderr
    wait_for_proof(node, ds.StudyInstanceUID, "storage_commitment")
    assert set(held(pacs, ds.StudyInstanceUID)) == {SEG, SR}
    job = node.wait_for_jobs([ds.StudyInstanceUID])[ds.StudyInstanceUID]
    assert job["state"] == "done"
    assert [one["outcome"] for one in job["findings"]] == ["positive"]
    assert job["first_instance_at"] <= job["queued_at"] <= job["started_at"] <= job["inferred_at"] <= job["encoded_at"]
    assert job["encoded_at"] <= job["accepted_at"] <= job["committed_at"]
    stored = node.instances()[ds.SOPInstanceUID]
    assert data_set_bytes(node.store / stored.path) == data_set_bytes(path)


def test_a_radiograph_by_stow_rs_is_answered_and_nobody_enters_without_a_token(hospital: tuple[Node, Pacs]) -> None:
    node, pacs = hospital
    ds = cr(Place(study=102))
    assert stow(node, as_file(ds), token="wrong").status_code == 401
    answer = stow(node, as_file(ds))
    assert answer.status_code == 200, answer.text
    wait_for_proof(node, ds.StudyInstanceUID, "storage_commitment")
    assert set(held(pacs, ds.StudyInstanceUID)) == {SEG, SR}


def test_a_ct_series_comes_back_by_stow_rs_and_is_found_again_by_qido_rs(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, pacs = hospital
    series = ct_series(6, Place(study=103))
    study = series[0].StudyInstanceUID
    assert dcmsend(node.port, *write(tmp_path, *series)).returncode == 0
    wait_for_proof(node, study, "qido_rs")
    assert set(held(pacs, study)) == {SEG, SR}
    assert len(node.wait_for_jobs([study])[study]["findings"]) == 1


def test_the_audit_trail_tells_the_way_of_an_image_through_the_whole_node(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, _ = hospital
    ds = dx(Place(study=111))
    assert dcmsend(node.port, *write(tmp_path, ds)).returncode == 0
    wait_for_proof(node, ds.StudyInstanceUID, "storage_commitment")
    assert node.ptx("audit", "verify")["intact"]
    events = sorted(node.ptx("audit", "list", "--limit", "1000"), key=lambda one: int(one["sequence"]))
    received = next(one for one in events if one["detail"].get("sop_instance_uid") == ds.SOPInstanceUID)
    assert (received["kind"], received["actor"]) == ("receipt", "peer MODALITY@127.0.0.1")
    inferred = next(one for one in events if one["detail"].get("sop_instance_uids") == [ds.SOPInstanceUID])
    detail = inferred["detail"]
    assert detail["pixel_sha256"] == pixel_sha256(read_radiograph(node.store / node.instances()[ds.SOPInstanceUID].path))
    assert detail["settings_sha256"] == settings_sha256(node.loaded)
    assert all(detail["timings_ms"][step] > 0 for step in ("decode", "forward", "encode"))
    outputs = {one["sop_instance_uid"] for one in detail["outputs"]}
    assert len(outputs) == 2
    delivered = [one for one in events if one["detail"].get("sop_instance_uid") in outputs]
    assert {(one["detail"]["step"], one["detail"]["state"]) for one in delivered} == {("answered", "accepted"), ("proof", "committed")}
    assert received["sequence"] < inferred["sequence"] < min(one["sequence"] for one in delivered)


def test_what_the_pacs_routes_is_answered_once_and_no_result_comes_round_again(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, pacs = hospital
    ds, series = dx(Place(study=104)), ct_series(4, Place(study=105))
    assert dcmsend(pacs.dicom_port, *write(tmp_path, ds, *series), called="PACS").returncode == 0
    wait_for_proof(node, ds.StudyInstanceUID, "storage_commitment")
    wait_for_proof(node, series[0].StudyInstanceUID, "qido_rs")
    wait_until(lambda: no_jobs_left(pacs), what="the PACS to have routed what it wants")
    received = [one for one in node.instances().values() if one.study_instance_uid in (ds.StudyInstanceUID, series[0].StudyInstanceUID)]
    assert {one.sop_instance_uid for one in received} == {one.SOPInstanceUID for one in (ds, *series)}
    assert {one.calling_ae for one in received} == {"PACS"}


def no_jobs_left(pacs: Pacs) -> bool:
    """Every series is stable (so that each rule has had its say), and no sending is under way."""
    series = httpx.get(f"{pacs.http_url}/series?expand", timeout=10).json()
    jobs = httpx.get(f"{pacs.http_url}/jobs?expand", timeout=10).json()
    return all(one["IsStable"] for one in series) and all(job["State"] == "Success" for job in jobs)


def test_own_results_that_are_sent_back_are_known_and_not_read(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, pacs = hospital
    ds = dx(Place(study=106))
    assert dcmsend(node.port, *write(tmp_path, ds)).returncode == 0
    wait_for_proof(node, ds.StudyInstanceUID, "storage_commitment")
    uids = set(held(pacs, ds.StudyInstanceUID).values())
    for resource in httpx.get(f"{pacs.http_url}/instances?expand", timeout=30).json():
        if resource["MainDicomTags"]["SOPInstanceUID"] in uids:
            answer = httpx.post(f"{pacs.http_url}/modalities/ptx-node/store", json={"Resources": [resource["ID"]]}, timeout=60)
            assert answer.status_code == 200, answer.text
    wait_until(
        lambda: {uid: one.route_outcome for uid, one in node.instances().items() if uid in uids} == dict.fromkeys(uids, "own_result"),
        what="both results to be known as the node's own",
    )
    assert len(node.jobs(study=ds.StudyInstanceUID)) == 1
    assert len(of_study(node, ds.StudyInstanceUID)) == 2


def test_the_node_commits_to_what_the_pacs_sent_it(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    """Storage Commitment as SCP: Orthanc asks, and the node reports on an association of its own."""
    node, pacs = hospital
    ds, absent = dx(Place(study=107)), generate_uid()
    assert dcmsend(node.port, *write(tmp_path, ds)).returncode == 0
    references = [{"SOPClassUID": ds.SOPClassUID, "SOPInstanceUID": uid} for uid in (ds.SOPInstanceUID, absent)]
    asked = httpx.post(f"{pacs.http_url}/modalities/ptx-node/storage-commitment", json={"DicomInstances": references}, timeout=30)
    assert asked.status_code == 200, asked.text
    path = asked.json()["Path"]
    wait_until(lambda: httpx.get(pacs.http_url + path, timeout=10).json()["Status"] != "Pending", what="the node's report", timeout_s=30)
    report = httpx.get(pacs.http_url + path, timeout=10).json()
    assert [one["SOPInstanceUID"] for one in report["Success"]] == [ds.SOPInstanceUID]
    assert [one["SOPInstanceUID"] for one in report["Failures"]] == [absent]


def test_every_transfer_syntax_is_stored_as_sent_and_read_or_refused_clearly(
    hospital: tuple[Node, Pacs], real_files: Path, tmp_path: Path
) -> None:
    node, _ = hospital
    sent: dict[str, tuple[str, Path, str]] = {}
    for number, source in enumerate(sorted((real_files / "ct-transfer-syntaxes").glob("*.dcm"))):
        ds = pydicom.dcmread(source)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        path = tmp_path / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        sent[str(ds.StudyInstanceUID)] = (str(ds.file_meta.TransferSyntaxUID), path, str(ds.SOPInstanceUID))
    assert len({syntax for syntax, _, _ in sent.values()}) >= 15
    assert all_taken(send_files([path for _, path, _ in sent.values()], node.peer))  # bytes as they are; dcmsend converts some
    jobs = node.wait_for_jobs(list(sent), timeout_s=120)
    stored = node.instances()
    for study, (syntax, path, uid) in sent.items():
        assert stored[uid].transfer_syntax_uid == syntax
        assert data_set_bytes(node.store / stored[uid].path) == data_set_bytes(path), syntax
        expected = ("not_eligible", "unsupported_transfer_syntax") if syntax in RETIRED else ("done", None)
        assert (jobs[study]["state"], jobs[study]["reason"]) == expected, syntax
    retired = [job for job in node.ptx("jobs", "--state", "not_eligible") if job["reason"] == "unsupported_transfer_syntax"]
    assert len(retired) == 2
    assert node.ptx("status")["not_eligible_by_reason"]["unsupported_transfer_syntax"] == 2


@pytest.mark.parametrize("words", [("worker", "infer"), ("receive", "dimse")])
def test_a_process_that_forks_has_no_database_open(hospital: tuple[Node, Pacs], words: tuple[str, ...]) -> None:
    """SQLite counts its locks in memory: a child forked while its parent holds one finds the database locked for ever."""
    node, _ = hospital

    def family() -> tuple[list[psutil.Process], list[psutil.Process]]:
        everybody = node.processes(*words)
        children = [one for one in everybody if one.parent() in everybody]
        return [one for one in everybody if one not in children], children

    def has_database(process: psutil.Process) -> bool:
        return any("ptx.db" in Path(file.path).name for file in process.open_files())

    wait_until(lambda: bool(family()[1]) and all(map(has_database, family()[1])), what="the children to open the database")
    parents, _ = family()
    assert 1 == len(parents)
    assert not has_database(parents[0])
