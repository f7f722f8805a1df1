"""What workers tell, for tests of whoever hears it."""

from __future__ import annotations

from backend.training.events import Progress

STEP = Progress(
    time="2026-01-01T00:00:00+00:00",
    step=3,
    total_steps=9,
    epoch=0.5,
    loss=2.5,
    learning_rate=1e-3,
    grad_norm=0.1,
    tokens_per_second=10.0,
    elapsed=1.0,
    remaining=2.0,
)
