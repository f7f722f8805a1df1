"""A question is a repeat for a moment after it was answered, and no longer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from backend import repeats
from backend.repeats import REPEAT_SECONDS, RepeatWatch

if TYPE_CHECKING:
    import pytest


def test_the_last_question_is_a_repeat_until_its_moment_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(repeats, "time", SimpleNamespace(monotonic=lambda: clock.now))
    watch = RepeatWatch()
    assert not watch.is_repeat(b"one")
    assert watch.is_repeat(b"one")
    clock.now += REPEAT_SECONDS / 2
    assert watch.is_repeat(b"one")
    clock.now += REPEAT_SECONDS / 2  # since it was answered: refusing it prolongs nothing
    assert not watch.is_repeat(b"one")
    assert watch.is_repeat(b"one")


def test_another_question_makes_the_one_before_it_new() -> None:
    watch = RepeatWatch()
    assert [watch.is_repeat(question) for question in (b"one", b"two", b"one")] == [False, False, False]
