"""Storage Commitment of our results, reported by a PACS to our own Storage SCP."""

from __future__ import annotations

from pathlib import Path

import httpx
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from sqlalchemy import Engine

from ptx_node.outbound.association import DimsePeer
from ptx_node.outbound.storage_scu import Commitment, StorageScu
from ptx_node.pipeline.deliver import Policy, deliver_due
from ptx_node.pipeline.prove import prove_due
from ptx_node.simulator.pacs import running_pacs
from ptx_node.simulator.processes import wait_until
from tests.integration.scp_parts import scp_in_thread
from tests.queued import Outbox


def test_orthanc_reports_to_our_scp_and_the_results_are_committed(tmp_path: Path, engine: Engine) -> None:
    outbox = Outbox(engine, tmp_path)
    outbox.add_job("pacs")
    policy = Policy()
    with (
        scp_in_thread(engine, tmp_path / "store") as node,
        running_pacs(tmp_path / "pacs", modalities={"ptx": ("PTX", "127.0.0.1", node.port)}) as pacs,
    ):
        destination = StorageScu("pacs", DimsePeer("127.0.0.1", pacs.dicom_port, pacs.ae_title), Commitment(report_wait_s=0.05))
        assert deliver_due(engine, outbox, destination, owner="test", policy=policy) == 2
        prove_due(engine, outbox, destination, owner="test", policy=policy)
        wait_until(lambda: outbox.states() == ["committed", "committed"], what="the commitment report")
        assert {delivery.proof for delivery in outbox.deliveries()} == {"storage_commitment"}
        outbox.add_job("pacs", kinds=("sr",))
        deliver_due(engine, outbox, destination, owner="test", policy=policy)
        for item in httpx.get(f"{pacs.http_url}/instances").json():
            httpx.delete(f"{pacs.http_url}/instances/{item}")
        prove_due(engine, outbox, destination, owner="test", policy=policy)
        wait_until(lambda: outbox.states()[2] == "waiting", what="the report that the result is missing")


def test_a_peer_that_insists_on_its_role_may_report_and_nonsense_is_answered(tmp_path: Path, sqlite_engine: Engine) -> None:
    report = Dataset()
    report.TransactionUID = "2.25.1"
    report.ReferencedSOPSequence = []
    with scp_in_thread(sqlite_engine, tmp_path / "store") as node:
        ae = AE("PACS")
        ae.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        assoc = ae.associate("127.0.0.1", node.port, ae_title="PTX", ext_neg=[role])
        assert assoc.is_established
        unknown, _ = assoc.send_n_event_report(report, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        del report.TransactionUID
        broken, _ = assoc.send_n_event_report(report, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        assoc.release()
    assert (unknown.Status, broken.Status) == (0x0000, 0x0115)
