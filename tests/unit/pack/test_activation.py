"""What conda's activation would set is recorded when packing or refused by name, and set at the start."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from launcher.platforms import Platform
from launcher.variables import Variable
from pack.activation import find_certificates, record_activation
from pack.condapack import collect
from pack.errors import ProgramFailed, UnsafeEntries
from tests.builders.launching import ask, packages
from tests.builders.prefix import Package, make_prefix
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from pathlib import Path

HERE = Platform.current()
# As conda-forge's packages write them: geotiff, openssl (on Windows), and plain ones.
DATA = """
if [ -n "${GEOTIFF_CSV:-}" ]; then
    export _CONDA_SET_GEOTIFF_CSV="$GEOTIFF_CSV"
fi
export GEOTIFF_CSV="$CONDA_PREFIX/share/epsg_csv"
"""
UNLESS = """
if [ "${SSL_CERT_FILE:-}" = "" ]; then
    export SSL_CERT_FILE="${CONDA_PREFIX}/ssl/cacert.pem"
    export __CONDA_OPENSSL_CERT_FILE_SET=1
fi
local_only=1
"""


def with_scripts(root: Path, **scripts: str) -> Path:
    """Make a prefix, in a folder with a blank and an apostrophe, of which a package brings scripts."""
    files: dict[str, str | bytes] = {f"etc/conda/activate.d/{name}.sh": text for name, text in scripts.items()}
    return make_prefix(root / "it's a build", [*packages(), Package("scripts", "1", files)])


def record(prefix: Path) -> dict[str, Variable]:
    return record_activation(prefix, collect(prefix, "test"), HERE)


def test_scripts_are_run_and_their_variables_recorded(tmp_path: Path) -> None:
    assert record(with_scripts(tmp_path, data=DATA, certificates=UNLESS, one="export ONE=1")) == {
        "GEOTIFF_CSV": Variable("{prefix}/share/epsg_csv", unless_set=False),
        "ONE": Variable("1", unless_set=False),
        "SSL_CERT_FILE": Variable("{prefix}/ssl/cacert.pem", unless_set=True),
    }


def test_a_prefix_without_scripts_sets_nothing(tmp_path: Path) -> None:
    assert record(make_prefix(tmp_path, packages())) == {}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('export PATH="$CONDA_PREFIX/libexec:$PATH"', "changes PATH, which the launcher sets by itself"),
        ("unset PYTHONNOUSERSITE", "changes PYTHONNOUSERSITE"),
        ('export XDG_DATA_DIRS="$CONDA_PREFIX/share:${XDG_DATA_DIRS:-}"', "makes XDG_DATA_DIRS of what it was before"),
        ('export CACHE="$HOME/.cache"', "sets CACHE to what no other machine has"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(script: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeEntries) as raised:
        record(with_scripts(tmp_path, some=script))
    assert words in raised.value.message


def test_a_script_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"activate\.d ended with status 3:\nno license"):
        record(with_scripts(tmp_path, some="echo 'no license'; exit 3"))


def test_the_backend_gets_what_activation_would_set(tmp_path: Path) -> None:
    scripts = {f"etc/conda/activate.d/{n}.sh": text for n, text in (("data", DATA), ("certificates", UNLESS))}
    resources, manifest = make_resources(tmp_path, [*packages(), Package("scripts", "1", dict(scripts))])
    header = (resources / "manifest.json").read_bytes()
    assert len(header) < 16 * 1024
    assert json.loads(header)["environment"]["GEOTIFF_CSV"] == {"value": "{prefix}/share/epsg_csv", "unlessSet": False}
    home = tmp_path / "home é"
    slot = home / "rt" / manifest.slot_name
    found = ask(resources, home, environment={"SSL_CERT_FILE": "", "GEOTIFF_CSV": "mine"}).last("listening")[
        "environment"
    ]
    assert found["GEOTIFF_CSV"] == sourced(slot, "$GEOTIFF_CSV") == f"{slot}/share/epsg_csv"
    assert found["SSL_CERT_FILE"] == f"{slot}/ssl/cacert.pem"
    mine = ask(resources, home, environment={"SSL_CERT_FILE": "/etc/company.pem"}).last("listening")["environment"]
    assert mine["SSL_CERT_FILE"] == "/etc/company.pem"


def sourced(slot: Path, text: str) -> str:
    """Return what a shell makes of `text` once it has sourced the scripts, as conda's activation does."""
    script = f'for each in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do . "$each"; done; printf %s "{text}"'
    run = subprocess.run(
        ["sh", "-c", script], env={"CONDA_PREFIX": str(slot)}, capture_output=True, text=True, check=True
    )
    return run.stdout


class TestCertificates:
    def test_are_the_ones_of_the_runtime_where_no_script_says_so(self, tmp_path: Path) -> None:
        bundle = "lib/python3.11/site-packages/certifi/cacert.pem"
        prefix = make_prefix(tmp_path, [*packages(), Package("certifi", "1", {bundle: "certificates"})])
        assert record(prefix) == {"SSL_CERT_FILE": Variable("{prefix}/" + bundle, unless_set=True)}

    def test_are_openssl_s_own_before_certifi_s(self) -> None:
        certifi = "lib/python3.11/site-packages/certifi/cacert.pem"
        assert find_certificates([certifi, "ssl/cacert.pem"]) == "ssl/cacert.pem"
        assert find_certificates([certifi, "Library/ssl/cacert.pem"]) == "Library/ssl/cacert.pem"
        assert find_certificates(["lib/other/cacert.pem"]) is None


def test_the_order_of_scripts_is_their_names(tmp_path: Path) -> None:
    found = record(with_scripts(tmp_path, b="export ORDER=b", a="export ORDER=a"))
    assert found["ORDER"].value == "b"
    assert tuple(found["ORDER"].as_dict().values()) == ("b", False)
