"""A threshold proposed from a site's own truth. It changes nothing by itself: see `ptx thresholds`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ptx_node.validation.statistics import Chance, Proposal, propose_threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.db.thresholds import Verified
    from ptx_node.validation.statistics import Aim

REPEATS = 2000


def propose(cases: Sequence[Verified], aim: Aim, *, seed: int = 1, repeats: int = REPEATS) -> Proposal:
    """What `propose_threshold` says of these cases, by patient."""
    return propose_threshold(
        np.array([one.pneumothorax for one in cases], dtype=bool),
        np.array([one.probability for one in cases], dtype=np.float64),
        np.array([one.person_id for one in cases], dtype=np.int64),
        aim,
        Chance(seed, repeats),
    )


def evidence(proposal: Proposal) -> dict[str, Any]:
    """The proposal as JSON: every figure with its n, method, interval and seed; null for what is not known."""
    found = _plain(asdict(proposal))
    assert isinstance(found, dict)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, str) else value
