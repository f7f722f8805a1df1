"""The ways to adapt a model, as people choose between them. How each is done is the worker's (training/adapters.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from backend.training.plan import MethodName

Level = Literal["very high", "high", "medium", "low"]
Speed = Literal["fast", "medium", "slow"]


class Parameter(TypedDict):
    """A number, or a list of texts, that a person may choose: its default, what it may be, and what is usual."""

    name: str
    display_name: str
    description: str
    type: Literal["int", "float", "list"]
    default: float | list[str]
    min_value: NotRequired[float]
    max_value: NotRequired[float]
    recommended_range: NotRequired[list[float]]


class DescribedMethod(TypedDict):
    """A method: what it is good for and what it costs, and the parameters that a person may choose."""

    id: MethodName
    name: str
    description: str
    long_description: str
    recommended: bool
    use_cases: list[str]
    requirements: list[str]
    advantages: list[str]
    disadvantages: list[str]
    memory_efficiency: Level
    training_speed: Speed
    parameters: list[Parameter]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method. `lora` says that it has LoRA's parameters; the others have none that a person must choose.

    `learning_rate` is the usual one, and `rate_reason` says why.
    """

    id: MethodName
    name: str
    description: str
    long_description: str
    memory_efficiency: Level
    training_speed: Speed
    use_cases: tuple[str, ...]
    advantages: tuple[str, ...]
    disadvantages: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    learning_rate: float = 2e-4
    rate_reason: str = "Usual for LoRA and what is trained like it"
    lora: bool = True
    needs_cuda: bool = False
    recommended: bool = False

    def to_dict(self) -> DescribedMethod:
        """Return the method as the app reads it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "long_description": self.long_description,
            "recommended": self.recommended,
            "use_cases": list(self.use_cases),
            "requirements": list(self.requirements),
            "advantages": list(self.advantages),
            "disadvantages": list(self.disadvantages),
            "memory_efficiency": self.memory_efficiency,
            "training_speed": self.training_speed,
            "parameters": [*_LORA_PARAMETERS] if self.lora else [],
        }


# The app knows these four names, and no other for a list.
_LORA_PARAMETERS: tuple[Parameter, ...] = (
    {
        "name": "r",
        "display_name": "Rank",
        "description": "How much the adapter can learn: the width of its two matrices.",
        "type": "int",
        "default": 16,
        "min_value": 1,
        "max_value": 1024,
        "recommended_range": [8, 64],
    },
    {
        "name": "lora_alpha",
        "display_name": "Alpha",
        "description": "How strongly the adapter acts; twice the rank is usual.",
        "type": "int",
        "default": 32,
        "min_value": 1,
        "max_value": 4096,
        "recommended_range": [16, 128],
    },
    {
        "name": "lora_dropout",
        "display_name": "Dropout",
        "description": "The share of the adapter's inputs that is left out at random, against learning by heart.",
        "type": "float",
        "default": 0.05,
        "min_value": 0.0,
        "max_value": 0.9,
        "recommended_range": [0.0, 0.1],
    },
    {
        "name": "target_modules",
        "display_name": "Adapted layers",
        "description": "Which layers get an adapter; left empty, those that suit the model's architecture.",
        "type": "list",
        "default": ["q_proj", "v_proj"],
    },
)

METHODS = (
    Method(
        id="lora",
        name="LoRA",
        description="Two small matrices beside each chosen layer; the model itself stays as it is.",
        long_description="Low-rank adaptation learns the difference to the model as a product of two narrow matrices. "
        "It trains about one weight in a hundred and is the method that every tool can load.",
        memory_efficiency="high",
        training_speed="fast",
        use_cases=("The first thing to try", "Chat, style and format"),
        advantages=("Small files", "Can be merged into the model", "Loaded by every tool"),
        disadvantages=("The model's weights stay in memory in full",),
        recommended=True,
    ),
    Method(
        id="qlora",
        name="QLoRA",
        description="LoRA over a model whose weights are held in 4 bits.",
        long_description="The frozen weights are quantized to 4-bit NormalFloat, so that a model takes a quarter of "
        "its memory; the adapter is trained in 16 bits over them.",
        memory_efficiency="very high",
        training_speed="medium",
        use_cases=("A model that does not fit otherwise",),
        advantages=("A quarter of the memory for weights",),
        disadvantages=("Slower than LoRA", "Merging needs the unquantized model"),
        requirements=("An NVIDIA GPU",),
        needs_cuda=True,
    ),
    Method(
        id="dora",
        name="DoRA",
        description="LoRA that learns direction and length of each weight vector apart.",
        long_description="Weight-decomposed adaptation leaves the direction to LoRA and learns the length beside it, "
        "which comes closer to full fine-tuning at low ranks.",
        memory_efficiency="medium",
        training_speed="slow",
        use_cases=("Low ranks", "Where LoRA falls short"),
        advantages=("Often better at the same rank",),
        disadvantages=("Slower than LoRA", "More memory"),
    ),
    Method(
        id="rslora",
        name="rsLoRA",
        description="LoRA whose strength stays right at high ranks.",
        long_description="Rank-stabilised LoRA divides alpha by the root of the rank instead of the rank, so that high "
        "ranks learn more instead of less.",
        memory_efficiency="high",
        training_speed="fast",
        use_cases=("Ranks of 64 and more", "New facts rather than new manners"),
        advantages=("Uses high ranks fully",),
        disadvantages=("Needs a lower learning rate than LoRA at the same alpha",),
        learning_rate=5e-5,
        rate_reason="A quarter of LoRA's: of rank 16, the adapter acts four times as strongly at the same alpha",
    ),
    Method(
        id="pissa",
        name="PiSSA",
        description="LoRA that starts from the model's own strongest directions.",
        long_description="The adapter starts as the principal singular vectors of each weight rather than as noise, "
        "and learns faster. It is saved as a plain LoRA of twice the rank.",
        memory_efficiency="high",
        training_speed="fast",
        use_cases=("Short trainings",),
        advantages=("Learns in fewer steps",),
        disadvantages=("Decomposing the weights takes a while at the start", "Files of twice the size"),
    ),
    Method(
        id="ia3",
        name="IA³",
        description="One factor for each key, value and feed-forward channel.",
        long_description="Learns to amplify or to dampen activations: one vector a layer, some ten thousand numbers "
        "in all.",
        memory_efficiency="very high",
        training_speed="fast",
        use_cases=("Few examples", "Many adapters of one model"),
        advantages=("The smallest files", "Hardly forgets"),
        disadvantages=("Learns little that is new", "Needs a high learning rate"),
        learning_rate=3e-3,
        rate_reason="What IA³'s authors trained with: its few factors have to move far",
        lora=False,
    ),
    Method(
        id="prefix-tuning",
        name="Prefix tuning",
        description="Learned keys and values before the text, in every layer.",
        long_description="Every layer attends to a few learned positions that stand before the text.",
        memory_efficiency="very high",
        training_speed="medium",
        use_cases=("Form and tone of generated text",),
        advantages=("The model's weights are never touched",),
        disadvantages=("Takes room from the context", "Cannot be merged", "Needs a high learning rate"),
        learning_rate=1e-2,
        rate_reason="Prefixes start from nothing that the model knows, and have to move far",
        lora=False,
    ),
    Method(
        id="prompt-tuning",
        name="Prompt tuning",
        description="Learned words before the text that no vocabulary has.",
        long_description="A few learned embeddings stand before every text: the least that can be trained.",
        memory_efficiency="very high",
        training_speed="medium",
        use_cases=("Large models", "One task for each prompt"),
        advantages=("A few kilobytes a file",),
        disadvantages=("Weak on small models", "Cannot be merged", "Needs a high learning rate"),
        learning_rate=3e-2,
        rate_reason="What peft's own examples of prompt tuning train with: a few embeddings have to move far",
        lora=False,
    ),
)


def method_of(method_id: MethodName) -> Method:
    """Return the method of an id."""
    return next(method for method in METHODS if method.id == method_id)
