"""The bodies that clients send. The app has two spellings of most fields, and null for those it left empty."""

# Annotations are read by pydantic when the module is imported, so they are not deferred here.
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from backend.datasets.statistics import Extent
from backend.defaults import Situation, batch_defaults, examples_of_a_step, learning_rate
from backend.hardware import Device
from backend.jobs.job import WaitsFor
from backend.models.names import model_name
from backend.training.plan import (
    RENDEZVOUS_ID,
    MethodName,
    Precision,
    Quantization,
    TrainingPlan,
    split_endpoint,
)
from backend.wizard import flatten, method_name, quantization_name

SEED_LIMIT = 2**32


def _spelled(*names: str, **constraints: Any) -> Any:
    """Return a field that goes by any of the names; the first is the one we document."""
    return Field(validation_alias=AliasChoices(*names), **constraints)


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class StartTraining(BaseModel):
    """What to train, on what, and how. Fields that are not named here are the app's own and are left alone.

    `dataset` is the id of an upload or a full path. What the wizard nests is understood as well.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    model: Annotated[str, AfterValidator(model_name)] = _spelled(
        "model", "base_model", "modelPath", "model_path", "modelName", "model_name", min_length=1
    )
    dataset: str = _spelled(
        "dataset", "dataset_id", "datasetId", "dataset_path", "datasetPath", min_length=1, coerce_numbers_to_str=True
    )
    name: str = _spelled("name", "output_name", "outputName", default="adapter", min_length=1, max_length=200)
    method: Annotated[MethodName, BeforeValidator(method_name)] = _spelled(
        "method", "peft_method", "peftMethod", "algorithm", default="lora"
    )
    r: int = _spelled("r", "lora_r", "loraR", "rank", default=16, ge=1, le=1024)
    lora_alpha: int = _spelled("lora_alpha", "loraAlpha", "alpha", default=32, ge=1)
    lora_dropout: float = _spelled("lora_dropout", "loraDropout", "dropout", default=0.05, ge=0, lt=1)
    target_modules: Annotated[list[str], BeforeValidator(_one_or_many)] | None = _spelled(
        "target_modules", "targetModules", default=None, min_length=1
    )
    virtual_tokens: int = _spelled("virtual_tokens", "num_virtual_tokens", default=20, ge=1, le=1000)
    quantization: Annotated[Quantization, BeforeValidator(quantization_name)] = _spelled("quantization", default="none")
    learning_rate: float | None = _spelled("learning_rate", "learningRate", default=None, gt=0, le=1)
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial"] = _spelled(
        "lr_scheduler", "scheduler", default="linear"
    )
    optimizer: Literal["adamw", "sgd"] = _spelled("optimizer", default="adamw")
    warmup_steps: int = _spelled("warmup_steps", "warmupSteps", default=0, ge=0)
    weight_decay: float = _spelled("weight_decay", "weightDecay", default=0.0, ge=0, allow_inf_nan=False)
    max_grad_norm: float = _spelled("max_grad_norm", "maxGradNorm", default=1.0, gt=0, allow_inf_nan=False)
    batch_size: int | None = _spelled("batch_size", "batchSize", default=None, ge=1)
    gradient_accumulation: int | None = _spelled(
        "gradient_accumulation", "gradient_accumulation_steps", "gradientAccumulation", default=None, ge=1
    )
    gradient_checkpointing: bool | None = _spelled("gradient_checkpointing", "gradientCheckpointing", default=None)
    num_epochs: float = _spelled("num_epochs", "epochs", "num_train_epochs", default=3.0, gt=0, allow_inf_nan=False)
    max_steps: int | None = _spelled("max_steps", "maxSteps", default=None, ge=1)
    max_seq_length: int = _spelled("max_seq_length", "maxSeqLength", default=512, ge=2)
    validation_split: float = _spelled("validation_split", "validationSplit", default=0.0, ge=0, le=0.5)
    eval_steps: int | None = _spelled("eval_steps", "evalSteps", default=None, ge=1)
    save_steps: int | None = _spelled("save_steps", "saveSteps", "checkpoint_steps", default=None, ge=1)
    precision: Precision | None = _spelled("precision", default=None)
    seed: int = _spelled("seed", default=42, ge=0, lt=SEED_LIMIT)
    nproc_per_node: int = _spelled("nproc_per_node", default=1, ge=1)
    nnodes: int = _spelled("nnodes", default=1, ge=1, le=1024)
    rdzv_endpoint: str | None = _spelled("rdzv_endpoint", default=None)
    rdzv_id: str | None = _spelled("rdzv_id", default=None, pattern=RENDEZVOUS_ID)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, body: Any) -> Any:
        return flatten(body) if isinstance(body, dict) else body

    @model_validator(mode="after")
    def _meets_somewhere(self) -> "StartTraining":
        if self.nnodes > 1 and self.rdzv_endpoint is None:
            raise ValueError(
                f"rdzv_endpoint: {self.nnodes} machines need HOST:PORT, an address of this one that the others reach"
            )
        if self.nnodes == 1 and (self.rdzv_endpoint or self.rdzv_id):
            raise ValueError("rdzv_endpoint and rdzv_id: one machine (nnodes) meets nobody; leave them out")
        if self.rdzv_endpoint is not None:
            try:
                split_endpoint(self.rdzv_endpoint)
            except ValueError as error:
                raise ValueError(f"rdzv_endpoint: {error}") from error
        return self

    def situation(self, parameters: float, device: Device, dataset: Extent) -> Situation:
        """Return what the settings that were left to us depend on, beside the others."""
        step = examples_of_a_step(dataset.examples) // (self.gradient_accumulation or 1)
        # No tokenizer makes much more tokens than there are characters; in most languages it makes far less.
        longest = min(self.max_seq_length, dataset.longest)
        return Situation(
            parameters=parameters,
            memory_mb=device.memory_mb,
            cores=device.cores,
            compute_capability=device.compute_capability,
            samples=dataset.examples,
            average_length=longest,
            longest=longest,
            batch_wanted=max(1, step // (self.nproc_per_node * self.nnodes)),
            method=self.method,
            precision=self.precision,
            quantization="4bit" if self._is_quantized_by_method else self.quantization,
            gradient_checkpointing=self.gradient_checkpointing,
            gradient_accumulation=self.gradient_accumulation,
            r=self.r,
            virtual_tokens=self.virtual_tokens,
        )

    @property
    def _is_quantized_by_method(self) -> bool:
        return self.method == "qlora" and self.quantization == "none"

    def chosen(self, now: Situation | None) -> dict[str, "Chosen"]:
        """Return what was left to us and depends on something; None: nobody knows how large the model is."""
        ours = {}
        if self.learning_rate is None:
            value, why = learning_rate(self.method, None if now is None else now.parameters)
            ours["learning_rate"] = Chosen(value=value, why=why)
        if self._is_quantized_by_method:
            ours["quantization"] = Chosen(value="4bit", why="QLoRA is LoRA over weights of 4 bits")
        if self.batch_size is None:
            ours |= {name: Chosen(value=value, why=why) for name, (value, why) in batch_defaults(now).items()}
        return ours

    def plan(self, dataset: Path, chosen: dict[str, "Chosen"]) -> TrainingPlan:
        """Return the plan that the body asks for, on a file, with what was `chosen`; the rest are constants."""
        said = {name: value for name, value in self.model_dump().items() if value is not None}
        fields = said | {name: one.value for name, one in chosen.items()} | {"dataset": dataset}
        if self.target_modules is not None:
            fields["target_modules"] = tuple(self.target_modules)
        return TrainingPlan(**fields)


class Chosen(BaseModel):
    """The value of a setting that the request left to us, and why it is that."""

    value: bool | int | float | str
    why: str


class Started(BaseModel):
    """A job was made: it starts now, or waits for others to end or for the rest of the engine.

    `defaults` has the settings that the request left out, and that depend on something; the others are constants.
    """

    job_id: str
    status: Literal["started", "queued"]
    waiting_for: WaitsFor | None
    defaults: dict[str, Chosen]
