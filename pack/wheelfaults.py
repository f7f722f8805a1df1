"""The many ways in which libraries say that a wheel is not what it should be, as the one error that people meet."""

from __future__ import annotations

import configparser
import errno
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry

from pack.errors import WheelInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# installer asserts what it reads; zipfile has a RuntimeError for what is encrypted, or packed as it does not know.
_FAULTS = (
    *(BadZipFile, zlib.error, EOFError, RuntimeError, KeyError, ValueError, configparser.Error),
    *(InstallerError, InvalidRecordEntry, AssertionError),
)
# What a system says of places in a file, and of names, that cannot be; all else that it says is not the wheel's fault.
# installer says of a file that is there twice what the system would, without a number.
_ITS_OWN = frozenset({None, errno.EINVAL, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EILSEQ})


@contextmanager
def faults_of(wheel: Path, problem: str) -> Iterator[None]:
    """Raise WheelInvalid, which names `wheel` and says `problem`, for whatever its content makes the block raise."""
    try:
        yield
    except (*_FAULTS, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _ITS_OWN:
            raise
        raise WheelInvalid(f"{problem} ({type(error).__name__}: {error})", wheel) from error
