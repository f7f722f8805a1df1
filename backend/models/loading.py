"""Load base models and their tokenizers. For workers: transformers is imported here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backend.models.local import snapshot
from backend.models.names import is_folder
from backend.models.trust import CONSENTS_VARIABLE, Brought, Consent, Consents, borrows_code, brought
from backend.working import CannotWork, first_line

CONSENT_REMEDY = (
    "Look at what it brings with GET /api/models/consents?model=…, and consent to it if you trust its maker."
)


def load_tokenizer(name: str) -> Any:
    """Return the tokenizer of a folder or a hub id.

    Raises CannotWork (model-not-loaded, hub-unreachable, code-not-trusted).
    """
    import transformers

    found, consent = _trusted(name)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **_source(name, found, consent))
    except (
        OSError,
        ValueError,
        ImportError,
    ) as error:  # what transformers raises for one that is missing, or not whole
        raise _not_loaded(name, found, consent, error) from error
    if tokenizer.pad_token is None:  # any will do: nothing looks at what a mask covers
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(name: str, *, dtype: Any, quantization: Any = None) -> Any:
    """Return the model of a folder or a hub id.

    Raises CannotWork (model-not-loaded, hub-unreachable, code-not-trusted, pickle-not-trusted).
    """
    import pickle

    import transformers

    how = {} if quantization is None else {"quantization_config": quantization}
    found, consent = _trusted(name)
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(
            name,
            use_safetensors=None if consent.pickle else True,  # None: other formats too, where there are no safetensors
            dtype=dtype,
            **how,
            **_source(name, found, consent),
        )
    except (OSError, ValueError, ImportError, pickle.UnpicklingError) as error:  # of a pickle, more than tensors
        raise _not_loaded(name, found, consent, error) from error


def _trusted(name: str) -> tuple[Brought | None, Consent]:
    """Return what a model brings, None if it is not on this machine yet, and what of it may run."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(name) if is_folder(name) else snapshot(Path(HF_HUB_CACHE), name)
    consents = os.environ.get(CONSENTS_VARIABLE)
    if folder is None or not folder.is_dir():
        return None, Consent()
    found = brought(name, folder)
    if consents is None or borrows_code(folder):
        return found, Consent()
    return found, Consents(Path(consents)).of(found)


def _source(name: str, found: Brought | None, consent: Consent) -> dict[str, Any]:
    if is_folder(name):
        return {"trust_remote_code": consent.code, "local_files_only": True}
    # What is here already is what was looked at: the hub may have moved on.
    pinned = {} if found is None else {"revision": found.revision, "code_revision": found.revision}
    return {"trust_remote_code": consent.code, **pinned}


def _not_loaded(name: str, found: Brought | None, consent: Consent, error: Exception) -> CannotWork:
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error.__cause__ or error.__context__, LocalEntryNotFoundError):  # it asked the hub, in vain
        message = f"The model {name} is not on this machine, and the hub cannot be reached"
        return CannotWork(
            "hub-unreachable", message, "Connect to the network, or give the full path of a model's folder."
        )
    if "trust_remote_code" in str(error) and not consent.code:
        files = ", ".join(found.code) if found is not None and found.code else "files that are not here yet"
        message = f"The model {name} brings Python code of its own ({files}), which was not run"
        return CannotWork("code-not-trusted", message, CONSENT_REMEDY)
    if found is not None and found.pickles and "safetensors" in str(error) and not consent.pickle:
        message = f"The weights of {name} are pickles ({', '.join(found.pickles)}), which can run anything when read"
        return CannotWork("pickle-not-trusted", message, f"Choose a model with safetensors. {CONSENT_REMEDY}")
    message = f"The model {name} cannot be loaded: {first_line(error)}"
    remedy = "Check its name and the network connection, or download it and give the full path of its folder."
    return CannotWork("model-not-loaded", message, remedy)
