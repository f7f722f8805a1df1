"""Starting points for what people fine-tune models for. What they require follows from `estimates`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from typing_extensions import TypedDict

from backend.estimates import Workload, hours, memory_mb, rate

REFERENCE_PARAMETERS = 1.1e9  # the size that a first fine-tuning usually has
REFERENCE_CAPABILITY = 8.6  # a GPU of the 30 series
COMFORTABLE_PARAMETERS = 7e9
ATTENTION = ("q_proj", "v_proj")
ATTENTION_AND_OUTPUT = ("q_proj", "k_proj", "v_proj", "o_proj")
EVERY_PROJECTION = (*ATTENTION_AND_OUTPUT, "gate_proj", "up_proj", "down_proj")


class Requirements(TypedDict):
    """What a profile asks for: GPU memory in GiB, data in examples, the time of an epoch over the least of them."""

    min_gpu_memory_gb: int
    recommended_gpu_memory_gb: int
    min_dataset_size: int
    recommended_dataset_size: int
    estimated_time_per_epoch_minutes: int


class ProfileSettings(TypedDict):
    """The settings of a profile; `max_seq_length` in tokens, `warmup_ratio` as a share of the steps."""

    lora_r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: list[str]
    learning_rate: float
    num_epochs: int
    warmup_ratio: float
    max_seq_length: int
    scheduler: str
    weight_decay: float
    max_grad_norm: float


class DescribedProfile(TypedDict):
    """A starting point: what it is for, what it asks for, and its settings."""

    id: str
    name: str
    description: str
    use_case: str
    icon: str
    example_use_cases: list[str]
    tags: list[str]
    requirements: Requirements
    config: ProfileSettings


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A starting point: what it is for, and the settings that differ from one purpose to the next."""

    id: str
    name: str
    description: str
    icon: str
    examples: tuple[str, ...]
    least_samples: int
    good_samples: int
    r: int
    target_modules: tuple[str, ...]
    learning_rate: float
    epochs: int
    max_seq_length: int
    dropout: float = 0.05
    scheduler: str = "cosine"

    def to_dict(self) -> DescribedProfile:
        """Return the profile as the app reads it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "use_case": self.id,
            "icon": self.icon,
            "example_use_cases": list(self.examples),
            "tags": [self.id],
            "requirements": self._requirements(),
            "config": {
                "lora_r": self.r,
                "lora_alpha": 2 * self.r,
                "lora_dropout": self.dropout,
                "target_modules": list(self.target_modules),
                "learning_rate": self.learning_rate,
                "num_epochs": self.epochs,
                "warmup_ratio": 0.03,
                "max_seq_length": self.max_seq_length,
                "scheduler": self.scheduler,
                "weight_decay": 0.01,
                "max_grad_norm": 1.0,
            },
        }

    def _requirements(self) -> Requirements:
        tokens = self.least_samples * self.max_seq_length / 2
        minutes = 60 * hours(REFERENCE_PARAMETERS, tokens, rate(REFERENCE_CAPABILITY, 0))
        return {
            "min_gpu_memory_gb": self._memory_gb(REFERENCE_PARAMETERS),
            "recommended_gpu_memory_gb": self._memory_gb(COMFORTABLE_PARAMETERS),
            "min_dataset_size": self.least_samples,
            "recommended_dataset_size": self.good_samples,
            "estimated_time_per_epoch_minutes": max(1, round(minutes)),
        }

    def _memory_gb(self, parameters: float) -> int:
        work = Workload(
            parameters=parameters,
            batch_size=1,
            sequence_length=self.max_seq_length,
            precision="bf16",
            gradient_checkpointing=True,
            r=self.r,
        )
        return math.ceil(memory_mb(work) / 1024)


PROFILES = (
    Profile(
        id="chatbot",
        name="Chat assistant",
        description="Answers in the tone and with the knowledge of your own conversations.",
        icon="💬",
        examples=("Customer support", "A help desk inside a company", "A tutor"),
        least_samples=500,
        good_samples=5000,
        r=16,
        target_modules=ATTENTION_AND_OUTPUT,
        learning_rate=2e-4,
        epochs=3,
        max_seq_length=1024,
    ),
    Profile(
        id="code-generation",
        name="Code",
        description="Writes code in your languages, with your libraries and conventions.",
        icon="💻",
        examples=("Completion in an editor", "Tests for existing code", "Scripts from a description"),
        least_samples=1000,
        good_samples=10_000,
        r=32,
        target_modules=EVERY_PROJECTION,
        learning_rate=1e-4,
        epochs=3,
        max_seq_length=2048,
    ),
    Profile(
        id="summarization",
        name="Summaries",
        description="Shortens long texts to what matters to your readers.",
        icon="📝",
        examples=("Minutes of meetings", "Abstracts of papers", "News in three lines"),
        least_samples=500,
        good_samples=5000,
        r=16,
        target_modules=ATTENTION,
        learning_rate=2e-4,
        epochs=3,
        max_seq_length=2048,
        scheduler="linear",
    ),
    Profile(
        id="qa",
        name="Questions and answers",
        description="Answers questions about a field that it was shown.",
        icon="❓",
        examples=("Questions about a handbook", "Medical or legal references", "Quizzes"),
        least_samples=500,
        good_samples=5000,
        r=16,
        target_modules=ATTENTION_AND_OUTPUT,
        learning_rate=2e-4,
        epochs=3,
        max_seq_length=512,
    ),
    Profile(
        id="creative-writing",
        name="Creative writing",
        description="Continues stories and poems in a voice that it has read.",
        icon="✍️",
        examples=("Dialogue for a game", "Verse in one poet's manner", "Drafts of copy"),
        least_samples=200,
        good_samples=2000,
        r=32,
        target_modules=ATTENTION_AND_OUTPUT,
        learning_rate=1e-4,
        epochs=4,
        max_seq_length=1024,
        dropout=0.1,
    ),
    Profile(
        id="domain-adaptation",
        name="A field's language",
        description="Learns the words and facts of a field from its plain texts.",
        icon="🔬",
        examples=("Patents", "Clinical notes", "The documents of one company"),
        least_samples=1000,
        good_samples=20_000,
        r=64,
        target_modules=EVERY_PROJECTION,
        learning_rate=1e-4,
        epochs=2,
        max_seq_length=1024,
        scheduler="linear",
    ),
)


def find(profile_id: str) -> Profile | None:
    """Return a profile by its id, which parts of the app spell with underscores."""
    wanted = profile_id.replace("_", "-").lower()
    return next((profile for profile in PROFILES if profile.id == wanted), None)
