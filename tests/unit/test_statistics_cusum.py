"""The watch over time: its sum by hand, its run lengths by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ptx_node.errors import UsageError
from ptx_node.validation.statistics import Watch, average_run_length, cusum, limit_for


def simulated_run_length(watch: Watch, rate: float, runs: int = 4000) -> tuple[float, float]:
    """(mean, its standard error) of many watches that run side by side until each gives its alarm."""
    rng = np.random.default_rng(17)
    total, length = np.zeros(runs), np.zeros(runs)
    going = np.arange(runs)
    without, with_event = watch.steps
    while going.size:
        length[going] += 1
        total[going] = np.maximum(0.0, total[going] + np.where(rng.random(going.size) < rate, with_event, without))
        going = going[total[going] < watch.limit]
    return float(length.mean()), float(length.std() / math.sqrt(runs))


def test_sum_is_that_of_the_hand():
    up, down = math.log(3), math.log(0.7 / 0.9)
    found = cusum(np.array([False, True, False, True, *[False] * 8, True]), Watch(0.1, 0.3, 2.0))
    assert [0.0, up, up + down, 2 * up + down, 2 * up + 2 * down] == pytest.approx(list(found.sum_N[:5]))
    assert (0.0, up) == pytest.approx(tuple(found.sum_N[-2:]))
    assert ((), 13, 3) == (found.alarms, found.count, found.events)


def test_an_alarm_starts_the_sum_again():
    watch = Watch(0.1, 0.3, 2.0)
    found = cusum(np.ones(6, bool), watch)
    assert (1, 3, 5) == found.alarms
    assert math.log(3) == pytest.approx(found.sum_N[2])


def test_a_fall_can_be_watched_for_too():
    watch = Watch(0.3, 0.1, 1.0)
    assert () == cusum(np.ones(50, bool), watch).alarms
    assert cusum(np.zeros(50, bool), watch).alarms


@pytest.mark.parametrize(
    ("watch", "rate"),
    [
        (Watch(0.1, 0.2, 3.0), 0.1),
        (Watch(0.1, 0.2, 3.0), 0.2),
        (Watch(0.02, 0.06, 2.5), 0.02),
        (Watch(0.02, 0.06, 2.5), 0.06),
        (Watch(0.3, 0.15, 2.0), 0.3),
        (Watch(0.3, 0.15, 2.0), 0.15),
    ],
)
def test_run_lengths_are_those_of_simulation(watch, rate):
    mean, error = simulated_run_length(watch, rate)
    assert mean == pytest.approx(average_run_length(watch, rate), abs=4 * error + 0.01 * mean)


def test_geometric_run_length_is_exact():
    """Where one event is enough, the run is the wait for it."""
    assert 50 == pytest.approx(average_run_length(Watch(0.02, 0.06, 0.5), 0.02))


def test_a_limit_is_found_for_the_false_alarms_that_one_can_bear():
    limit = limit_for(0.05, 0.1, 2000)
    assert 2000 <= average_run_length(Watch(0.05, 0.1, limit), 0.05) <= 2100
    found = cusum(np.zeros(10, bool), Watch(0.05, 0.1, limit))
    assert found.run_changed < found.run_expected / 10


def test_a_change_is_noticed_soon_and_nothing_before_it():
    rng = np.random.default_rng(5)
    watch = Watch(0.05, 0.15, limit_for(0.05, 0.15, 5000))
    found = cusum(np.concatenate([rng.random(1000) < 0.05, rng.random(300) < 0.15]), watch)
    assert 1000 < found.alarms[0] < 1000 + 4 * found.run_changed
    assert 5000 == pytest.approx(found.run_expected, rel=0.05)


@pytest.mark.parametrize(("expected", "changed", "limit"), [(0.1, 0.1, 2), (0, 0.1, 2), (0.1, 1, 2), (0.1, 0.2, 0)])
def test_a_watch_for_nothing_is_refused(expected, changed, limit):
    with pytest.raises(UsageError):
        Watch(expected, changed, limit)
