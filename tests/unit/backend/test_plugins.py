"""Plugins are found where people install them, and none of them can do the backend harm."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backend.engine import EngineWatch
from backend.plugins.plugins import Plugins
from backend.tasks.process import Tasks
from backend.vault import Vault
from tests.builders.backend import DEADLINE, Backend, running_backend
from tests.builders.wheels import build_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Path(sys.executable)
PATIENT = {"backend.plugins.plugins.LOAD_SECONDS": DEADLINE}  # with those that do answer
SOUND = """
class Example:
    title = "Example"
    description = "Reaches example.org"
    secrets = ("api-key", "user")
    def check(self, secrets):
        import os
        if "HF_TOKEN" in os.environ:
            raise PermissionError("the hub's token is not its business")
        return f"Logged in with {sorted(secrets)} {secrets['api-key'][::-1]}"
"""
HARMFUL = {
    "raises": "import no_such_module",
    "leaves": "raise SystemExit(0)",
    "vanishes": "import os; os._exit(0)",
    "prints": 'import os; os.write(1, b"{}" * 100); print("hello")' + SOUND,
    "empty": "Example = object",
    "misspelt": "class Other: pass",
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with one plugin that pip installed, and one for each way to do harm."""
    folder = tmp_path_factory.mktemp("plugins")
    plugins = folder / "data" / "plugins"
    install(folder, plugins, "example", SOUND)
    for name, code in HARMFUL.items():
        plant(plugins, name, code)
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": "hf_of_the_user",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    with running_backend(PYTHON, folder / "data", environment=environment, constants=PATIENT) as started:
        yield started


def install(folder: Path, plugins: Path, name: str, code: str) -> None:
    """Have pip install a plugin as its maker's users do."""
    files = {f"{name}_plugin.py": code}
    wheel = build_wheel(folder, f"{name}-plugin", "1.2", files=files, connectors={name: f"{name}_plugin:Example"})
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", plugins, wheel], check=True, capture_output=True)


def plant(plugins: Path, name: str, code: str) -> None:
    """Write what pip would have installed."""
    (plugins / f"{name}_plugin.py").write_text(code)
    described = plugins / f"{name}_plugin-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[peft_studio.connectors]\n{name} = {name}_plugin:Example\n")


@pytest.fixture(scope="module")
def listed(backend: Backend) -> dict[str, dict[str, Any]]:
    found = backend.get("/api/plugins").json()
    assert found["folder"] == str(backend.data_dir / "plugins")
    return {one["name"]: one for one in found["plugins"]}


def test_what_pip_installed_is_listed_with_what_it_says_of_itself(listed: dict[str, dict[str, Any]]) -> None:
    assert listed["example"] == {
        "name": "example",
        "value": "example_plugin:Example",
        "package": "example-plugin",
        "version": "1.2",
        "place": "folder",
        "title": "Example",
        "description": "Reaches example.org",
        "secrets": ["api-key", "user"],
        "error": None,
    }


@pytest.mark.parametrize("name", sorted(HARMFUL))
def test_a_plugin_that_cannot_be_used_is_listed_with_why(listed: dict[str, dict[str, Any]], name: str) -> None:
    expected = {"leaves": "task-failed", "vanishes": "task-failed", "prints": None}
    error = listed[name]["error"]
    assert (error and error["code"]) == expected.get(name, "plugin-failed")
    assert error is None or "plugin" in error["remedy"]


class ShortOf(Tasks):
    """Tasks of which those for one plugin get next to no time, and all others as much as they take."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda: True)
        self._name = name

    async def run(self, task: str, **how: Any) -> Any:
        return await super().run(task, **how | {"seconds": 0.1 if how.get("name") == self._name else DEADLINE})


def test_a_plugin_that_never_answers_is_listed_with_why_and_keeps_no_other_from_it(tmp_path: Path) -> None:
    install(tmp_path, tmp_path / "plugins", "example", SOUND)
    plant(tmp_path / "plugins", "hangs", "while True: pass")
    tasks = ShortOf("hangs")
    plugins = Plugins(tmp_path / "plugins", tasks, Vault(tmp_path / "secrets", tasks, EngineWatch(None, tmp_path)))
    found = {one["name"]: one["error"] for one in asyncio.run(plugins.all(again=False))}
    assert (set(found), found["example"]) == ({"example", "hangs"}, None)
    assert found["hangs"] is not None
    assert (found["hangs"]["code"], "plugin" in found["hangs"]["remedy"]) == ("task-too-slow", True)


def test_a_plugin_gets_its_own_secrets_and_no_others(backend: Backend, listed: dict[str, dict[str, Any]]) -> None:
    assert "example" in listed
    backend.call("PUT", "/api/secrets/example.api-key", json={"value": "the key of it"})
    backend.call("PUT", "/api/secrets/other.user", json={"value": "someone else's"})
    answer = backend.post("/api/plugins/example/check").json()
    assert answer == {"name": "example", "reached": "Logged in with ['api-key'] ti fo yek eht"}
    assert backend.post("/api/plugins/raises/check").json()["code"] == "plugin-unknown"


def test_a_plugin_that_is_added_later_is_found_by_looking_again(
    backend: Backend, listed: dict[str, dict[str, Any]]
) -> None:
    for name in sorted(set(HARMFUL) - {"raises"}):
        (backend.data_dir / "plugins" / f"{name}_plugin-1.0.dist-info" / "entry_points.txt").unlink()
    plant(backend.data_dir / "plugins", "later", SOUND)
    assert "later" not in listed
    again = backend.get("/api/plugins?refresh=true").json()["plugins"]
    assert {one["name"] for one in again} == {"example", "later", "raises"}


def test_an_installed_engine_looks_in_its_home_and_among_the_packages_of_its_runtime(tmp_path: Path) -> None:
    home, packages = tmp_path / "home", tmp_path / "packages"
    install(tmp_path, home / "plugins", "added", SOUND)
    install(tmp_path, packages, "shipped", SOUND)
    environment = {"PEFT_STUDIO_HOME_STATE": str(home), "PYTHONPATH": str(packages)}
    with running_backend(PYTHON, tmp_path / "data", environment=environment, constants=PATIENT) as backend:
        found = backend.get("/api/plugins").json()
    assert found["folder"] == str(home / "plugins")
    listed = {one["name"]: (one["place"], one["title"], one["error"]) for one in found["plugins"]}
    assert listed == {"added": ("folder", "Example", None), "shipped": ("runtime", "Example", None)}


@pytest.mark.parametrize(
    "content", [b"[console_scripts]\nno value\n", b"[peft_studio.connectors]\nno value\n", b"\xff\xfe"]
)
def test_a_plugin_whose_entry_points_cannot_be_read_hides_no_other(tmp_path: Path, content: bytes) -> None:
    plugins = tmp_path / "data" / "plugins"
    install(tmp_path, plugins, "example", SOUND)
    plant(plugins, "torn", SOUND)
    (plugins / "torn_plugin-1.0.dist-info" / "entry_points.txt").write_bytes(content)
    with running_backend(PYTHON, tmp_path / "data", constants=PATIENT) as backend:
        listed = {one["name"]: one for one in backend.get("/api/plugins").json()["plugins"]}
    assert listed.pop("example")["error"] is None
    assert (listed["torn-plugin"]["error"]["code"], listed["torn-plugin"]["version"]) == ("plugin-failed", "1.0")


def test_a_plugin_that_fails_does_not_tell_its_secret(tmp_path: Path) -> None:
    indiscreet = SOUND.replace("import os", "raise ConnectionError(f'{secrets} was refused')")
    install(tmp_path, tmp_path / "data" / "plugins", "example", indiscreet)
    environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    with running_backend(PYTHON, tmp_path / "data", environment=environment, constants=PATIENT) as backend:
        backend.call("PUT", "/api/secrets/example.user", json={"value": "the man in the moon"})
        answer = backend.post("/api/plugins/example/check").json()
    assert answer["code"] == "plugin-failed"
    assert "was refused" in answer["message"]
    assert "the man in the moon" not in str(answer)
