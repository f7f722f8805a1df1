"""Load base models and their tokenizers. For workers: transformers is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.training.plan import is_folder
from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from backend.datasets.rows import Example


def load_tokenizer(name: str) -> Any:
    """Return the tokenizer of a folder or a hub id. Raises CannotWork (model-not-loaded)."""
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **_source(name))
    except (OSError, ValueError) as error:  # what transformers raises for one that is missing, or not whole
        raise _not_loaded(name, error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(name: str, *, dtype: Any, quantization: Any = None) -> Any:
    """Return the model of a folder or a hub id. Raises CannotWork (model-not-loaded)."""
    import transformers

    how = {} if quantization is None else {"quantization_config": quantization, "device_map": {"": 0}}
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(
            name, use_safetensors=True, dtype=dtype, **how, **_source(name)
        )
    except (OSError, ValueError) as error:
        raise _not_loaded(name, error) from error


def has_template(tokenizer: Any) -> bool:
    """Tell whether a model says how it wants conversations written."""
    return tokenizer.chat_template is not None


def render(tokenizer: Any, example: Example) -> str:
    """Return an example as the model reads it: conversations by its chat template, or "role: content" without one."""
    if isinstance(example, str):
        return example
    if not has_template(tokenizer):
        return "\n".join(f"{message.role}: {message.content}" for message in example)
    messages = [{"role": message.role, "content": message.content} for message in example]
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def _source(name: str) -> dict[str, bool]:
    # Weights as safetensors and code of transformers' own only: neither runs what a download brings.
    return {"trust_remote_code": False, "local_files_only": is_folder(name)}


def _not_loaded(name: str, error: Exception) -> CannotWork:
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error.__cause__ or error.__context__, LocalEntryNotFoundError):  # it asked the hub, in vain
        message = f"The model {name} is not on this machine, and the hub cannot be reached"
        return CannotWork(
            "hub-unreachable", message, "Connect to the network, or give the full path of a model's folder."
        )
    message = f"The model {name} cannot be loaded: {first_line(error)}"
    remedy = "Check its name and the network connection, or download it and give the full path of its folder."
    return CannotWork("model-not-loaded", message, remedy)
