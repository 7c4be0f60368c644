"""What each event of the audit trail says: one function a kind, so that a place which writes one cannot say less than another.

UIDs, row numbers, hashes, coded reasons and measurements; free text from outside is left where it is, in the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.domain.audit import NODE, AuditKind, Event, peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ptx_node.domain.audit import Trace
    from ptx_node.domain.finding import Finding, ModelIdentity

RECEIVED = (
    "sop_class_uid",
    "sop_instance_uid",
    "series_instance_uid",
    "study_instance_uid",
    "size_bytes",
    "sha256",
    "via",
    "source",
    "called_ae",
)
REFUSED = ("sop_class_uid", "sop_instance_uid", "status", "reason", "via")
RETRY_JOBS, SUPERSEDE_JOB, SEND_AGAIN, RETRY_DELIVERIES = "retry jobs", "supersede job", "send again", "retry deliveries"
"""What a person decided about a study, as the trail and the study's timeline say it."""


def receipt(row: Mapping[str, Any], outcome: str, **more: str) -> Event:
    """An instance that is safe here: `stored`, `already_stored` (the same bytes came again) or `kept_aside` (other bytes).

    `row` is the instance's row; its `sha256` is of the file as it was received.
    """
    detail = {"outcome": outcome, **{name: row[name] for name in RECEIVED}, **more}
    return Event(AuditKind.RECEIPT, peer(row["calling_ae"], row["peer_address"]), detail)


def refused_at_the_door(row: Mapping[str, Any]) -> Event:
    """An instance that was not taken. `row` is the refusal's row."""
    detail = {"stage": "receive", **{name: row[name] for name in REFUSED}}
    return Event(AuditKind.REFUSAL, peer(row["calling_ae"], row["peer_address"]), detail)


def refused_by_routing(sop_instance_uid: str, outcome: str, detail: str | None) -> Event:
    """A stored instance that no model reads, with what each rule made of it."""
    return Event(AuditKind.REFUSAL, NODE, {"stage": "routing", "sop_instance_uid": sop_instance_uid, "outcome": outcome, "detail": detail})


def job_not_eligible(job: Mapping[str, Any], job_id: int) -> Event:
    """A series or study of which no instance may be read: its job ends before it begins."""
    told = {name: job[name] for name in ("rule", "level", "level_uid", "study_instance_uid", "cause", "detail")}
    return Event(AuditKind.REFUSAL, NODE, {"stage": "routing", "outcome": "not_eligible", "job_id": job_id, **told})


def inference(job: Mapping[str, Any], finding: Finding, trace: Trace, outputs: Sequence[Mapping[str, str]], *, recorded: bool) -> Event:
    """A finding, how it came about, and what was written of it.

    Args:
        job: `job_id`, `rule`, `study_instance_uid` and `attempt`.
        finding: the answer; its mask is in the outputs.
        trace: pixel hash, settings hash, timings.
        outputs: kind, SOP Instance UID and SHA-256 of each instance that was written.
        recorded: False when a newer job answers instead, and nothing was kept of this one.
    """
    detail = {
        "outcome": finding.outcome.value,
        "reason": finding.reason,
        "sop_instance_uids": list(finding.sop_instance_uids),
        "pixel_sha256": trace.pixel_sha256,
        "model": _identity(finding.model),
        "probability": finding.probability,
        "threshold": finding.threshold,
        "laterality": finding.laterality,
        "area_mm2": finding.area_mm2,
        "volume_ml": finding.volume_ml,
        "settings_sha256": trace.settings_sha256,
        "timings_ms": {step: round(milliseconds, 3) for step, milliseconds in trace.timings_ms.items()},
        "outputs": list(outputs),
        "recorded": recorded,
    }
    return Event(AuditKind.INFERENCE, NODE, {**job, **detail})


def attempt_failed(job_id: int, attempt: int, cause: str, state: str) -> Event:
    """An attempt at a job that gave no finding; `state` is what became of the job."""
    return Event(
        AuditKind.INFERENCE, NODE, {"job_id": job_id, "attempt": attempt, "outcome": "attempt_failed", "cause": cause, "state": state}
    )


def delivery(step: str, actor: str = NODE, **told: Any) -> Event:
    """A delivery that moved on: `answered`, `proof`, or `given_up`. A peer that reports of its own accord is the actor."""
    return Event(AuditKind.DELIVERY, actor, {"step": step, **told})


def decision(actor: str, what: str, **told: Any) -> Event:
    """What a person decided, in a few words that do not change, and on which objects."""
    return Event(AuditKind.DECISION, actor, {"what": what, **told})


def login(actor: str, outcome: str, *, how: str, address: str) -> Event:
    """Somebody came, went, or was not let in.

    Args:
        actor: the user; of a name that nobody has, `peer @address`, since people type passwords into the wrong field.
        outcome: `signed_in`, `signed_out`, `wrong_password`, `disabled`, `refused`.
        how: `password`, `link`, `oidc`, `proxy`.
        address: where the request came from.
    """
    return Event(AuditKind.LOGIN, actor, {"outcome": outcome, "how": how, "address": address})


def looked(actor: str, page: str, study_instance_uids: Sequence[str], **told: Any) -> Event:
    """A person or a program was shown studies of patients; what was typed to find them is not kept."""
    return Event(AuditKind.LOOK, actor, {"page": page, "study_instance_uids": list(study_instance_uids), **told})


def export(actor: str, request: Mapping[str, Any], counts: Mapping[str, int], digest: str) -> Event:
    """A package that is about to leave, or has left: written before it gets its name.

    Args:
        actor: who asked.
        request: period and options, as the package has them.
        counts: of cases, patients and images.
        digest: SHA-256 of the package's tag manifest, which stands for every byte of it.
    """
    return Event(AuditKind.EXPORT, actor, {"what": "auditors' export", **request, **counts, "package_sha256": digest})


def outputs(results: Iterable[Any]) -> list[dict[str, str]]:
    """Results as an inference names them."""
    return [{"kind": str(one.kind), "sop_instance_uid": one.sop_instance_uid, "sha256": one.sha256} for one in results]


def _identity(model: ModelIdentity) -> dict[str, str]:
    return {
        "manufacturer": model.manufacturer,
        "name": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "device_uid": model.device_uid,
    }
