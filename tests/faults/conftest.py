"""Fixtures of the launcher's tests."""

from tests.builders.packed_fixtures import harmed, home, installed, packed

__all__ = ["harmed", "home", "installed", "packed"]
