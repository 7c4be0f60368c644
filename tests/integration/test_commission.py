"""Commissioning a real node behind a real PACS: whatever is wrong is seen, named, and is the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from rich.console import Console

from ptx_node.commission.checks import Check, Returned, checks
from ptx_node.commission.phantoms import PREFIX, Order, Phantom
from ptx_node.commission.read_back import ReadBack, read_back
from ptx_node.commission.run import Run, commission
from ptx_node.db.answers import Answers, Said, Sent
from ptx_node.domain.eligibility import Reason
from ptx_node.domain.finding import Laterality, Outcome, ResultKind
from ptx_node.domain.result_policy import DestinationPolicy
from ptx_node.errors import PtxError
from ptx_node.outbound.association import DimsePeer
from ptx_node.outbound.storage_scu import StorageScu
from ptx_node.simulator.pacs import Pacs, running_pacs
from ptx_node.simulator.processes import free_port, free_ports
from tests.node import CT, CXR, Node, dicomweb_destination, dimse_destination, folder_destination

ROUTE = Path(__file__).resolve().parents[2] / "deploy" / "pacs" / "orthanc-route.lua"
DESTINATIONS = '[{ name = "pacs" }, { name = "web" }, { name = "folder" }]'
RULES = f"""
[[rules]]
name = "chest radiographs"
model = "{CXR}"
trigger = "instance"
report_not_eligible = true
match = {{ keyword = "Modality", any_of = ["CR", "DX"] }}
destinations = {DESTINATIONS}

[[rules]]
name = "chest CT"
model = "{CT}"
trigger = "series"
quiet_s = 1
match = {{ keyword = "Modality", any_of = ["CT"] }}
destinations = {DESTINATIONS}
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, tiny_bundles: Path) -> Iterator[tuple[Node, Pacs]]:
    """A PACS that routes to a node, which stores its results there in two ways and in a folder. The models always say yes."""
    folder = tmp_path_factory.mktemp("commissioning")
    port, stow_port, pacs_port, pacs_http = free_ports(4)
    peers = {"ptx-node": ("PTX", "127.0.0.1", port)}
    with running_pacs(folder / "pacs", ports=(pacs_port, pacs_http), modalities=peers, lua=ROUTE) as pacs:
        node = Node(
            folder / "node",
            tiny_bundles,
            [
                dimse_destination(pacs),
                dicomweb_destination(pacs, kinds=("sr",), name="web"),
                folder_destination(folder / "out", name="folder"),
            ],
            settings={
                "dicom": {"peers": [{"ae_title": "MODALITY"}, {"ae_title": "PACS", "host": "127.0.0.1", "port": pacs_port}]},
                "node": {"home": "home", "site": "SIMULATED SITE"},
            },
            rules=RULES,
            port=port,
            stow_port=stow_port,
        )
        with node.up():
            yield node, pacs


def ptx_commission(node: Node, *words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "ptx_node", "commission", "-c", node.config, "--rows", "96", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def by_truth(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every check of the phantoms with each truth."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in report["lines"]:
        found.setdefault(line["truth"], []).extend(line["checks"])
    return found


def test_every_phantom_is_followed_through_the_node_and_every_wrong_answer_is_named(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    """The tiny models find air everywhere: sides and negatives are wrong, everything on the way is right."""
    node, _ = hospital
    code, report = ptx_commission(node, "--out", str(tmp_path), "--keep")
    assert 1 == code, report
    assert not report["passed"]
    assert 8 == len(report["lines"]), report
    failed = {line["truth"]: sorted({one["what"] for one in line["checks"] if not one["passed"]}) for line in report["lines"]}
    assert {
        "positive left": ["side"],
        "positive right": ["side"],
        "negative": ["SEG", "outcome"],
        "not_eligible lateral_view": [],
        "not_eligible not_chest": [],
    } == failed
    way = {"arrived", "one answer", "results", "delivered", "read back from pacs", "read back from web", "read back from folder", "SR"}
    for line in report["lines"]:
        assert way <= {one["what"] for one in line["checks"]}
        assert line["seconds"] is not None
        assert line["patient_id"].startswith(f"{PREFIX}-{report['run']}-")
    assert {"pacs": "C-GET", "web": "WADO-RS", "folder": "folder"} == report["read_back_by"]
    assert {CXR, CT} == {one["name"] for one in report["models"]}
    assert all(one["weights"] and one["device_uid"] for one in report["models"])
    assert 64 == len(report["rules_sha256"])
    assert {1, 12} == {len(line["sop_instance_uids"]) for line in report["lines"]}
    assert report == json.loads((tmp_path / f"commissioning-{report['run']}.json").read_text())
    text = (tmp_path / f"commissioning-{report['run']}.md").read_text()
    assert "# Commissioning of SIMULATED SITE: FAILED" in text
    assert f"{PREFIX}-{report['run']}-*" in text
    kept = list((tmp_path / f"phantoms-{report['run']}").rglob("*.dcm"))
    assert len(kept) == 6 + 2 * 12
    for path in kept:
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        assert str(ds.PatientID).startswith(PREFIX)
        assert "SIMULATED" in str(ds.PatientName)
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID


def test_the_routing_of_a_pacs_is_followed_and_what_it_keeps_back_is_no_fault(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    """The PACS sends the lateral on, which the node refuses, and keeps the hand to itself. A second run is not taken for the first."""
    node, pacs = hospital
    peer = DimsePeer("127.0.0.1", pacs.dicom_port, "PACS", "MODALITY")
    run = Run(peer, Order(2, ct=False, rows=96), routed=True, timeout_s=60, grace_s=4, out=tmp_path)
    report = commission(node.loaded, run, Console(quiet=True)).as_json()
    checks_of = by_truth(report)
    assert [{"what": "kept back", "passed": True, "detail": "the routing before the node does not send it"}] == checks_of[
        "not_eligible not_chest"
    ]
    assert {"what": "arrived", "passed": True, "detail": "1 of 1 instances from PACS"} in checks_of["not_eligible lateral_view"]
    assert {"what": "outcome", "passed": True, "detail": "positive, true positive"} in checks_of["positive left"]
    assert [] == list(tmp_path.glob("phantoms-*"))


def test_a_site_whose_answers_are_right_passes(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    """Refusals alone: the tiny models know no other right answer."""
    node, _ = hospital
    report = commission(node.loaded, Run(node.peer, Order(0, ct=False, rows=96), out=tmp_path), Console(quiet=True))
    assert report.passed
    assert [[], []] == [line.failures for line in report.lines]
    assert "came back as known" in next(tmp_path.glob("*.md")).read_text()


def test_without_a_nodes_database_nothing_is_sent(hospital: tuple[Node, Pacs], tmp_path: Path, tiny_bundles: Path) -> None:
    """Else the answers would be waited for in a database that nobody writes to."""
    node, _ = hospital
    elsewhere = Node(tmp_path / "elsewhere", tiny_bundles, [], port=node.port, rules="")
    before = len(node.instances())
    with pytest.raises(PtxError, match="ptx db upgrade"):
        commission(elsewhere.loaded, Run(node.peer, out=tmp_path), Console(quiet=True))
    assert before == len(node.instances())


def test_nobody_is_let_in_who_is_not_known(hospital: tuple[Node, Pacs], tmp_path: Path) -> None:
    node, _ = hospital
    code, report = ptx_commission(node, "--calling-ae", "STRANGER", "--no-ct", "--out", str(tmp_path))
    assert 1 == code
    assert "rejected the association" in report["error"]
    assert [] == list(tmp_path.iterdir())


PHANTOM = Phantom(
    "radiograph", "1.2", ("1.2.3",), f"{PREFIX}-1", (), Outcome.POSITIVE, Laterality.LEFT, mask=np.ones((4, 4), dtype=np.bool_)
)
SR = Sent("sr", "1.2.840.10008.5.1.4.1.1.88.34", "1.9", "1.8", "1.2", "pacs", "committed", "c_find", None, None)
YES = Said("m", "1", "1.7", "positive", None, 0.9, "left")
GOOD = Answers({"1.2.3": "queued"}, {"MODALITY"}, [YES], [SR], {("pacs", frozenset({"sr"}))})
POLICIES = {"pacs": DestinationPolicy(frozenset({ResultKind.SR}), 60.0)}
THERE = {"pacs": ReadBack("C-FIND", found={"1.9"}, problem="no C-GET")}


def failures(answers: Answers, *, phantom: Phantom = PHANTOM, read: dict[str, ReadBack] | None = None) -> dict[str, str]:
    found = checks(phantom, Returned(answers, THERE if read is None else read, POLICIES))
    return {one.what: one.detail for one in found if not one.passed}


def test_a_right_answer_has_no_failure() -> None:
    assert {} == failures(GOOD)
    assert Check("read back from pacs", passed=True, detail="1 by C-FIND (no C-GET)") in checks(PHANTOM, Returned(GOOD, THERE, POLICIES))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (Answers(), {"arrived": "0 of 1 instances"}),
        (replace(GOOD, said=[], sent=[]), {"one answer": "no answer in time"}),
        (replace(GOOD, said=[], sent=[], instances={"1.2.3": "no_rule"}), {"one answer": "no rule takes it"}),
        (replace(GOOD, said=[YES, YES]), {"one answer": "twice by m"}),
        (replace(GOOD, said=[replace(YES, outcome="negative", laterality=None)]), {"outcome": "negative, true positive"}),
        (
            replace(GOOD, said=[replace(YES, outcome="quarantined", reason="worker_lost")]),
            {"outcome": "quarantined (worker_lost), true positive"},
        ),
        (replace(GOOD, said=[replace(YES, laterality="right")]), {"side": "right, true left"}),
        (replace(GOOD, sent=[]), {"results": "missing: sr for pacs"}),
        (replace(GOOD, sent=[replace(SR, state="failed", error="0xA700")]), {"delivered": "sr to pacs is failed: 0xA700"}),
        (replace(GOOD, sent=[replace(SR, state="waiting", proof=None)]), {"delivered": "sr to pacs is waiting: no word"}),
    ],
)
def test_each_way_to_be_wrong_is_named(answers: Answers, expected: dict[str, str]) -> None:
    assert expected == failures(answers)


def test_a_result_that_the_destination_does_not_give_back_is_missed() -> None:
    assert {"read back from pacs": "missing: sr (gone)"} == failures(GOOD, read={"pacs": ReadBack("nothing", problem="gone")})


def test_a_refusal_for_another_reason_is_no_right_refusal() -> None:
    hand = replace(PHANTOM, outcome=Outcome.NOT_ELIGIBLE, laterality=None, reason=Reason.NOT_CHEST, mask=None)
    refused = replace(GOOD, said=[Said("m", "", "", "not_eligible", "too_small", None, None)], sent=[], asked=set())
    assert {"outcome": "not_eligible (too_small), true not_eligible (not_chest)"} == failures(refused, phantom=hand)
    assert {} == failures(replace(refused, said=[replace(refused.said[0], reason="not_chest")]), phantom=hand)
    assert {} == failures(replace(refused, said=[], instances={"1.2.3": "no_rule"}), phantom=hand)


def test_a_destination_that_does_not_answer_is_a_finding_not_a_crash() -> None:
    back = read_back(StorageScu("pacs", DimsePeer("127.0.0.1", free_port(), "PACS", timeout_s=2.0)), [SR])
    assert {} == back.datasets
    assert "does not answer" in str(back.problem)
