"""The packed interpreter trusts what a user's machine has no folder for, and the user's own certificates before it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from launcher.environ import backend_environment
from launcher.home import Home
from tests.builders.backend import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Manifest

pytestmark = [pytest.mark.runtime, pytest.mark.root]
# OpenSSL's own places, on a machine that has none of them: what a Fedora shows to a Debian's OpenSSL.
_HIDE = "for place in /usr/lib/ssl /etc/ssl /etc/pki; do [ ! -d $place ] || mount -t tmpfs none $place; done; "
_ASK = "import json, ssl; print(json.dumps(ssl.create_default_context().cert_store_stats()))"


def trusted(python: Path, environment: dict[str, str]) -> int:
    """Return how many authorities the interpreter trusts where the system has no folder of certificates."""
    command = ["unshare", "--mount", "sh", "-c", f'{_HIDE} exec "$0" -c "$1"', str(python), _ASK]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=DEADLINE)
    count: int = json.loads(run.stdout)["x509_ca"]
    return count


def test_the_runtimes_certificates_are_found_where_the_system_has_none(
    runtime_python: Path, slot: Path, home: Path, manifest: Manifest, tmp_path: Path
) -> None:
    parent = {"PATH": "/usr/bin:/bin"}
    found = backend_environment(parent, slot, Home(home), manifest)
    assert trusted(runtime_python, found) > 100
    assert trusted(runtime_python, {name: value for name, value in found.items() if name != "SSL_CERT_FILE"}) == 0
    (tmp_path / "none.pem").write_text("")
    mine = backend_environment(parent | {"SSL_CERT_FILE": str(tmp_path / "none.pem")}, slot, Home(home), manifest)
    assert mine["SSL_CERT_FILE"] == str(tmp_path / "none.pem")
