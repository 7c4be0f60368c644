"""Everything is killed once while studies flow. `make faults` does it for long (test_campaign.py)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.hospital import Sender, check, hospital, settle

SEED = 20260301


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_or_answered_twice_when_everything_is_killed_once(
    database: str, tmp_path: Path, tiny_bundles: Path, request: pytest.FixtureRequest
) -> None:
    postgres = request.getfixturevalue("own_postgres") if database == "postgresql" else None
    with hospital(tmp_path, tiny_bundles, seed=SEED, postgres=postgres) as given:
        senders = [Sender(given.node, tmp_path, first, pause_s=0.4) for first in (10_000, 20_000)]
        for one in senders:
            one.start()
        names = [name for name in given.faults() if name != "whole node killed"]
        given.dice.shuffle(names)
        for name in names:
            time.sleep(given.dice.uniform(0.2, 1.0))  # the moment is random; nothing is waited for
            given.break_something(name)
        for one in senders:
            one.stop()
        settle(given, senders, timeout_s=90)
        figures = check(given, senders)
    assert figures["instances"] >= 10
