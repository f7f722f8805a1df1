"""Whether a question is the last one again."""

from __future__ import annotations

import time

REPEAT_SECONDS = 1.5


class RepeatWatch:
    """Remembers the last question that was answered, for REPEAT_SECONDS."""

    def __init__(self) -> None:
        self._question = b""
        self._until = 0.0

    def is_repeat(self, question: bytes) -> bool:
        """Tell whether this is the last question again; if not, it is the last one now."""
        if question == self._question and time.monotonic() < self._until:
            return True
        self._question, self._until = question, time.monotonic() + REPEAT_SECONDS
        return False
