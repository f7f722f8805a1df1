"""Build what the tests of the packed runtime need: `python -m tests.build`."""

from __future__ import annotations

from pack.console import ProgressLines
from pack.pipeline import Act
from tests.builders.engine import build_engine

if __name__ == "__main__":
    build_engine(Act.VERIFY, ProgressLines())
