"""Reads the structured reports that came as instances: the stage `ptx_node.pipeline.patients` puts them down, this one takes them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select

from ptx_node.db import radiology_reports as reports
from ptx_node.db.session import begin_read, begin_write
from ptx_node.db.tables import Instance, ReportMessage
from ptx_node.dicom.report_text import Said, read_report
from ptx_node.domain.radiology_report import ReportVia
from ptx_node.errors import InputError, RetryableError
from ptx_node.log import get
from ptx_node.pipeline.report_intake import Arrival, ReportIntake, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

NOT_IMAGES = frozenset({"SR", "KO", "PR", "SEG", "DOC", "OT", ""})

log = get(__name__)


class Store(Protocol):
    """Where stored instances lie."""

    def path(self, relative: str) -> Path:
        """The file of a stored relative path."""
        ...


def take_waiting(engine: Engine, store: Store, intake: ReportIntake, zone: ZoneInfo, *, limit: int = 50) -> int:
    """Take in the oldest structured reports that wait, at most `limit`; how many. Call again while it is `limit`.

    Two callers at once may read the same document, and leave one version of it.

    Raises:
        DatabaseUnavailableError: call again.
        RetryableError: the store cannot be read.
    """
    with begin_read(engine) as session:
        wanted = select(ReportMessage).where(ReportMessage.verdict == str(Verdict.WAITING), ReportMessage.via == str(ReportVia.DICOM_SR))
        waiting = session.scalars(wanted.order_by(ReportMessage.id).limit(limit)).all()
        modalities = {one.id: _modality(session, one.control_id) for one in waiting}
    for one in waiting:
        _take_one(engine, store, intake, one, Said(one.sender, modalities[one.id]), zone)
    return len(waiting)


def _take_one(engine: Engine, store: Store, intake: ReportIntake, message: ReportMessage, said: Said, zone: ZoneInfo) -> None:
    path = store.path(message.path or "")
    try:
        if not path.parent.is_dir():
            raise RetryableError(f"the store's folder {path.parent} cannot be seen: check that it is mounted and readable")
        version = read_report(path, said, zone)
    except InputError as error:
        with begin_write(engine) as session:
            reports.finish_message(session, message.id, verdict=str(Verdict.IGNORED), reason=error.reason, detail=error.detail)
        log.info("structured report is no radiology report", sop_instance_uid=message.control_id, reason=error.reason)
        return
    arrival = Arrival(
        ReportVia.DICOM_SR, message.sender, message.control_id, message.sha256, message.kind, message.path, message.peer_address
    )
    intake.take(arrival, [version])


def _modality(session: Session, sop_instance_uid: str) -> str:
    """The modality of the images in the study of a document; empty if there are none yet, or of several."""
    study = select(Instance.study_instance_uid).where(Instance.sop_instance_uid == sop_instance_uid).scalar_subquery()
    found: Sequence[str] = session.scalars(select(Instance.modality).where(Instance.study_instance_uid == study).distinct()).all()
    images = sorted(set(found) - NOT_IMAGES)
    return images[0] if len(images) == 1 else ""
