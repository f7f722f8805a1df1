"""Fixtures of the launcher's tests."""

from tests.builders.packed_fixtures import default, harmed, home, installed, packed

__all__ = ["default", "harmed", "home", "installed", "packed"]
