"""What a worker's sign of life says of its GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ptx_node.db import heartbeats, schema
from ptx_node.db.session import begin_read, open_engine
from ptx_node.db.tables import Heartbeat
from ptx_node.model.gpu import gpus
from ptx_node.simulator.processes import wait_until


@pytest.mark.skipif(torch.cuda.is_initialized(), reason="another test has begun to work on the GPU")
def test_a_process_that_does_not_use_a_gpu_tells_of_none() -> None:
    assert [] == gpus()
    assert not torch.cuda.is_initialized()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_gpu_that_is_worked_on_is_told() -> None:
    held = torch.ones(1_000_000, device="cuda")
    [told] = gpus()
    assert held.element_size() * held.numel() < told["memory_used_bytes"] <= told["memory_bytes"]
    assert 0 <= told.get("utilisation", 0) <= 1


def test_a_sign_of_life_tells_what_it_is_given_anew_each_time(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'ptx.db'}")
    schema.upgrade(engine)
    end = heartbeats.start(engine, "worker-infer", lambda: {"gpus": [{"memory_bytes": 5}]})

    def told() -> list[dict[str, object]]:
        with begin_read(engine) as session:
            return [one.detail for one in session.query(Heartbeat)]

    wait_until(lambda: told() == [{"gpus": [{"memory_bytes": 5}]}], what="the sign of life", timeout_s=20)
    end()
    assert [] == told()
    engine.dispose()
