"""How the GPU of this process stands, for its sign of life."""

from __future__ import annotations

from typing import Any

import torch


def gpus() -> list[dict[str, Any]]:
    """The GPU that this process works on, if it has begun to: name, memory in bytes, and how busy it is (0 to 1) where NVML can be asked.

    A process that has not touched its GPU is left alone: to look would take hundreds of megabytes of it.
    """
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    try:
        free, size = torch.cuda.mem_get_info()
        told = {"name": torch.cuda.get_device_name(), "memory_bytes": size, "memory_used_bytes": size - free}
    except RuntimeError:  # a GPU that has failed: the jobs say so, and the sign of life goes on
        return []
    try:
        return [told | {"utilisation": torch.cuda.utilization() / 100}]
    except (ImportError, RuntimeError):
        return [told]
