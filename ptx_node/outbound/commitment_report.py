"""Sends N-EVENT-REPORT of Storage Commitment on a new association (PS3.4 J.3.3), the node in the role of SCP."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Protocol

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role

from ptx_node.errors import DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.settings import Peer

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
ALL_COMMITTED, SOME_FAILED = 1, 2
DICOM_PORT = 104
WARNING_ATTRIBUTES = 0x0107


class Report(Protocol):
    """What is sent; `ptx_node.pipeline.commitment.CommitmentReport` is one."""

    @property
    def transaction_uid(self) -> str:
        """As the peer chose it."""

    @property
    def our_ae(self) -> str:
        """The AE title the peer had called."""

    @property
    def peer_ae(self) -> str:
        """The AE title that asked."""

    @property
    def peer_address(self) -> str:
        """Where it asked from."""

    @property
    def committed(self) -> Sequence[tuple[str, str]]:
        """(SOP class, SOP instance)."""

    @property
    def failed(self) -> Sequence[tuple[str, str, int]]:
        """(SOP class, SOP instance, Failure Reason)."""


class CommitmentReporter:
    """Sends reports to the address in `dicom.peers`, else to where the request came from.

    Args:
        peers: `host` and `port` of the first entry with the peer's AE title are used.
        timeout_s: for connecting, and for each answer.
    """

    def __init__(self, peers: Sequence[Peer], *, timeout_s: float = 30.0) -> None:
        self._peers = peers
        self._timeout_s = timeout_s

    def __call__(self, report: Report) -> None:
        """Send one report.

        Raises:
            DestinationUnavailableError: the peer did not take it; a retry may help.
        """
        host, port = self._place(report)
        ae = AE(ae_title=report.our_ae)
        ae.add_requested_context(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = self._timeout_s
        role = build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
        assoc = ae.associate(host, port, ae_title=report.peer_ae, ext_neg=[role])
        if not assoc.is_established:
            raise DestinationUnavailableError(f"{report.peer_ae} at {host}:{port} does not accept the association")
        try:
            kind = SOME_FAILED if report.failed else ALL_COMMITTED
            status, _ = assoc.send_n_event_report(_encode(report), kind, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
        except (ValueError, RuntimeError) as error:
            raise DestinationUnavailableError(f"{report.peer_ae} at {host}:{port} does not take commitment reports: {error}") from error
        finally:
            assoc.release()
        answer = status.get("Status") if status else None
        if answer is None or int(answer) not in (0, WARNING_ATTRIBUTES):
            said = "nothing" if answer is None else f"0x{int(answer):04X}"
            raise DestinationUnavailableError(f"{report.peer_ae} at {host}:{port} answered {said} to the commitment report")

    def _place(self, report: Report) -> tuple[str, int]:
        for peer in self._peers:
            if peer.ae_title == report.peer_ae:
                return peer.host or str(ipaddress.ip_address(report.peer_address)), peer.port or DICOM_PORT
        return report.peer_address, DICOM_PORT


def _encode(report: Report) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.committed:
        ds.ReferencedSOPSequence = [_item(*reference) for reference in report.committed]
    if report.failed:
        ds.FailedSOPSequence = [_item(sop_class_uid, sop_instance_uid) for sop_class_uid, sop_instance_uid, _ in report.failed]
        for item, (_, _, reason) in zip(ds.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = reason
    return ds


def _item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item
