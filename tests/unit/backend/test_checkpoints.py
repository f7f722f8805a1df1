"""Which checkpoint a training goes on from, and what it says when memory runs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.clock import now
from backend.training.checkpoints import last_whole, mark
from backend.training.events import Evaluated, Event, Note, Progress, replayed
from backend.training.memory import remedy, says_out_of_memory
from backend.training.plan import TrainingPlan

PLAN = TrainingPlan(name="a", model="m", dataset=Path("/d"), batch_size=6, gradient_accumulation=2, max_seq_length=1024)


def checkpoint(folder: Path, step: int, *, whole: bool) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "optimizer.pt").write_bytes(b"state")
    if whole:
        mark(path)
    return path


def test_without_a_checkpoint_the_training_begins_anew(tmp_path: Path) -> None:
    assert last_whole(tmp_path / "none") is None


def test_the_last_whole_one_counts_and_torn_ones_go(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9, whole=True)
    wanted = checkpoint(tmp_path, 10, whole=True)
    torn = checkpoint(tmp_path, 11, whole=False)
    assert last_whole(tmp_path) == wanted
    assert not torn.exists()


def step(number: int, loss: float) -> Progress:
    return Progress(
        time=now(),
        step=number,
        total_steps=9,
        epoch=0.5,
        loss=loss,
        learning_rate=1e-3,
        grad_norm=0.1,
        tokens_per_second=10.0,
        elapsed=1.0,
        remaining=2.0,
    )


def test_steps_that_were_trained_again_are_told_once() -> None:
    note = Note(time=now(), level="INFO", message="killed")
    validated = Evaluated(time=now(), step=2, loss=1.0, perplexity=2.7)
    told: list[Event] = [step(1, 4.0), step(2, 3.0), validated, step(3, 2.0), note, step(2, 3.5), step(3, 2.5)]
    assert replayed(told) == [told[0], validated, note, *told[-2:]]


@pytest.mark.parametrize(
    "sentence",
    [
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
        "MPS backend out of memory (MPS allocated: 17.98 GB)",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory",
    ],
)
def test_torchs_sentences_about_memory_are_understood(sentence: str) -> None:
    assert says_out_of_memory(RuntimeError(sentence))


def test_other_errors_are_not_about_memory() -> None:
    assert not says_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert says_out_of_memory(MemoryError())


def test_the_advice_keeps_what_is_learnt_if_it_can() -> None:
    said = remedy(PLAN, cuda=True)
    assert said.startswith("Choose batch_size 3 with gradient_accumulation 4, which learns the same, or ")
    assert "max_seq_length 512" in said
    assert "qlora" in said


def test_no_advice_is_given_that_does_nothing() -> None:
    small = TrainingPlan(
        name="a", model="m", dataset=Path("/d"), batch_size=1, gradient_checkpointing=True, max_seq_length=64
    )
    assert remedy(small, cuda=False) == "Choose a smaller model."
