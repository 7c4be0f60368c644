"""The long campaign: make faults ARGS="--seed 7 --duration 600". Prints the table that docs/faults.md keeps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.hospital import Sender, check, hospital, settle


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_or_answered_twice_whatever_breaks(
    database: str, tmp_path: Path, tiny_bundles: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed, duration_s = request.config.getoption("--seed"), request.config.getoption("--duration")
    postgres = request.getfixturevalue("own_postgres") if database == "postgresql" else None
    with hospital(tmp_path, tiny_bundles, seed=seed, postgres=postgres) as given:
        senders = [Sender(given.node, tmp_path, first, pause_s=0.5) for first in (10_000, 200_000)]
        for one in senders:
            one.start()
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            time.sleep(given.dice.uniform(0.2, 5.0))  # the moment is random; nothing is waited for
            given.break_something(given.dice.choice(sorted(given.faults())))
        for one in senders:
            one.stop()
        begun = time.monotonic()
        retried = settle(given, senders, timeout_s=300)
        figures = {**check(given, senders), "jobs retried by hand after three lost workers": retried}
        figures["seconds from the last acknowledgement to the last commitment"] = round(time.monotonic() - begun)
        figures["refusals that the sender retried"] = sum(sum(one.refused.values()) for one in senders)
    with capsys.disabled():
        print(f"\n{database}, seed {seed}, {duration_s:.0f} s of faults")
        for name, count in [*sorted(given.broken.items()), *figures.items()]:
            print(f"  {name:64} {count:6}")
