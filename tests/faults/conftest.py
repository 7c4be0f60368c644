"""Options of the long campaign: make faults ARGS="--seed 7 --duration 600"."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=1, help="of the dice that choose what breaks and when")
    parser.addoption("--duration", type=float, default=240.0, help="seconds of faults, for each kind of database")
