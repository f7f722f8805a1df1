"""What conda's activation would set: the scripts in etc/conda/activate.d are run, and their effect is recorded.

The launcher starts the interpreter without a shell. So the scripts run here, once with nothing set and once with all
set that they set: what comes out tells which values are theirs, and which they leave to the user.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING

from launcher.environ import clean_environment
from launcher.variables import PREFIX, Variable
from pack.errors import ProgramFailed, UnsafeEntries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from launcher.platforms import Platform
    from pack.source import Source

SCRIPTS = "etc/conda/activate.d/"
CERTIFICATES = "SSL_CERT_FILE"
_BUNDLES = ("ssl/cacert.pem", "Library/ssl/cacert.pem", "/certifi/cacert.pem")  # in this order; the last anywhere
_USERS = "the user's own"
_SYSTEMS = ("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT")  # Windows'
_FOR_LATER = ("_CONDA_", "__CONDA_")  # what a script leaves for the one that undoes it
_SHELLS_OWN = {"_", "SHLVL", "PWD", "OLDPWD"}
_SHOW = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


def record_activation(prefix: Path, sources: Sequence[Source], platform: Platform) -> dict[str, Variable]:
    """Return the variables that the scripts among `sources` set, and where OpenSSL finds certificates.

    Raises UnsafeEntries for an effect that a list of values cannot express, ProgramFailed where a script fails.
    """
    suffix = ".bat" if platform.is_windows else ".sh"
    paths = sorted(
        source.path for source in sources if source.path.startswith(SCRIPTS) and source.path.endswith(suffix)
    )
    scripts = [prefix / path for path in paths]
    variables = _record(prefix, scripts, platform) if scripts else {}
    bundle = find_certificates(source.path for source in sources)
    if bundle is not None and CERTIFICATES not in variables:
        # OpenSSL's own places are those of the machine that compiled it, which a user's may not have.
        variables[CERTIFICATES] = Variable(f"{PREFIX}/{bundle}", unless_set=True)
    return dict(sorted(variables.items()))


def find_certificates(paths: Iterable[str]) -> str | None:
    """Return which of the paths holds the certificates that a runtime trusts, None where none does."""
    known = sorted(path for path in paths if path.endswith("cacert.pem"))
    for bundle in _BUNDLES:
        for path in known:
            if path == bundle or (bundle.startswith("/") and path.endswith(bundle)):
                return path
    return None


def _record(prefix: Path, scripts: Sequence[Path], platform: Platform) -> dict[str, Variable]:
    with tempfile.TemporaryDirectory(prefix="activation-") as scratch:
        plain = clean_environment(_system() | {"HOME": scratch}, prefix, platform)
        before = _run(prefix, [], plain, platform, Path(scratch))
        after = _run(prefix, scripts, plain, platform, Path(scratch))
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        if taken := sorted(before.keys() & changed.keys() | before.keys() - after.keys()):
            raise UnsafeEntries(f"a script in {SCRIPTS} changes {taken[0]}, which the launcher sets by itself")
        given = plain | dict.fromkeys(changed, _USERS)
        again = _run(prefix, scripts, given, platform, Path(scratch))
        return {name: _variable(name, value, again.get(name), prefix, scratch) for name, value in changed.items()}


def _system() -> dict[str, str]:
    """Return what no program goes without."""
    return {"PATH": os.defpath} | {name: os.environ[name] for name in _SYSTEMS if name in os.environ}


def _variable(name: str, value: str, again: str | None, prefix: Path, scratch: str) -> Variable:
    """Return what a script set `name` to, with nothing there before and with the user's own there (`again`)."""
    if again not in {value, _USERS}:
        raise UnsafeEntries(f"a script in {SCRIPTS} makes {name} of what it was before")
    if PREFIX in value or scratch in value or not value.isprintable():
        raise UnsafeEntries(f"a script in {SCRIPTS} sets {name} to what no other machine has: {value!r}")
    return Variable(value.replace(str(prefix), PREFIX), unless_set=again == _USERS)


def _run(
    prefix: Path, scripts: Sequence[Path], environment: Mapping[str, str], platform: Platform, scratch: Path
) -> dict[str, str]:
    """Return the environment of a program that is started after the scripts, by the shell that ran them."""
    shown, program = scratch / "environment.json", scratch / ("run.bat" if platform.is_windows else "run.sh")
    python = prefix / platform.python
    if platform.is_windows:
        lines = [*(f'@call "{script}"' for script in scripts), f'@"{python}" -E -c "{_SHOW}" "{shown}"']
        shell = ["cmd", "/d", "/c"]
    else:
        lines = [*(f". {quote(str(script))}" for script in scripts), join([str(python), "-E", "-c", _SHOW, str(shown)])]
        shell = ["/bin/sh"]
    program.write_text("\n".join([*lines, ""]), encoding="utf-8")
    run = subprocess.run([*shell, program], env=dict(environment), capture_output=True, text=True, check=False)
    if run.returncode:
        raise ProgramFailed(f"A script in {prefix / SCRIPTS}", run.returncode, run.stdout + run.stderr)
    found: dict[str, str] = json.loads(shown.read_text(encoding="utf-8"))
    return {n: value for n, value in found.items() if n not in _SHELLS_OWN and not n.startswith(_FOR_LATER)}
