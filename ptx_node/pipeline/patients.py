"""The stage that knows patients: gives each stored instance its patient, and finds the reports that waited for one.

Runs after routing, beside everything else: reports come before or after the images, and meet either way. Reports that come
as DICOM SR are put down here for the stage that reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from ptx_node.db import patients
from ptx_node.db import radiology_reports as reports
from ptx_node.db.session import begin_write
from ptx_node.db.session import now as current_time
from ptx_node.db.tables import Instance
from ptx_node.dicom.report_text import SOP_CLASSES
from ptx_node.domain.radiology_report import PatientIdentity, ReportVia
from ptx_node.log import get
from ptx_node.pipeline.report_intake import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

    from ptx_node.domain.radiology_report import Authorities

OWN_RESULT = "own_result"
"""`RouteOutcome.OWN_RESULT`: what the node wrote itself is no radiologist's report."""

log = get(__name__)


def register_new(engine: Engine, authorities: Authorities, *, limit: int = 500) -> int:
    """Register the patients of the oldest routed instances that are not registered yet, at most `limit`; how many instances.

    Call again while it is `limit`. Two callers at once share the work.

    Raises:
        DatabaseUnavailableError: nothing was written; call again.
    """
    now = current_time()
    with begin_write(engine) as session:
        wanted = select(Instance).where(Instance.registered_at.is_(None), Instance.routed_at.is_not(None))
        instances = session.scalars(wanted.order_by(Instance.id).limit(limit).with_for_update(skip_locked=True)).all()
        if not instances:
            return 0
        named = {
            one.id: authorities.own(PatientIdentity(one.issuer_of_patient_id, "", one.patient_id))
            for one in instances
            if one.patient_id.strip()
        }
        known = {identity: patients.register(session, [identity], now=now)[0].id for identity in sorted(set(named.values()))}
        newly = patients.mark_imaged(session, known.values(), now=now)
        found = reports.place_again(session, newly, now=now) if newly else 0
        rows = [
            {"id": one.id, "registered_at": now, "patient_identifier_id": known[named[one.id]] if one.id in named else None}
            for one in instances
        ]
        session.execute(update(Instance), rows)
        for one in instances:
            if one.sop_class_uid in SOP_CLASSES and one.route_outcome != OWN_RESULT:
                reports.record_message(session, _waiting(one, now))
    if found:
        log.info("reports found their patient", reports=found)
    return len(instances)


def _waiting(instance: Instance, now: datetime) -> dict[str, Any]:
    """A structured report that somebody else wrote, put down for the stage that reads it."""
    return {
        "via": str(ReportVia.DICOM_SR),
        "sender": instance.calling_ae or instance.source,
        "control_id": instance.sop_instance_uid,
        "sha256": instance.sha256,
        "kind": instance.sop_class_uid,
        "verdict": str(Verdict.WAITING),
        "acknowledgement": "",
        "reason": None,
        "detail": None,
        "path": instance.path,
        "peer_address": instance.peer_address,
        "received_at": now,
    }
