"""The route that a release takes: packages from a channel that a URL names, the backend from one made here."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from packageurl import PackageURL
from rattler.index import index_fs

from launcher.platforms import Platform
from pack.__main__ import main
from pack.archive import build_archive
from pack.condapackage import CondaPackage, write_package
from pack.prefix import unmanaged
from pack.progress import silent
from tests.builders.prefix import PLACEHOLDER, interpreter
from tests.builders.runtime import BUILT
from tests.builders.wheels import build_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.manifest import Manifest

pytestmark = pytest.mark.skipif(Platform.current() is not Platform.LINUX_64, reason="the channel is for linux-64")

ENVIRONMENT = """\
name: small
channels: [conda-forge]
dependencies:
  - python=3.11
  - pytorch=2.13.0=cpu*
  - alpha=1.0
"""


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel that has all but the backend, as conda-forge does."""
    channel = tmp_path_factory.mktemp("forge")
    site = "lib/python3.11/site-packages"
    contents = {
        ("python", "3.11.9", "0_cpython"): {"bin/python3.11": interpreter()},
        ("pytorch", "2.13.0", "cpu_0"): {f"{site}/torch/__init__.py": ""},
        ("alpha", "1.0", "0"): {f"{site}/alpha.py": "", "etc/alpha.conf": f"at {PLACEHOLDER}/etc"},
    }
    for (name, version, build), files in contents.items():
        staged = tmp_path_factory.mktemp(name)
        for path, text in files.items():
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).write_text(text)
            (staged / path).chmod(0o755)
        if name == "python":
            (staged / "bin/python").symlink_to("python3.11")
        package = CondaPackage(name, version, build, "linux-64")
        write_package(package, files=staged, channel=channel, placeholder=PLACEHOLDER)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False, force=True))
    return channel


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout of its own, with a backend and an environment.yml."""
    project = tmp_path / "project"
    build_project(project)
    (project / "environment.yml").write_text(ENVIRONMENT)
    return project


def archived(project: Path, channel: str) -> Manifest:
    """Archive the prefix that was made in a checkout."""
    return build_archive(
        project / "build" / "linux-64-cpu" / "prefix",
        project / "archive",
        platform=Platform.current(),
        accelerator="cpu",
        channel=channel,
        lock="0" * 64,
        version="1",
        created_at=BUILT,
        cache=project / "bytecode",
        machine_folders=[project],
        leave_out=list,
        find_core=lambda _: frozenset(),
        progress=silent,
        level=1,
    )


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_packages_of_a_channel_become_a_prefix_and_an_archive(scheme: str, forge: Path, project: Path) -> None:
    with served(forge) as address:
        channel = address if scheme == "http" else forge.as_uri()
        assert main(["prefix", "--channel", channel, "--project", str(project)]) == 0
        # The lock is all that a second build needs to know; to solve again is refused, and not needed.
        assert main(["prefix", "--channel", channel, "--project", str(project), "--locked"]) == 0
    prefix = project / "build" / "linux-64-cpu" / "prefix"
    assert list(unmanaged(prefix)) == []
    manifest = archived(project, channel)
    assert dict(manifest.packages) == {"python": manifest.packages["python"], "pytorch": "2.13.0"}
    assert manifest.channel == (channel if scheme == "http" else "local")
    written = json.loads((project / "archive" / "sbom.json").read_text())["components"]
    named = {row["name"]: PackageURL.from_string(row["purl"]).qualifiers["channel"] for row in written}
    assert named == {
        **dict.fromkeys(("alpha", "python", "pytorch"), manifest.channel),
        "peft-studio-backend": "local",
    }
    assert not any(bytes(forge) in path.read_bytes() for path in (project / "archive").glob("*.json"))


def test_a_locked_build_asks_no_channel_and_takes_the_backend_as_it_is(
    forge: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(forge) as channel:
        build = ["prefix", "--channel", channel, "--project", str(project)]
        assert main([*build, "--locked"]) == 44
        assert "there is no such lock" in capsys.readouterr().err
        assert main(build) == 0
    lock = (project / "build" / "linux-64-cpu" / "linux-64-cpu.lock").read_bytes()
    (project / "backend" / "__init__.py").write_text("CHANGED = True\n")

    assert main([*build, "--locked"]) == 0  # nobody serves the channel any more

    prefix = project / "build" / "linux-64-cpu" / "prefix"
    assert (prefix / "lib/python3.11/site-packages/backend/__init__.py").read_text() == "CHANGED = True\n"
    assert (project / "build" / "linux-64-cpu" / "linux-64-cpu.lock").read_bytes() == lock
    (project / "environment.yml").write_text(ENVIRONMENT.replace("alpha=1.0", "alpha=1.1"))
    assert main([*build, "--locked"]) == 44
    assert "environment.yml, line 6 asks for alpha ==1.1; it holds alpha 1.0" in capsys.readouterr().err


@pytest.mark.usefixtures("umask")
def test_one_lock_installed_in_two_folders_under_two_umasks_gives_the_same_bytes(
    forge: Path, project: Path, tmp_path: Path
) -> None:
    channel, other = forge.as_uri(), tmp_path / "the checkout of another, é"
    os.umask(0o022)
    assert main(["lock", "--channel", channel, "--project", str(project)]) == 0
    shutil.copytree(project, other, ignore=shutil.ignore_patterns("prefix", "pkgs", "channel-additions"))
    found = []
    for place, mask in ((project, 0o022), (other, 0o077)):
        os.umask(mask)
        assert main(["prefix", "--channel", channel, "--project", str(place), "--locked"]) == 0
        archived(place, channel)
        folder = place / "archive"
        found.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert found[0] == found[1]


def test_a_channel_that_does_not_answer_ends_the_build(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "--project", str(project), "--channel", "http://127.0.0.1:9/conda-forge"]) == 42
    assert "http://127.0.0.1:9/conda-forge" in capsys.readouterr().err
