"""What the Celery tasks wake, built in the process that runs them, after the fork."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptx_node.db import heartbeats
from ptx_node.pipeline import deliver, enqueue, prove
from ptx_node.wiring.models import known_models
from ptx_node.wiring.node import load_rules, make_destinations, open_database, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Engine

    from ptx_node.domain.routing import Rule
    from ptx_node.pipeline.deliver import Destination, Policy
    from ptx_node.pipeline.infer import Inference
    from ptx_node.pipeline.store import FileStore
    from ptx_node.settings import Settings
    from ptx_node.wiring.models import KnownModels
    from ptx_node.worker.doorbell import Doorbell

LONGEST_TURN_S = 60.0
"""A task gives way after so long and rings again, well below the hard limit: a message is never held for hours."""


class WrongQueueError(RuntimeError):
    """A task came to a worker of the other queue: a fault of the routing table, not of the work."""


@dataclass(frozen=True)
class FlowStages:
    """Routing and delivery: no model, no torch."""

    engine: Engine
    store: FileStore
    rules: tuple[Rule, ...]
    models: KnownModels
    destinations: Mapping[str, tuple[Destination, Policy]]
    bell: Doorbell
    owner: str

    @classmethod
    def build(cls, settings: Settings, bell: Doorbell) -> FlowStages:
        """From the settings."""
        return cls(
            open_database(settings, pool_size=settings.worker.delivery_threads + 2),
            open_store(settings),
            load_rules(settings),
            known_models(settings),
            make_destinations(settings),
            bell,
            heartbeats.process_name("flow"),
        )

    def enqueue(self) -> None:
        """Route what was received and is not routed yet."""
        more = True
        while more:
            outcome = enqueue.enqueue_new(
                self.engine, self.store, self.rules, self.models.requirements, own_device_uids=self.models.device_uids
            )
            more = outcome.more
            if outcome.jobs:
                self.bell.ring("ptx.infer")
        if enqueue.queue_due(self.engine, self.rules):  # an expected count that was just reached does not wait for the sweep
            self.bell.ring("ptx.infer")

    def infer(self) -> None:
        """Not here."""
        raise WrongQueueError("infer")

    def deliver(self, destination: str) -> None:
        """Send what is due to one destination."""
        if destination not in self.destinations:
            return  # taken out of ptx.toml: its deliveries wait, and `ptx status` shows them
        adapter, policy = self.destinations[destination]
        end = time.monotonic() + LONGEST_TURN_S
        sent = 0
        while (count := deliver.deliver_due(self.engine, self.store, adapter, owner=self.owner, policy=policy)) and time.monotonic() < end:
            sent += count
        if sent:
            self.bell.ring("ptx.prove", destination)

    def prove(self, destination: str) -> None:
        """Ask one destination for proof of what it accepted, apart from sending, which does not wait for it."""
        if destination not in self.destinations:
            return
        adapter, policy = self.destinations[destination]
        end = time.monotonic() + LONGEST_TURN_S
        while prove.prove_due(self.engine, self.store, adapter, owner=self.owner, policy=policy) and time.monotonic() < end:
            pass

    def close(self) -> None:
        """Give back connections."""
        self.bell.close()
        self.engine.dispose()


@dataclass(frozen=True)
class InferStages:
    """Inference: the model is loaded once, in this process."""

    inference: Inference
    bell: Doorbell
    pool: ThreadPoolExecutor
    end_heartbeat: Callable[[], None]

    @classmethod
    def build(cls, settings: Settings, bell: Doorbell) -> InferStages:
        """From the settings; loads every configured model, so that the first study does not wait for it."""
        from ptx_node.model.gpu import gpus  # noqa: PLC0415 - torch, only in this process
        from ptx_node.wiring.inference import build_inference  # noqa: PLC0415 - as above

        pool = ThreadPoolExecutor(settings.worker.decode_threads, thread_name_prefix="decode")
        inference = build_inference(settings, pool, bell)
        return cls(inference, bell, pool, heartbeats.start(inference.engine, "worker-infer", lambda: {"gpus": gpus()}))

    def enqueue(self) -> None:
        """Not here."""
        raise WrongQueueError("enqueue")

    def infer(self) -> None:
        """Work through the waiting jobs."""
        end = time.monotonic() + LONGEST_TURN_S
        self.inference.run(until=lambda: time.monotonic() > end)
        if time.monotonic() > end:
            self.bell.ring("ptx.infer")

    def deliver(self, destination: str) -> None:
        """Not here."""
        raise WrongQueueError(f"deliver {destination}")

    def prove(self, destination: str) -> None:
        """Not here."""
        raise WrongQueueError(f"prove {destination}")

    def close(self) -> None:
        """Give back threads and connections."""
        self.bell.close()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.end_heartbeat()
        self.inference.engine.dispose()
