"""conda-forge, in small: repodata with its real names, versions, build numbers and dependencies between builds.

Every pytorch, libtorch and CUDA record that carries python 3.12 or 3.13 is one that public lock files name. Those for
python 3.11 follow conda-forge's pattern, with a made-up hash: its recipe builds them, no lock we know of names them.
So do all records of linux-aarch64 and osx-64.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GLIBC = "__glibc >=2.17,<3.0.a0"
NEW_GLIBC = "__glibc >=2.28,<3.0.a0"


@dataclass(frozen=True)
class Record:
    """One package of repodata.json."""

    subdir: str
    name: str
    version: str
    build: str
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.build}.conda"

    def entry(self) -> dict[str, object]:
        return {
            "build": self.build,
            "build_number": int(next(part for part in reversed(self.build.split("_")) if part.isdigit())),
            "constrains": self.constrains,
            "depends": self.depends,
            "name": self.name,
            "sha256": hashlib.sha256(self.file_name.encode()).hexdigest(),
            "size": 1000,
            "subdir": self.subdir,
            "version": self.version,
            **({"noarch": "python"} if self.subdir == "noarch" else {}),
        }


def write_conda_forge(folder: Path, also: Sequence[Record] = ()) -> Path:
    """Write the channel into `folder`, with the records `also`, and return it."""
    records = [*_noarch(), *_python(), *_compiled(), *_torch(), *_cuda(), *also]
    return write_channel(folder, records, *Platform)


def write_channel(folder: Path, records: Sequence[Record], *subdirs: str) -> Path:
    """Write a channel of `records`, and an empty file for each, into `folder`; return it."""
    for subdir in ("noarch", *subdirs):
        here = [one for one in records if one.subdir == subdir]
        document = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": {one.file_name: one.entry() for one in here},
            "repodata_version": 1,
        }
        (folder / subdir).mkdir(parents=True)
        (folder / subdir / "repodata.json").write_text(json.dumps(document))
        for one in here:
            (folder / subdir / one.file_name).touch()
    return folder


def _noarch() -> list[Record]:
    """Return packages of pure Python."""
    pure = [
        ("transformers", "5.15.1", ("huggingface_hub >=1.5,<2", "tokenizers >=0.22.0,<=0.23.0", "safetensors >=0.8.0")),
        ("peft", "0.19.1", ("pytorch >=1.13.0", "transformers", "accelerate >=0.21.0")),
        ("accelerate", "1.13.0", ("pytorch >=2.0.0", "huggingface_hub")),
        ("datasets", "5.0.0", ("pyarrow >=21", "huggingface_hub")),
        ("huggingface_hub", "1.27.0", ()),
        ("nvidia-ml-py", "13.595.45", ()),
        ("fastapi", "0.138.2", ("pydantic >=2.9.0",)),
        ("uvicorn", "0.51.0", ()),
        ("pydantic", "2.13.4", ()),
        ("python-multipart", "0.0.29", ()),
        ("platformdirs", "4.11.2", ()),
        ("keyring", "25.7.0", ()),
    ]
    records = [
        Record("noarch", name, version, "pyhd8ed1ab_0", ("python >=3.10", *needs)) for name, version, needs in pure
    ]
    unix, windows = ("__unix", "uvloop >=0.15.1"), ("__win", "colorama >=0.4")
    for system, build in ((unix, "h4cd5af1_0"), (windows, "hcfb189c_0")):
        records.append(Record("noarch", "uvicorn-standard", "0.51.0", build, ("uvicorn 0.51.0", *system)))
    for cuda, build in (("12.8", "h5d125a7_3"), ("12.9", "h4f385c5_3"), ("13.0", "hc5c8eb4_3")):
        least = f"__cuda >={cuda.partition('.')[0]}"
        records.append(Record("noarch", "cuda-version", cuda, build, (), (least,)))
    return [*records, Record("noarch", "colorama", "0.4.6", "pyhd8ed1ab_1", ("python >=3.9",))]


def _python() -> list[Record]:
    """Return the interpreter, on five platforms."""
    return [
        Record("linux-aarch64", "python", "3.11.15", "h91f4b29_1_cpython", (GLIBC,)),
        Record("osx-64", "python", "3.11.15", "ha9537fe_1_cpython", ("__osx >=11.0",)),
        Record("linux-64", "python", "3.11.15", "h7508c33_1_cpython", (GLIBC,)),
        Record("linux-64", "python", "3.12.13", "h8ab3286_1_cpython", (GLIBC,)),
        Record("win-64", "python", "3.11.15", "h0159041_1_cpython"),
        Record("win-64", "python", "3.12.13", "hb12b558_1_cpython"),
        Record("osx-arm64", "python", "3.11.15", "h8561d8f_1_cpython", ("__osx >=11.0",)),
        Record("osx-arm64", "python", "3.12.13", "hd1323d7_1_cpython", ("__osx >=11.0",)),
    ]


def _compiled() -> list[Record]:
    """Return packages with a build for each platform, without more needs than Python's."""
    builds = {
        "linux-64": "py311ha21528d_0",
        "linux-aarch64": "py311hc8f2c24_0",
        "win-64": "py311h9468d6e_0",
        "osx-64": "py311h4d7f069_0",
        "osx-arm64": "py311hab2ecbf_0",
    }
    versions = {
        "tokenizers": "0.22.2",
        "safetensors": "0.8.0",
        "pyarrow": "25.0.0",
        "websockets": "16.0",
        "sqlalchemy": "2.0.52",
        "psutil": "7.2.2",
        "numpy": "2.4.6",
    }
    records = [
        Record(subdir, name, version, build, ("python >=3.11,<3.12.0a0",))
        for subdir, build in builds.items()
        for name, version in versions.items()
    ]
    uvloop = ("uvloop", "0.23.0", "py311h49ec1c0_0", ("python >=3.11,<3.12.0a0",))
    return [*records, *(Record(subdir, *uvloop) for subdir in builds if subdir != "win-64")]


def _torch() -> list[Record]:
    """Return every kind of pytorch 2.13.0, for 3.11 and for the version that a public lock holds."""
    kinds = [
        ("linux-64", "cuda129_mkl", "302", ("py312_h0509a7e", "py311_h1111111"), "12.9"),
        ("linux-64", "cuda130_mkl", "302", ("py311_h2222222",), "13.0"),
        ("linux-64", "cpu_mkl", "102", ("py312_h999dc20", "py311_h3333333"), None),
        ("win-64", "cuda128_mkl", "302", ("py313_h2820626", "py311_h4444444"), "12.8"),
        ("win-64", "cuda130_mkl", "302", ("py311_h5555555",), "13.0"),
        ("win-64", "cpu_mkl", "102", ("py313_h71f30b3", "py311_h6666666"), None),
        ("linux-aarch64", "cuda129_generic", "202", ("py311_h8888888",), "12.9"),
        ("linux-aarch64", "cpu_generic", "2", ("py311_h9999999",), None),
        ("osx-64", "cpu_mkl", "102", ("py311_haaaaaaa",), None),
        ("osx-arm64", "cpu_generic", "2", ("py313_hc574c4b", "py311_h7777777"), None),
    ]
    records = []
    for subdir, kind, number, pythons, cuda in kinds:
        system = {"linux": (GLIBC,), "win": (), "osx": ("__osx >=12.0",)}[subdir.partition("-")[0]]
        on_card = ("__cuda", f"cuda-version >={cuda},<{int(cuda.partition('.')[0]) + 1}") if cuda else ()
        if cuda and subdir == "linux-64":
            on_card = (*on_card, "libcudnn >=9.10.2.21,<10.0a0")
        records.append(Record(subdir, "libtorch", "2.13.0", f"{kind}_h546cc0b_{number}", (*system, *on_card)))
        for python in pythons:
            minor = f"3.{python[3:5]}"
            above = f"3.{int(python[3:5]) + 1}"
            needs = (*system, *on_card, f"python >={minor},<{above}.0a0", f"libtorch 2.13.0 {kind}_h546cc0b_{number}")
            records.append(Record(subdir, "pytorch", "2.13.0", f"{kind}_{python}_{number}", needs))
    return records


def _cuda() -> list[Record]:
    """Return what CUDA builds bring along, and bitsandbytes, which conda-forge has for Linux and CUDA 12 only."""
    needs = ("cuda-version >=12.9,<13", "pytorch >=2.3", "python >=3.11,<3.12.0a0", "numpy >=1.17")
    return [
        Record("linux-64", "libcudnn", "9.10.2.21", "hf7e9902_0", (NEW_GLIBC,)),
        Record("linux-64", "bitsandbytes", "0.50.2", "cuda129_py311hb451f86_200", needs),
        Record("linux-64", "bitsandbytes", "0.50.2", "cpu_py311h0badbad_0", needs[1:]),
    ]
