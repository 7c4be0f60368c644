"""The infer stage: claim jobs, decode the next batch while the model runs, hand each finding to the results stage.

No transaction is open while decoding or inferring. Whatever goes wrong with one job is written on that job's row and
touches no other. A process that dies here leaves leases that expire: the sweeper queues its jobs again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ptx_node.db import audit, jobs, thresholds
from ptx_node.db.session import begin_write, now
from ptx_node.domain.audit import Trace, pixel_sha256
from ptx_node.domain.audit_events import attempt_failed
from ptx_node.domain.finding import Finding, ModelIdentity, Outcome
from ptx_node.domain.job import Cause, JobState
from ptx_node.errors import DatabaseUnavailableError, InputError, ModelError, StorageFullError
from ptx_node.log import get
from ptx_node.pipeline.leases import renewing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Engine

    from ptx_node.domain.image import Radiograph, Volume

log = get(__name__)

ROOM_DELAY_S = 5.0
"""A job whose results found no room waits so long before it is tried again."""


class Predictor(Protocol):
    """A loaded model. `prepare` is called from several threads at once, `predict` from one."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model speaks."""
        ...

    @property
    def reads(self) -> Literal["radiograph", "ct"]:
        """One finding for each radiograph, or one for each CT series."""
        ...

    def prepare(self, image: Radiograph | Volume) -> Any:
        """Everything before the forward pass."""
        ...

    def predict(self, batch: Sequence[Any], threshold: float | None = None) -> tuple[list[Finding], float]:
        """Findings in the order of `batch`, and the milliseconds of the forward passes; `threshold` instead of the model's own."""
        ...


class Decoder(Protocol):
    """How files become images (`ptx_node.dicom.pixels`, `ptx_node.dicom.volume`)."""

    def radiograph(self, path: Path) -> Radiograph:
        """One projection image. Raises InputError."""
        ...

    def volume(self, paths: Sequence[Path]) -> Volume:
        """One CT series. Raises InputError."""
        ...


class Answer(Protocol):
    """The results stage: writes what belongs to one finding, files first, then the rows in one transaction."""

    def __call__(
        self, claim: jobs.Claim, finding: Finding, paths: Sequence[Path], picture: Radiograph | Volume | None, trace: Trace
    ) -> None:
        """Encode and record, with `trace` for the audit trail; calling it again with the same finding changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """What one finding is about: one radiograph, or the slices of one CT series."""

    claim: jobs.Claim
    inputs: tuple[jobs.Input, ...]
    paths: tuple[Path, ...]

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """The instances of this unit, as received."""
        return tuple(one.sop_instance_uid for one in self.inputs)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A unit whose pixels are ready for the model."""

    unit: Unit
    image: Radiograph | Volume
    prepared: Any
    trace: Trace


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch of jobs that decode in the pool: every unit with its future.

    Attributes:
        thresholds: the site's own, by SHA-256 of weights, as they held when the jobs were claimed.
    """

    claims: tuple[jobs.Claim, ...] = ()
    decoding: tuple[tuple[Unit, Future[Decoded]], ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass
class _Progress:
    """What became of one job of the batch so far."""

    findings: list[Finding] = field(default_factory=list)
    forward_ms: float = 0.0
    inferred_at: datetime | None = None
    error: Exception | None = None
    cause: Cause = Cause.INTERNAL


@dataclass(frozen=True)
class Inference:
    """One worker process's inference: `run` until no job waits.

    Args:
        predictor: gives the loaded model of a name; raises ModelError when the site does not have it.
        to_path: turns a stored relative path into a file.
        rule: whose jobs to work on; None: everybody's.
    """

    engine: Engine
    owner: str
    predictor: Callable[[str], Predictor]
    decoder: Decoder
    answer: Answer
    to_path: Callable[[str], Path]
    batch_size: int
    lease_s: float
    retry_delay_s: float
    pool: ThreadPoolExecutor
    rule: str | None = None

    def run(self, *, until: Callable[[], bool] = lambda: False) -> int:
        """Work through the waiting jobs, stopping early when `until()`; the number of jobs that were finished.

        Raises:
            DatabaseUnavailableError: nothing is lost, claimed jobs come back when their lease expires.
        """
        done = 0
        current = self._claim_and_decode()
        while current.claims:
            with self._holding(current.claims):
                following = Claimed() if until() else self._claim_and_decode()
                self._finish(current)
            done += len(current.claims)
            # What came, or was given back, while the last batch ran is looked for once more before going to sleep.
            current = following if following.claims or until() else self._claim_and_decode()
        return done

    def _claim_and_decode(self) -> Claimed:
        with begin_write(self.engine) as session:
            claims = jobs.claim(session, owner=self.owner, limit=self.batch_size, lease_s=self.lease_s, now=now(), rule=self.rule)
            own = thresholds.in_force(session) if claims else {}
        units = [unit for claim in claims for unit in self._units(claim)]
        return Claimed(tuple(claims), tuple((unit, self.pool.submit(self._decode, unit)) for unit in units), own)

    def _units(self, claim: jobs.Claim) -> list[Unit]:
        """One unit a radiograph or CT series; inputs that are not eligible only count where nothing else is left."""
        chosen = [one for one in claim.inputs if one.eligible] or list(claim.inputs)
        groups: dict[str, list[jobs.Input]] = {}
        try:
            by_series = self.predictor(claim.model).reads == "ct"
        except ModelError:
            by_series = False  # decoding meets the same error and writes it on the job
        for one in chosen:
            groups.setdefault(one.series_instance_uid if by_series else one.sop_instance_uid, []).append(one)
        return [Unit(claim, tuple(group), tuple(self.to_path(one.path) for one in group)) for group in groups.values()]

    def _decode(self, unit: Unit) -> Decoded:
        predictor = self.predictor(unit.claim.model)
        refused = unit.inputs[0]
        if not refused.eligible:
            raise InputError(refused.reason or "not_eligible", refused.detail or "")
        begun = time.perf_counter()
        image = self.decoder.volume(unit.paths) if predictor.reads == "ct" else self.decoder.radiograph(unit.paths[0])
        prepared = predictor.prepare(image)
        decode_ms = (time.perf_counter() - begun) * 1000
        return Decoded(unit, image, prepared, Trace(pixel_sha256(image), timings_ms={"decode": decode_ms}))

    def _finish(self, batch: Claimed) -> None:
        progress = {claim.job_id: _Progress() for claim in batch.claims}
        ready: dict[str, list[Decoded]] = {}
        for unit, future in batch.decoding:
            state = progress[unit.claim.job_id]
            try:
                ready.setdefault(unit.claim.model, []).append(future.result())
            except InputError as error:
                self._answer(unit, self._refusal(unit, error), None, Trace(), state)
            except Exception as error:  # noqa: BLE001 - the task's wrapper: any failure belongs on its own job's row
                state.error, state.cause = error, _cause(error, Cause.DECODE_FAILED)
        for model, decoded in ready.items():
            fit = [one for one in decoded if progress[one.unit.claim.job_id].error is None]
            self._predict(model, fit, progress, batch.thresholds)
        for claim in batch.claims:
            self._settle(claim, progress[claim.job_id])

    def _predict(self, model: str, decoded: Sequence[Decoded], progress: dict[int, _Progress], own: Mapping[str, float]) -> None:
        if not decoded:
            return
        try:
            predictor = self.predictor(model)
            findings, forward_ms = predictor.predict([one.prepared for one in decoded], own.get(predictor.identity.weights_sha256))
        except Exception as error:  # noqa: BLE001 - as above
            if len(decoded) > 1:  # one bad image must not fail its neighbours in the batch
                for one in decoded:
                    self._predict(model, [one], progress, own)
                return
            state = progress[decoded[0].unit.claim.job_id]
            state.error, state.cause = error, _cause(error, Cause.INFERENCE_FAILED)
            return
        inferred_at = now()
        for one, finding in zip(decoded, findings, strict=True):
            state = progress[one.unit.claim.job_id]
            state.inferred_at = inferred_at
            state.forward_ms += forward_ms / len(decoded)
            trace = replace(one.trace, timings_ms={**one.trace.timings_ms, "forward": forward_ms / len(decoded)})
            self._answer(one.unit, finding, one.image, trace, state)

    def _answer(self, unit: Unit, finding: Finding, image: Radiograph | Volume | None, trace: Trace, state: _Progress) -> None:
        try:
            self.answer(unit.claim, finding, unit.paths, image, trace)
        except Exception as error:  # noqa: BLE001 - as above
            state.error, state.cause = error, _cause(error, Cause.ENCODE_FAILED)
        else:
            state.findings.append(finding)

    def _refusal(self, unit: Unit, error: InputError) -> Finding:
        return Finding(
            Outcome.NOT_ELIGIBLE,
            unit.sop_instance_uids,
            self.predictor(unit.claim.model).identity,
            reason=error.reason,
            detail=error.detail,
        )

    def _settle(self, claim: jobs.Claim, state: _Progress) -> None:
        if state.error is not None:
            self._fail(claim, state.error, state.cause)
            return
        refused = [one for one in state.findings if one.outcome is Outcome.NOT_ELIGIBLE]
        values: dict[str, Any] = {
            "inferred_at": state.inferred_at,
            "encoded_at": now(),
            "forward_ms": state.forward_ms,
            "cause": None,
            "detail": None,
        }
        final = JobState.DONE
        if refused and len(refused) == len(state.findings):
            final = JobState.NOT_ELIGIBLE
            values |= {"cause": refused[0].reason, "detail": refused[0].detail}
        with begin_write(self.engine) as session:
            held = jobs.settle(session, claim, final, **values)
        log.info("job finished" if held else "job finished after its lease was lost", job_id=claim.job_id, state=str(final))

    def _fail(self, claim: jobs.Claim, error: Exception, cause: Cause) -> None:
        if isinstance(error, DatabaseUnavailableError):
            raise error
        permanent = cause in {Cause.INPUT_MISSING, Cause.MODEL_UNAVAILABLE}
        detail = f"{type(error).__name__}: {error}"[:1000]
        wait = timedelta(seconds=ROOM_DELAY_S if cause is Cause.STORAGE_FULL else self.retry_delay_s * 2 ** (claim.attempts - 1))
        with begin_write(self.engine) as session:
            state = jobs.give_back(session, claim, cause, detail, not_before=now() + wait, permanent=permanent)
            audit.note(session, attempt_failed(claim.job_id, claim.attempts, cause, state))
        log.warning("job failed", job_id=claim.job_id, cause=str(cause), attempt=claim.attempts, state=str(state), error=detail)
        if state is JobState.QUARANTINED and claim.report_failed and cause is not Cause.MODEL_UNAVAILABLE:
            self._report_failure(claim, cause)

    def _report_failure(self, claim: jobs.Claim, cause: Cause) -> None:
        for unit in self._units(claim):
            finding = Finding(Outcome.FAILED, unit.sop_instance_uids, self.predictor(claim.model).identity, reason=str(cause))
            try:
                self.answer(claim, finding, unit.paths, None, Trace())
            except Exception as error:  # noqa: BLE001 - the job is already quarantined with its cause; this is its echo
                log.warning("failure report was not written", job_id=claim.job_id, error=str(error))

    def _holding(self, claims: Sequence[jobs.Claim]) -> AbstractContextManager[None]:
        """Renew the leases while the block runs, however long the inference takes."""
        return renewing(self.engine, lambda session: jobs.renew(session, claims, lease_s=self.lease_s, now=now()), lease_s=self.lease_s)


def _cause(error: Exception, otherwise: Cause) -> Cause:
    match error:
        case FileNotFoundError():
            return Cause.INPUT_MISSING
        case ModelError():
            return Cause.MODEL_UNAVAILABLE
        case StorageFullError():
            return Cause.STORAGE_FULL
        case MemoryError():
            return Cause.OUT_OF_MEMORY
        case _:
            return otherwise
