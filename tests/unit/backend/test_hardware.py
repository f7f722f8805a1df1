"""What the machine offers, as the system and NVIDIA's library say it; few machines have that, so it is faked."""

from __future__ import annotations

import platform
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backend import hardware
from backend.hardware import Held, device_of, hardware_profile
from tests.builders.description import answer, require_described

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1024**3


class NVMLError(Exception):
    pass


class NVMLErrorNotSupported(NVMLError):
    pass


class Driver:
    """Two GPUs, as nvidia-ml-py tells of them; `lacks` names functions that the second one does not support."""

    NVMLError = NVMLError
    NVMLError_NotSupported = NVMLErrorNotSupported
    NVML_TEMPERATURE_GPU = 0

    def __init__(
        self, *, there: bool = True, lacks: frozenset[str] = frozenset(), error: type[Exception] = NVMLErrorNotSupported
    ) -> None:
        self._there = there
        self._lacks = lacks
        self._error = error

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, list[Any]] = {
            "nvmlDeviceGetMemoryInfo": [
                SimpleNamespace(total=24 * GIB, free=20 * GIB, used=4 * GIB),
                SimpleNamespace(total=16 * GIB, free=16 * GIB, used=0),
            ],
            "nvmlDeviceGetCudaComputeCapability": [(8, 6), (7, 5)],
            "nvmlDeviceGetName": ["RTX 3090", "T4"],
            "nvmlDeviceGetTemperature": [61, 40],
            "nvmlDeviceGetUtilizationRates": [SimpleNamespace(gpu=93), SimpleNamespace(gpu=0)],
        }

        def ask(device: int, *_: Any) -> Any:
            if device == 1 and name in self._lacks:
                raise self._error
            return answers[name][device]

        return ask

    def nvmlInit(self) -> None:  # noqa: N802
        if not self._there:
            raise NVMLError

    def nvmlShutdown(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        return 13020

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "590.44"


@pytest.fixture
def cuda_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "torch_cuda_version", lambda: "13.2")


@pytest.mark.usefixtures("cuda_torch")
def test_each_gpu_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    profile = hardware_profile(tmp_path)
    assert profile["cuda_available"]
    assert profile["gpus"][0] == {
        "id": 0,
        "name": "RTX 3090",
        "memory_total_gb": 24.0,
        "memory_available_gb": 20.0,
        "memory_used_gb": 4.0,
        "compute_capability": "8.6",
        "cuda_version": "13.2",
        "driver_version": "590.44",
        "temperature": 61,
        "utilization": 93,
    }
    assert (profile["gpus"][1]["name"], profile["gpus"][1]["compute_capability"]) == ("T4", "7.5")
    require_described(answer("/api/hardware", profile))


@pytest.mark.usefixtures("cuda_torch")
def test_a_training_has_the_first_gpu_and_each_of_several_processes_one_as_small_as_the_smallest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    alone, both = (device_of(hardware_profile(tmp_path), processes) for processes in (1, 2))
    assert (alone.memory_mb, alone.compute_capability) == (20 * 1024, 8.6)
    assert (both.memory_mb, both.compute_capability) == (16 * 1024, 7.5)


@pytest.mark.usefixtures("cuda_torch")
def test_what_the_training_at_work_holds_is_free_for_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    profile = hardware_profile(tmp_path)
    held = Held(memory_mb=3 * 1024, processes=1)
    assert device_of(profile, 1, held).memory_mb == 23 * 1024
    assert device_of(profile, 2, held).memory_mb == 16 * 1024
    without = profile | {"cuda_available": False}
    two = Held(memory_mb=3 * 1024, processes=2)
    assert device_of(without, 3, two).memory_mb == pytest.approx(device_of(without, 3).memory_mb + 2 * 1024)


def test_without_a_gpu_that_torch_can_use_a_training_has_main_memory_which_its_processes_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    monkeypatch.setattr(hardware, "torch_cuda_version", lambda: None)
    profile = hardware_profile(tmp_path)
    assert device_of(profile).memory_mb == profile["ram"]["available_gb"] * 1024
    assert device_of(profile, 2).memory_mb == device_of(profile).memory_mb / 2
    assert device_of(profile).compute_capability is None


@pytest.mark.usefixtures("cuda_torch")
def test_what_a_gpu_does_not_say_is_left_open_and_shared_memory_is_the_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacks = {"nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetUtilizationRates"}
    monkeypatch.setitem(sys.modules, "pynvml", Driver(lacks=frozenset(lacks)))
    profile = hardware_profile(tmp_path)
    second = profile["gpus"][1]
    assert (second["temperature"], second["utilization"]) == (None, None)
    assert second["memory_total_gb"] == profile["ram"]["total_gb"]
    require_described(answer("/api/hardware", profile))


@pytest.mark.usefixtures("cuda_torch")
@pytest.mark.parametrize(("lost", "count"), [("nvmlDeviceGetName", 1), ("nvmlDeviceGetMemoryInfo", 1),
                                             ("nvmlDeviceGetTemperature", 2)])  # fmt: skip
def test_a_gpu_that_has_gone_is_left_out_and_its_neighbour_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str, count: int
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver(lacks=frozenset({lost}), error=NVMLError))
    assert [gpu["id"] for gpu in hardware_profile(tmp_path)["gpus"]] == [0, 1][:count]


@pytest.mark.usefixtures("cuda_torch")
def test_a_cuda_runtime_without_a_driver_trains_on_the_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver(there=False))
    profile = hardware_profile(tmp_path)
    assert (profile["gpus"], profile["cuda_available"]) == ([], False)


def test_a_gpu_is_of_no_use_to_a_torch_without_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    monkeypatch.setattr(hardware, "torch_cuda_version", lambda: None)
    profile = hardware_profile(tmp_path)
    assert (len(profile["gpus"]), profile["cuda_available"]) == (2, False)


@pytest.mark.parametrize(
    ("system", "machine", "torch", "expected"),
    [
        ("Darwin", "arm64", "2.13.0", True),
        ("Darwin", "x86_64", "2.13.0", False),
        ("Linux", "aarch64", "2.13.0", False),
        ("Darwin", "arm64", None, False),
    ],
)
def test_an_apple_chip_has_metal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, machine: str, torch: str | None, *, expected: bool
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(hardware, "installed_version", lambda _: torch)
    assert hardware_profile(tmp_path)["mps_available"] is expected


def test_processor_memory_and_disk_are_this_machines(tmp_path: Path) -> None:
    profile = hardware_profile(tmp_path)
    assert profile["cpu"]["cores_logical"] >= profile["cpu"]["cores_physical"] >= 1
    assert 0 < profile["ram"]["available_gb"] <= profile["ram"]["total_gb"]
    assert profile["disk"]["path"] == str(tmp_path)
    assert 0 < profile["disk"]["available_gb"] <= profile["disk"]["total_gb"]
