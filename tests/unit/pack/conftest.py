"""What tests of the packer share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def umask() -> Iterator[None]:
    """Whatever a test sets the umask to, it is as before afterwards."""
    before = os.umask(0o022)
    yield
    os.umask(before)
