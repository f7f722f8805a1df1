"""The backend's environment, on every platform, whatever the parent's is."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, cast

import pytest

from launcher.environ import backend_environment, clean_environment
from launcher.home import Home
from launcher.platforms import Platform
from launcher.variables import Variable
from tests.builders.sources import SMALL_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

SLOT = cast("Path", PurePosixPath("/home/ana/.local/share/peft-studio/rt/0a1b2c3d"))
HOME = Home(cast("Path", PurePosixPath("/home/ana/state")))
WINDOWS_SLOT = cast("Path", PureWindowsPath(r"C:\Users\ana\AppData\Local\peft-studio\rt\0a1b2c3d"))


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PYTHONHOME", "pythonhome", "CONDA_PREFIX_1", "_CONDA_EXE", "_CE_M", "MAMBA_ROOT_PREFIX",
     "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "PIXI_PROJECT_ROOT", "PYENV_VERSION", "UV_PYTHON", "_MEIPASS2",
     "_PYI_ARCHIVE_FILE",
     "LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "__PYVENV_LAUNCHER__"],
)  # fmt: skip
def test_what_is_meant_for_another_python_is_left_out(name: str) -> None:
    assert name not in clean_environment({name: "elsewhere"}, SLOT, Platform.LINUX_64)


@pytest.mark.parametrize(
    "name", ["HOME", "LANG", "DISPLAY", "HTTPS_PROXY", "SSL_CERT_FILE", "CUDA_VISIBLE_DEVICES", "HF_HOME", "LD_PRELOAD"]
)
def test_what_is_the_users_is_kept(name: str) -> None:
    assert clean_environment({name: "mine"}, SLOT, Platform.LINUX_64)[name] == "mine"


def test_the_runtimes_programs_come_first() -> None:
    found = clean_environment({"PATH": "/usr/bin:/bin"}, SLOT, Platform.LINUX_64)
    assert found["PATH"] == f"{SLOT}/bin:/usr/bin:/bin"
    assert clean_environment({}, SLOT, Platform.OSX_ARM64)["PATH"] == f"{SLOT}/bin"


def test_windows_finds_its_libraries_in_the_order_of_condas_activation() -> None:
    found = clean_environment({"Path": r"C:\Windows"}, WINDOWS_SLOT, Platform.WIN_64)
    assert "PATH" not in found
    folders = found["Path"].split(";")
    assert folders[0] == str(WINDOWS_SLOT)
    assert folders[3:] == [
        rf"{WINDOWS_SLOT}\Library\bin", rf"{WINDOWS_SLOT}\Scripts", rf"{WINDOWS_SLOT}\bin", r"C:\Windows"
    ]  # fmt: skip


def test_no_bytecode_is_written_and_no_other_modules_are_found() -> None:
    found = clean_environment({}, SLOT, Platform.LINUX_64)
    assert (found["PYTHONDONTWRITEBYTECODE"], found["PYTHONNOUSERSITE"], found["PYTHONSAFEPATH"]) == ("1", "1", "1")


def test_the_backend_learns_where_the_launcher_keeps_its_state() -> None:
    found = backend_environment({}, SLOT, HOME, SMALL_MANIFEST)
    assert found["PEFT_STUDIO_HOME_STATE"] == "/home/ana/state"
    assert found["PEFT_STUDIO_ATTEMPT"] == "/home/ana/state/attempt.json"


def test_what_activation_would_set_is_set_and_the_users_own_is_left_where_activation_leaves_it() -> None:
    variables = {
        "SSL_CERT_FILE": Variable("{prefix}/ssl/cacert.pem", unless_set=True),
        "GDAL_DATA": Variable("{prefix}/share/gdal", unless_set=False),
    }
    manifest = SMALL_MANIFEST.but(environment=variables)
    found = backend_environment({"GDAL_DATA": "mine", "SSL_CERT_FILE": ""}, SLOT, HOME, manifest)
    assert (found["SSL_CERT_FILE"], found["GDAL_DATA"]) == (f"{SLOT}/ssl/cacert.pem", f"{SLOT}/share/gdal")
    found = backend_environment({"SSL_CERT_FILE": "/etc/company.pem"}, SLOT, HOME, manifest)
    assert found["SSL_CERT_FILE"] == "/etc/company.pem"


@pytest.mark.parametrize("name", ["PATH", "CONDA_PREFIX", "PYTHONNOUSERSITE", "PEFT_STUDIO_ATTEMPT"])
def test_no_manifest_sets_what_the_launcher_sets(name: str) -> None:
    manifest = SMALL_MANIFEST.but(environment={name: Variable("evil", unless_set=False)})
    assert backend_environment({}, SLOT, HOME, manifest)[name] != "evil"
