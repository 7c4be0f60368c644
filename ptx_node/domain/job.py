"""States and closed lists of the work that rows stand for: jobs, their causes of failure, deliveries."""

from __future__ import annotations

from enum import StrEnum

MAX_ATTEMPTS = 3
"""A job that fails this often is quarantined."""


AGEING_S = 60.0
"""A waiting job gains one point of priority each so many seconds; equally, a point is worth so many seconds of waiting."""


class JobState(StrEnum):
    """Life of a job. Terminal: done, not_eligible, quarantined, superseded."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    NOT_ELIGIBLE = "not_eligible"
    QUARANTINED = "quarantined"
    SUPERSEDED = "superseded"


class Cause(StrEnum):
    """Why an attempt at a job failed: the closed list that quarantine reports."""

    INPUT_MISSING = "input_missing"
    DECODE_FAILED = "decode_failed"
    MODEL_UNAVAILABLE = "model_unavailable"
    INFERENCE_FAILED = "inference_failed"
    OUT_OF_MEMORY = "out_of_memory"
    ENCODE_FAILED = "encode_failed"
    STORAGE_FULL = "storage_full"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal"


class DeliveryState(StrEnum):
    """Life of one result on its way to one destination.

    accepted: the peer answered success or a warning. committed: the peer took responsibility (Storage Commitment), or
    the result was found again by query. failed: refused for good, or the deadline passed.
    """

    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"
    COMMITTED = "committed"
    FAILED = "failed"


class Trigger(StrEnum):
    """What makes a set of instances ready for inference."""

    INSTANCE = "instance"
    SERIES = "series"
    STUDY = "study"


class LatePolicy(StrEnum):
    """What an instance does that arrives after its series or study was already queued."""

    IGNORE = "ignore"
    SUPERSEDE = "supersede"
