"""The watch over drift and the stop rules, from the settings, for the scheduler."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ptx_node.db.observed import Days
from ptx_node.db.stop_counts import StopFigure
from ptx_node.errors import ConfigurationError
from ptx_node.log import get
from ptx_node.validation import stop_rules
from ptx_node.validation.stop_rules import StopRule

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from ptx_node.settings import Settings
    from ptx_node.validation.drift_watch import Terms

log = get(__name__)

STOP_INTERVAL_S = 60.0
DRIFT_INTERVAL_S = 600.0


def load_stop_rules(settings: Settings) -> tuple[StopRule, ...]:
    """The stop rules.

    Raises:
        ConfigurationError: two have one name, or one names a destination or model that is not there.
    """
    known = tuple(one.name for one in settings.destinations)
    found: list[StopRule] = []
    for one in settings.stop_rules:
        if any(one.name == other.name for other in found):
            raise ConfigurationError(f"stop_rules: two rules are called {one.name}")
        for name in one.destinations:
            if name not in known:
                raise ConfigurationError(f"stop_rules: {one.name} names the destination {name}, which is not configured")
        if one.model and settings.models and one.model not in settings.models:
            raise ConfigurationError(f"stop_rules: {one.name} names the model {one.model}, which is not in [models]")
        whose = one.destinations or known
        found.append(StopRule(one.name, StopFigure(one.figure), one.above, one.below, one.minimum, one.days, one.model, whose))
    return tuple(found)


def in_the_background(settings: Settings, engine: Engine, stop: threading.Event) -> Iterator[tuple[str, Callable[[], object], float]]:
    """For the scheduler: a name, a look, and how often to look.

    Raises:
        ConfigurationError: a stop rule is wrong.
    """
    rules, zone = load_stop_rules(settings), ZoneInfo(settings.node.time_zone)
    if rules:
        yield "stop rules", lambda: stop_rules.look(engine, rules, zone), STOP_INTERVAL_S
    if not settings.drift.enabled:
        return
    if find_spec("scipy") is None:
        log.warning("nothing watches over drift: scipy is not installed (pip install 'ptx-node[export]'), or set drift.enabled = false")
        return
    yield "drift", lambda: _look(settings, engine, stop), DRIFT_INTERVAL_S


def _look(settings: Settings, engine: Engine, stop: threading.Event) -> None:
    from ptx_node.validation import drift_watch  # noqa: PLC0415 - scipy is loaded when it is needed, and where it is

    drift_watch.look(engine, make_terms(settings), until=stop.is_set)


def make_terms(settings: Settings) -> Terms:
    """How the watch looks."""
    from ptx_node.validation.drift import Limits  # noqa: PLC0415 - as above
    from ptx_node.validation.drift_watch import Terms  # noqa: PLC0415

    drift = settings.drift
    return Terms(
        ZoneInfo(settings.node.time_zone),
        window_days=drift.window_days,
        persistence=drift.persistence,
        reference_days=drift.reference_days,
        reference=Days(drift.reference_since, drift.reference_until) if drift.reference_since and drift.reference_until else None,
        limits=Limits(drift.minimum, drift.p_value, drift.effect),
    )
