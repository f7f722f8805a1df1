"""Put an adapter's or a model's folder on the hub."""

from __future__ import annotations

from typing import Any

from backend.models.hubclient import understood
from backend.models.weights import PICKLES

LEFT_OUT = [*PICKLES, "checkpoint-*/*"]  # what others should not have to trust


def push(*, folder: str, repository: str, private: bool, message: str) -> dict[str, Any]:
    """Make the repository if it is not there, and commit the folder's files; return where they are.

    Raises CannotWork.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with understood(repository):
        made = api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message=message, ignore_patterns=LEFT_OUT
        )
    return {"repository": made.repo_id, "url": str(made), "commit": commit.oid, "private": private}
