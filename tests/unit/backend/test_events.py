"""Events on their way from a worker to the app."""

from __future__ import annotations

import dataclasses

import pytest

from backend.clock import now
from backend.routes.frames import frames
from backend.states import State
from backend.training.events import Changed, Event, Failed, Note, Saved, from_line, to_line
from tests.builders.events import STEP

EVENTS: list[Event] = [
    STEP,
    dataclasses.replace(STEP, grad_norm=None),
    Note(time=now(), level="INFO", message="é\n"),
    Saved(time=now(), adapter="/adapters/1"),
    Failed(time=now(), code="out-of-memory", message="Memory ran out", remedy="Use less."),
    *(Changed(time=now(), state=state) for state in State),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_survives_its_line(event: Event) -> None:
    assert "\n" not in to_line(event)
    assert from_line(to_line(event)) == event


@pytest.mark.parametrize("event", EVENTS)
def test_every_frame_has_a_type_and_no_null(event: Event) -> None:
    for frame in frames(event):
        assert frame["type"] in {"training_update", "metrics", "log_entry", "status_change"}
        assert all(value is not None for value in frame["data"].values())


@pytest.mark.parametrize("state", State)
def test_the_app_hears_only_states_that_it_knows(state: State) -> None:
    (frame,) = frames(Changed(time=now(), state=state))
    assert frame["data"]["status"] in {"running", "paused", "completed", "failed"}
    assert frame["data"]["state"] == state.value


def test_a_step_is_told_in_both_dialects() -> None:
    update, metrics = frames(STEP)
    assert (update["data"]["learningRate"], update["data"]["progress"]) == (STEP.learning_rate, 33)
    assert (metrics["data"]["learning_rate"], metrics["data"]["elapsed_time"]) == (STEP.learning_rate, STEP.elapsed)
