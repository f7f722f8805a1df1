"""Watch a training from inside transformers' Trainer: tell each step, save now and then, stop when asked."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.clock import now
from backend.training import checkpoints
from backend.training.events import Evaluated, Event, Progress
from backend.training.meters import Meters
from backend.working import CannotWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.training.plan import TrainingPlan
    from backend.training.world import World

CHECKPOINT_SECONDS = 300.0
LARGEST_EXPONENT = 700.0  # e to the power of more is no number that a computer has


def monitor(plan: TrainingPlan, tell: Callable[[Event], None], asked_to_stop: Callable[[], bool], world: World) -> Any:
    """Return a callback for the Trainer."""
    import transformers

    class Monitor(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is imported late
        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            self.began = self.saved = time.monotonic()
            self.first_step, self.first_token = state.global_step, state.num_input_tokens_seen
            self.examples_per_step = plan.batch_size * plan.gradient_accumulation * world.size
            self.meters = Meters()
            self.validated: dict[str, Any] = {}

        def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
            if plan.save_steps is None:
                due = time.monotonic() - self.saved >= CHECKPOINT_SECONDS
            else:
                due = state.global_step % plan.save_steps == 0
            stop, due = world.any(asked_to_stop(), due)
            control.should_save = due or stop
            control.should_training_stop = control.should_training_stop or stop

        def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
            world.wait()  # each process has written its part
            if world.local_rank == 0:
                checkpoints.mark(Path(args.output_dir, f"{checkpoints.PREFIX}{state.global_step}"))
            self.saved = time.monotonic()

        def on_evaluate(self, _args: Any, state: Any, _control: Any, metrics: dict[str, float], **_: Any) -> None:
            loss = float(metrics["eval_loss"])
            if math.isfinite(loss):
                perplexity = math.exp(min(loss, LARGEST_EXPONENT))
                self.validated = {"val_loss": loss, "val_perplexity": perplexity}
                tell(Evaluated(time=now(), step=state.global_step, loss=loss, perplexity=perplexity))

        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs:  # of a validation, or the summary at the end
                return
            loss, grad_norm = float(logs["loss"]), float(logs["grad_norm"])
            if not math.isfinite(loss):
                message = f"The training has diverged: the loss of step {state.global_step} is {loss}"
                raise CannotWork("training-diverged", message, "Choose a lower learning_rate or lora_alpha.")
            if not world.leads:
                return
            elapsed = time.monotonic() - self.began
            steps = state.global_step - self.first_step
            tokens = state.num_input_tokens_seen - self.first_token
            tell(
                Progress(
                    time=now(),
                    step=state.global_step,
                    total_steps=state.max_steps,
                    epoch=logs["epoch"],
                    loss=loss,
                    learning_rate=logs["learning_rate"],
                    grad_norm=grad_norm if math.isfinite(grad_norm) else None,
                    tokens_per_second=round(float(tokens) / elapsed, 1),
                    samples_per_second=round(steps * self.examples_per_step / elapsed, 2),
                    elapsed=round(elapsed, 3),
                    remaining=round(elapsed / steps * (state.max_steps - state.global_step), 3),
                    **self.validated,
                    **self.meters.read(),
                )
            )

    return Monitor()
