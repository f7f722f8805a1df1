"""Every act of this project, by name: `nox -l` lists them, `nox -s NAME` does one.

The building acts take what follows `--` on to python -m pack: nox -s "archive(linux-64)" -- --channel local
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"  # what is pinned does not change by being installed again
nox.options.sessions = ["tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
# What is released: a lock and an archive for each.
BUILDS = {
    "linux-64": ("cuda", "cpu"),
    "linux-aarch64": ("cpu",),
    "osx-64": ("cpu",),
    "osx-arm64": ("mps",),
    "win-64": ("cuda", "cpu"),
}
PLATFORMS = [nox.param(name, id=name) for name in BUILDS]
PYTHON_SOURCES = ("launcher", "pack", "backend", "tests", "noxfile.py")
SYSTEMS = ("linux", "darwin", "win32")


def prepare(session: nox.Session, *groups: str) -> None:
    """Install dependency groups of pyproject.toml, exactly as pinned there."""
    session.install("--quiet", *(line for group in groups for line in nox.project.dependency_groups(PROJECT, group)))


def pack(session: nox.Session, act: str, platform: str, *options: str) -> None:
    """Run an act of the build for a platform."""
    prepare(session, "pack")
    session.run("python", "-m", "pack", act, "--platform", platform, *options, *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Build the engine from Python wheels, start it as a new user would, and train an adapter."""
    prepare(session, "pack", "backend", "test")
    session.run("python", "-m", "tests.demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Do all that CI does: lint, check types, build the engine from wheels, run every test, Electron's too."""
    prepare(session, "pack", "backend", "test", "lint", "types", "workflows")
    check_style(session)
    check_types(session)
    check_workflows(session)
    session.run("python", "-m", "tests.build")
    check_electron(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def electron(session: nox.Session) -> None:
    """Check style and types of the Electron part, and run its tests against the engine that stage left."""
    check_electron(session)


@nox.session
def doctor(session: nox.Session) -> None:
    """Say whether this machine can build and test, and how to get what it lacks."""
    prepare(session, "pack")
    session.run("python", "-m", "pack.doctor", success_codes=[0, 1])


@nox.session
def reference(session: nox.Session) -> None:
    """Write docs/errors.md and docs/events.md anew from the code."""
    prepare(session, "pack", "backend")
    session.run("python", "-m", "pack.reference")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the archive and the staged launcher beside what others do, and the backend: docs/benchmarks.md."""
    prepare(session, "pack", "backend", "test", "bench")
    session.run("python", "-m", "tests.bench_archive", *session.posargs)
    session.run("python", "-m", "tests.bench_launcher")
    session.run("python", "-m", "tests.bench_backend")


@nox.session
def gpu(session: nox.Session) -> None:
    """Measure LoRA and QLoRA on this machine's NVIDIA GPUs, with the CUDA engine that stage left."""
    prepare(session, "pack", "backend", "test")
    session.run("python", "-m", "tests.bench_gpu", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and find likely mistakes."""
    prepare(session, "lint")
    check_style(session)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, for each operating system."""
    prepare(session, "types")
    check_types(session)


@nox.session
def workflows(session: nox.Session) -> None:
    """Find mistakes and weaknesses in .github/, without a network."""
    prepare(session, "workflows")
    check_workflows(session)


@nox.session
def units(session: nox.Session) -> None:
    """Run the tests that need no packed runtime, on any system."""
    prepare(session, "pack", "backend", "test")
    session.run(
        "python", "-m", "pytest", "tests/unit", "tests/property", "-m", "not runtime and not root", *session.posargs
    )


@nox.session(venv_backend="none")
def propose(session: nox.Session) -> None:
    """Open a pull request with the locks of conda-forge, where they changed (CI: needs gh, and GH_TOKEN)."""
    if not session.run("git", "status", "--porcelain", "pack/locks", external=True, silent=True):
        session.log("The locks are as they were.")
        return
    bot = ("-c", "user.name=github-actions[bot]", "-c", "user.email=github-actions[bot]@users.noreply.github.com")
    title = "Take what conda-forge has now"
    session.run("gh", "auth", "setup-git", external=True)
    session.run("git", "switch", "--create", "locks", external=True)
    session.run("git", "add", "pack/locks", external=True)
    session.run("git", *bot, "commit", "--message", title, external=True)
    session.run("git", "push", "--force", "origin", "locks", external=True)
    open_already = ("gh", "pr", "list", "--head", "locks", "--json", "url", "--jq", ".[]")
    if not session.run(*open_already, external=True, silent=True):
        session.run("gh", "pr", "create", "--fill", "--head", "locks", external=True)


@nox.session(venv_backend="none")
def publish(session: nox.Session) -> None:
    """Draft a release of the files in dist/page for its version's tag, checked out (CI: needs gh, and GH_TOKEN)."""
    files = sorted(str(path) for path in Path("dist", "page").iterdir())
    tag, version = os.environ["GITHUB_REF_NAME"], PROJECT["project"]["version"]
    if tag != f"v{version}":
        session.error(f"the tag is {tag}, and pyproject.toml has version {version}: tag v{version}, or raise it there.")
    session.run("gh", "release", "create", tag, "--draft", "--verify-tag", "--title", tag, *files, external=True)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def channel(session: nox.Session, platform: str) -> None:
    """Build the local conda channel: the backend, and what the other channels lack."""
    pack(session, "channel", platform)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def lock(session: nox.Session, platform: str) -> None:
    """Solve environment.yml to exact packages, for each accelerator of the platform unless one is named."""
    named = any(word.partition("=")[0] == "--accelerator" for word in session.posargs)
    for options in [()] if named else [("--accelerator", accelerator) for accelerator in BUILDS[platform]]:
        pack(session, "lock", platform, *options)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def archive(session: nox.Session, platform: str) -> None:
    """Install the lock into a build prefix and pack that into an archive with its manifest."""
    pack(session, "archive", platform)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def stub(session: nox.Session, platform: str) -> None:
    """Freeze the launcher for the archive's manifest."""
    pack(session, "stub", platform)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def stage(session: nox.Session, platform: str) -> None:
    """Bring everything together in dist/PLATFORM/resources, for Electron's builder."""
    pack(session, "stage", platform)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def verify(session: nox.Session, platform: str) -> None:
    """Run the staged launcher in hostile places and report what it does."""
    pack(session, "verify", platform)


@nox.session
@nox.parametrize("platform", PLATFORMS)
def release(session: nox.Session, platform: str) -> None:
    """Write the verified resources as the files of a release page, with SBOM, report and checksums."""
    pack(session, "release", platform)


def check_style(session: nox.Session) -> None:
    """Run the linter and the formatter's check."""
    session.run("ruff", "check", *PYTHON_SOURCES)
    session.run("ruff", "format", "--check", *PYTHON_SOURCES)


def check_types(session: nox.Session) -> None:
    """Run the type checker for each operating system that the launcher runs on."""
    session.run("mypy", "pack", "backend", "tests", "noxfile.py")
    for system in SYSTEMS:
        session.run("mypy", "--platform", system, "launcher")


def check_workflows(session: nox.Session) -> None:
    """Run actionlint and zizmor on .github/."""
    session.run("actionlint", *map(str, sorted(Path(".github", "workflows").glob("*.yml"))))
    session.run("zizmor", "--offline", "--no-progress", "--pedantic", ".github")


def check_electron(session: nox.Session) -> None:
    """Run the npm scripts of electron-resources/, without Electron's own program, which no test needs."""
    for tool, remedy in (("npm", "install Node 20 or later"), ("chromium", "apt-get install chromium")):
        if shutil.which(tool) is None:
            session.error(f"{tool} is not on this machine: {remedy}.")
    found = sorted(Path("dist").glob("*/resources"))
    if not found:
        session.error("no engine is built: run nox -s tests, or the stage session, first.")
    environment = {"PEFT_STUDIO_RESOURCES": str(found[0].absolute())}
    with session.chdir("electron-resources"):
        # Without install scripts: the only ones are downloads of programs that no test needs.
        session.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", external=True, env=environment)
        for script in ("lint", "types", "test"):
            session.run("npm", "run", script, external=True, env=environment)
