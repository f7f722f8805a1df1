"""What a training takes of its machine, as its monitors show it. For workers: torch is imported here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 1.0  # between two readings, since a driver takes milliseconds for each


class Meters:
    """The processor's, this process's memory, and the GPUs': none without CUDA."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first call only starts the measurement
        self._read: dict[str, Any] = {}
        self._until = 0.0

    def read(self) -> dict[str, Any]:
        """Return the fields of a Progress that meters fill; not older than SECONDS."""
        if time.monotonic() >= self._until:
            self._read = {
                "ram": self._process.memory_info().rss,
                "cpu": min(100.0, round(self._process.cpu_percent() / (psutil.cpu_count() or 1), 1)),
            }
            if self._torch.cuda.is_available():
                self._read |= _gpus(self._torch.cuda)
            self._until = time.monotonic() + SECONDS
        return self._read


def _gpus(cuda: Any) -> dict[str, Any]:
    """Return what the driver says of each GPU that this process may see, and its own peak of memory."""
    devices = range(cuda.device_count())
    return {
        "gpu_memory": cuda.max_memory_allocated(),
        "gpu_utilization": _each(cuda.utilization, devices),
        "gpu_temperature": _each(cuda.temperature, devices),
        "gpu_memory_used": _each(cuda.device_memory_used, devices),
    }


def _each(meter: Callable[[int], int], devices: range) -> tuple[int, ...]:
    import pynvml

    try:
        return tuple(meter(device) for device in devices)
    except pynvml.NVMLError:  # so it is on some virtual GPUs, and where one is cut into instances
        return ()
