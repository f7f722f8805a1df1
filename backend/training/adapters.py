"""Put an adapter on a model, and save it. For workers: peft is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.training.plan import PROMPT_METHODS
from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from backend.training.plan import MethodName, TrainingPlan

# IA³ scales the inputs of these layers and the outputs of the others that it is given.
FEED_FORWARD_ENDS = ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "wo", "w2")
LORA_FAMILY: dict[MethodName, dict[str, Any]] = {
    "lora": {},
    "qlora": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "pissa": {"init_lora_weights": "pissa"},
}
PISSA_START = "pissa-start"


def put_adapter(base: Any, plan: TrainingPlan, folder: Path | None) -> Any:
    """Return the model with a new adapter, which alone will be trained; `folder` is the job's, if it saves here.

    Raises CannotWork (adapter-not-fitting).
    """
    import peft

    if plan.quantization != "none":
        base = peft.prepare_model_for_kbit_training(base, use_gradient_checkpointing=plan.gradient_checkpointing)
    try:
        model = peft.get_peft_model(base, _config(peft, plan))
    except ValueError as error:  # what peft raises for layers that the model has not, or that cannot be adapted
        message = f"{plan.method} does not fit {plan.model}: {first_line(error)}"
        remedy = "Leave target_modules out to adapt the usual layers, or name layers of this model."
        raise CannotWork("adapter-not-fitting", message, remedy) from error
    if plan.method == "pissa" and folder is not None and not (folder / PISSA_START).exists():
        # Where it started from is what turns it into a plain LoRA in the end.
        _as_lora(model, folder / PISSA_START)
    return model


def save_adapter(model: Any, plan: TrainingPlan, adapter: Path, folder: Path) -> Path:
    """Save a trained adapter to a folder that `adapter` will be renamed from, and return it."""
    partial = adapter.with_name(f".{adapter.name}.partial")  # no name of an adapter begins so
    if plan.method == "pissa":
        model.save_pretrained(partial, path_initial_model_for_weight_conversion=str(folder / PISSA_START))
    else:
        model.save_pretrained(partial)
    return partial


def _config(peft: Any, plan: TrainingPlan) -> Any:
    if plan.method == "prefix-tuning":
        return peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=plan.virtual_tokens)
    if plan.method == "prompt-tuning":
        return peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=plan.virtual_tokens)
    if plan.method == "ia3":
        return _ia3(peft, plan)
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.r,
        lora_alpha=plan.lora_alpha,
        lora_dropout=plan.lora_dropout,
        target_modules=list(plan.target_modules) if plan.target_modules else "all-linear",
        **LORA_FAMILY[plan.method],
    )


def _ia3(peft: Any, plan: TrainingPlan) -> Any:
    if plan.target_modules is None:
        return peft.IA3Config(task_type="CAUSAL_LM")  # peft knows the usual layers of each architecture
    ends = [name for name in plan.target_modules if name.rpartition(".")[2] in FEED_FORWARD_ENDS]
    return peft.IA3Config(task_type="CAUSAL_LM", target_modules=list(plan.target_modules), feedforward_modules=ends)


def _as_lora(model: Any, folder: Path) -> None:
    """Save a PiSSA adapter as it starts, under a configuration that does not decompose the model's weights again."""
    config = model.peft_config["default"]
    kept, config.init_lora_weights = config.init_lora_weights, True
    model.save_pretrained(folder)
    config.init_lora_weights = kept


def extra_tokens(plan: TrainingPlan) -> int:
    """Return how many positions of the model's context the method takes for itself."""
    return plan.virtual_tokens if plan.method in PROMPT_METHODS else 0
