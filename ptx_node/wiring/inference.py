"""The inference of one worker process: models loaded once, files decoded, findings written. Imports torch."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pydicom

from ptx_node.db import heartbeats
from ptx_node.db.session import now
from ptx_node.dicom.equipment import WriterContext
from ptx_node.dicom.examination import examination_of
from ptx_node.dicom.pixels import read_radiograph
from ptx_node.dicom.volume import read_volume
from ptx_node.domain.finding import Outcome, ResultKind
from ptx_node.domain.result_policy import DestinationPolicy
from ptx_node.errors import ModelError
from ptx_node.log import get
from ptx_node.model.predictor import Predictor, load_predictor
from ptx_node.pipeline import results
from ptx_node.pipeline.infer import Inference
from ptx_node.wiring.models import bundle_folder, bundle_folders
from ptx_node.wiring.node import open_database, open_store, settings_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from pydicom.dataset import Dataset
    from sqlalchemy import Engine

    from ptx_node.db.jobs import Claim
    from ptx_node.domain.audit import Trace
    from ptx_node.domain.finding import Finding
    from ptx_node.domain.image import Radiograph, Volume
    from ptx_node.pipeline.store import FileStore
    from ptx_node.settings import Settings
    from ptx_node.worker.doorbell import Doorbell

log = get(__name__)

OFFLINE_LEASE_S = 60.0
"""A command that died is believed alive no longer; whoever gives it again waits so long at most."""


@dataclass(frozen=True)
class Predictors:
    """The models of this process, each loaded once."""

    settings: Settings
    loaded: dict[str, Predictor] = field(default_factory=dict)

    def get(self, name: str) -> Predictor:
        """The loaded model of this name.

        Raises:
            ModelError: the site does not have it, or its bundle is altered.
        """
        if name not in self.loaded:
            worker = self.settings.worker
            self.loaded[name] = load_predictor(
                bundle_folder(self.settings, name),
                device=worker.device,
                torch_threads=worker.torch_threads,
                batch_size=worker.batch_size,
            )
        return self.loaded[name]


class FileDecoder:
    """Files become images by the readers of ptx_node.dicom."""

    def radiograph(self, path: Path) -> Radiograph:
        """One projection image."""
        return read_radiograph(path)

    def volume(self, paths: Sequence[Path]) -> Volume:
        """One CT series."""
        return read_volume(paths)


def read_headers(paths: Sequence[Path]) -> list[Dataset]:
    """What the writers of results need of the sources: everything but the pixels."""
    return [pydicom.dcmread(path, stop_before_pixels=True, force=True) for path in paths]


@dataclass(frozen=True)
class Writer:
    """The results stage of the infer stage: encode, record, ring for delivery."""

    engine: Engine
    store: FileStore
    settings: Settings
    settings_sha256: str
    policies: Mapping[str, DestinationPolicy]
    ring: Callable[[str, str], None]

    def __call__(self, claim: Claim, finding: Finding, paths: Sequence[Path], picture: Radiograph | Volume | None, trace: Trace) -> None:
        """Write what the rule's destinations may get of this finding."""
        begun = time.perf_counter()
        destinations = results.destinations_of(claim.destinations, self.policies) if self._wanted(claim, finding) else ()
        kinds = frozenset(kind for one in destinations for kind in one.kinds)
        sources = read_headers(paths if kinds else paths[:1]) if kinds or finding.outcome in results.ANSWERED else []
        supersedes = results.superseded_reports(
            self.engine, job_id=claim.job_id, finding=finding, study_instance_uid=claim.study_instance_uid
        )
        node = self.settings.node
        context = WriterContext(node.site, node.device_serial_number, now(), node.time_zone, supersedes=supersedes)
        encoded = results.encode_results(finding, sources, kinds=kinds, context=context, picture=picture) if kinds else ()
        timings_ms = {**trace.timings_ms, "encode": (time.perf_counter() - begun) * 1000}
        results.record_finding(
            self.engine,
            self.store,
            job_id=claim.job_id,
            finding=finding if self.settings.drift.enabled else replace(finding, embedding=None),
            encoded=encoded,
            destinations=destinations,
            trace=replace(trace, settings_sha256=self.settings_sha256, timings_ms=timings_ms),
            examination=examination_of(sources, ZoneInfo(node.time_zone)) if sources else None,
        )
        for one in destinations:
            self.ring("ptx.deliver", one.name)

    @staticmethod
    def _wanted(claim: Claim, finding: Finding) -> bool:
        """Whether the rule has this outcome written and sent."""
        match finding.outcome:
            case Outcome.NOT_ELIGIBLE:
                return claim.report_not_eligible
            case Outcome.FAILED:
                return claim.report_failed
            case _:
                return True


def build_inference(settings: Settings, pool: ThreadPoolExecutor, bell: Doorbell) -> Inference:
    """From the settings; loads and warms up every configured model."""
    engine, store = open_database(settings), open_store(settings)
    predictors = Predictors(settings)
    for name in bundle_folders(settings):
        try:
            results.warm_up(predictors.get(name).identity)
        except ModelError as error:  # its jobs are quarantined with this cause; the other models go on
            log.warning("model cannot be used", model=name, error=str(error))
    # What is loaded now stays: a full collection over torch's objects would cost the first patients 0.1 to 0.2 s.
    gc.collect()
    gc.freeze()
    log.info("models are loaded", models=sorted(predictors.loaded))
    return Inference(
        engine=engine,
        owner=heartbeats.process_name("infer"),
        predictor=predictors.get,
        decoder=FileDecoder(),
        answer=Writer(engine, store, settings, settings_sha256(settings), result_policies(settings), bell.ring),
        to_path=store.path,
        batch_size=settings.worker.batch_size,
        lease_s=settings.worker.lease_s,
        retry_delay_s=settings.worker.retry_delay_s,
        pool=pool,
    )


def build_offline(settings: Settings, engine: Engine, pool: ThreadPoolExecutor, *, rule: str) -> Inference:
    """For the jobs of one rule, in a process that is no worker: the same reading, and no destination at all.

    A model is loaded when the first job needs it.
    """
    store = open_store(settings)
    return Inference(
        engine=engine,
        owner=heartbeats.process_name("offline"),
        predictor=Predictors(settings).get,
        decoder=FileDecoder(),
        answer=Writer(engine, store, settings, settings_sha256(settings), {}, lambda _task, _name: None),
        to_path=store.path,
        batch_size=settings.worker.batch_size,
        lease_s=min(settings.worker.lease_s, OFFLINE_LEASE_S),
        retry_delay_s=settings.worker.retry_delay_s,
        pool=pool,
        rule=rule,
    )


def result_policies(settings: Settings) -> dict[str, DestinationPolicy]:
    """What may go to each destination, and for how long delivery is tried."""
    return {
        one.name: DestinationPolicy(frozenset(ResultKind(kind) for kind in one.kinds), one.retry.deadline_s)
        for one in settings.destinations
    }
