"""What this machine offers for training, seen from the server process: without torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import platform
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.estimates import MIB_IN_GIB

GIB = 1024**3
USUAL_CAPABILITY = 8.0  # of a GPU that nobody has described: from here on they compute bfloat16

log = logging.getLogger(__name__)


class Gpu(TypedDict):
    """One of NVIDIA's GPUs: sizes in GiB, `temperature` in °C, `utilization` in per cent; null is what it hides."""

    id: int
    name: str
    memory_total_gb: float
    memory_available_gb: float
    memory_used_gb: float
    compute_capability: str
    cuda_version: str
    driver_version: str
    temperature: int | None
    utilization: int | None


class Processor(TypedDict):
    """The processor: its frequency in MHz, 0 where the system does not say, and its utilization in per cent."""

    cores_physical: int
    cores_logical: int
    frequency_mhz: int
    architecture: str
    utilization: float


class Memory(TypedDict):
    """The main memory, in GiB and per cent."""

    total_gb: float
    available_gb: float
    used_gb: float
    percent_used: float


class Disk(TypedDict):
    """The disk that holds the folder `path`, in GiB and per cent."""

    path: str
    total_gb: float
    available_gb: float
    percent_used: float


class Hardware(TypedDict):
    """What the machine offers. `cuda_available` and `mps_available`: to torch as it is installed; null: it is not."""

    gpus: list[Gpu]
    cpu: Processor
    ram: Memory
    disk: Disk
    platform: str
    python_version: str
    torch_version: str | None
    cuda_available: bool
    mps_available: bool
    timestamp: Time


@dataclass(frozen=True, kw_only=True)
class Device:
    """What each process of a training has: MiB of memory that are free. `compute_capability` of None: no GPU."""

    memory_mb: float
    cores: int
    compute_capability: float | None


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a training at work will give back: the MiB that each of its processes holds, of a GPU if it has one."""

    memory_mb: float = 0.0
    processes: int = 0


NOTHING = Held()


def device_of(profile: Hardware, processes: int = 1, held: Held = NOTHING) -> Device:
    """Return what each of so many processes finds on the machine of a profile: a GPU of its own, if torch can use it.

    GPUs are taken from the first on, and the one with the least memory counts; main memory is shared. What is `held` is
    free by then: a training begins when the one before it has ended.
    """
    cores = profile["cpu"]["cores_physical"]
    if profile["cuda_available"]:
        devices = [
            Device(
                memory_mb=gpu["memory_available_gb"] * MIB_IN_GIB + (held.memory_mb if number < held.processes else 0),
                cores=cores,
                compute_capability=float(gpu["compute_capability"]),
            )
            for number, gpu in enumerate(profile["gpus"][:processes])
        ]
        return min(devices, key=lambda device: device.memory_mb)
    free_mb = profile["ram"]["available_gb"] * MIB_IN_GIB + held.memory_mb * held.processes
    return Device(memory_mb=free_mb / processes, cores=cores, compute_capability=None)


def gpu_of(profile: Hardware, memory_gb: float) -> Device:
    """Return a GPU of so many GiB in the machine of a profile: like its own if it has one, else like today's."""
    own = device_of(profile)
    capability = own.compute_capability or USUAL_CAPABILITY
    return replace(own, memory_mb=memory_gb * MIB_IN_GIB, compute_capability=capability)


def hardware_profile(folder: Path) -> Hardware:
    """Return processors, memory, accelerators and the disk of a folder."""
    gpus = _gpus()
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(folder))
    frequency: Any = psutil.cpu_freq()  # None in some containers, which its stubs do not know
    return {
        "gpus": gpus,
        "cpu": {
            "cores_physical": psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
            "cores_logical": psutil.cpu_count() or 1,
            "frequency_mhz": round(frequency.current) if frequency else 0,
            "architecture": platform.machine(),
            "utilization": psutil.cpu_percent(),
        },
        "ram": {
            "total_gb": _gib(memory.total),
            "available_gb": _gib(memory.available),
            "used_gb": _gib(memory.used),
            "percent_used": memory.percent,
        },
        "disk": {
            "path": str(folder),
            "total_gb": _gib(disk.total),
            "available_gb": _gib(disk.free),
            "percent_used": disk.percent,
        },
        "platform": platform.system(),
        "python_version": platform.python_version(),
        "torch_version": installed_version("torch"),
        "cuda_available": bool(gpus) and torch_cuda_version() is not None,
        # Every torch for an Apple chip has Metal inside.
        "mps_available": (platform.system(), platform.machine()) == ("Darwin", "arm64")
        and installed_version("torch") is not None,
        "timestamp": now(),
    }


@cache
def installed_version(package: str) -> str | None:
    """Return a package's version without importing it, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def torch_cuda_version() -> str | None:
    """Return the CUDA version that torch was built for, or None: no torch, or one without CUDA."""
    found = importlib.util.find_spec("torch")  # finds, does not import
    if found is None or found.origin is None:
        return None
    version = importlib.util.spec_from_file_location("torch_version", Path(found.origin).with_name("version.py"))
    if version is None or version.loader is None:
        return None
    module = importlib.util.module_from_spec(version)
    version.loader.exec_module(module)  # a few constants, written by torch's build
    cuda: str | None = module.cuda
    return cuda


class HardwareWatch:
    """Remembers the last profile for some seconds, so that a storm of requests asks the machine once."""

    def __init__(self, seconds: float, folder: Path) -> None:
        self._seconds = seconds
        self._folder = folder
        self._profile: Hardware | None = None
        self._until = 0.0
        psutil.cpu_percent()  # the first call only starts the measurement

    def profile(self) -> Hardware:
        """Return a profile that is no older than the seconds given."""
        if self._profile is None or time.monotonic() >= self._until:
            self._profile = hardware_profile(self._folder)
            self._until = time.monotonic() + self._seconds
        return self._profile


def _gpus() -> list[Gpu]:
    """Return NVIDIA's GPUs; none where there is no driver or no binding to it."""
    try:
        import pynvml
    except ModuleNotFoundError:  # the spec has it where CUDA is, and there only
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, hence no GPU to use
        return []
    try:
        found = [_gpu(pynvml, number) for number in range(pynvml.nvmlDeviceGetCount())]
        pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:  # a driver that was updated while it ran, say
        log.warning("NVIDIA's driver does not answer: %s", error)
        return []
    return [gpu for gpu in found if gpu is not None]


def _gpu(pynvml: Any, number: int) -> Gpu | None:
    """Return what a GPU is and does; None for one that does not answer, which nothing can be trained on."""
    try:
        return _described(pynvml, number)
    except pynvml.NVMLError as error:  # one that has fallen off its bus, say
        log.warning("GPU %d does not answer: %s", number, error)
        return None


def _described(pynvml: Any, number: int) -> Gpu:
    device = pynvml.nvmlDeviceGetHandleByIndex(number)
    memory = _memory(pynvml, device)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(device)
    cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    return {
        "id": number,
        "name": pynvml.nvmlDeviceGetName(device),
        "memory_total_gb": _gib(memory.total),
        "memory_available_gb": _gib(memory.free),
        "memory_used_gb": _gib(memory.used),
        "compute_capability": f"{major}.{minor}",
        "cuda_version": f"{cuda // 1000}.{cuda % 1000 // 10}",
        "driver_version": pynvml.nvmlSystemGetDriverVersion(),
        "temperature": _temperature(pynvml, device),
        "utilization": _utilization(pynvml, device),
    }


def _memory(pynvml: Any, device: Any) -> Any:
    try:
        return pynvml.nvmlDeviceGetMemoryInfo(device)
    except pynvml.NVMLError_NotSupported:  # so it is where a GPU shares the machine's own
        machine = psutil.virtual_memory()
        return SimpleNamespace(total=machine.total, free=machine.available, used=machine.used)


def _temperature(pynvml: Any, device: Any) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU))
    except pynvml.NVMLError:  # so it is on some virtual GPUs
        return None


def _utilization(pynvml: Any, device: Any) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetUtilizationRates(device).gpu)
    except pynvml.NVMLError:  # so it is where a GPU is cut into instances
        return None


def _gib(size: int) -> float:
    return round(size / GIB, 2)
