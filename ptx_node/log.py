"""Structured logs: one JSON object or one console line an event, with UIDs and never with patient names.

Events are short lower-case phrases; context goes into key-value pairs named by PS3.6 keywords in snake case.
Keys that could carry a person's identity are dropped here, whoever passes them.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

IDENTIFYING_KEYS = frozenset(
    {
        "patient_name",
        "patient_id",
        "patient_birth_date",
        "other_patient_ids",
        "patient_address",
        "referring_physician_name",
    }
)


def drop_identifying(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Remove every key in `IDENTIFYING_KEYS` from an event."""
    for key in IDENTIFYING_KEYS & event.keys():
        del event[key]
    return event


def configure(*, level: str = "INFO", json: bool = False) -> None:
    """Send structured logs of this process to standard error; library loggers go the same way at WARNING."""
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_identifying,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries `module=name` on every event."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
