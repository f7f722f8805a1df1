"""Put an adapter's or a model's folder on the hub."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from backend.adapters.published import published
from backend.models.hubclient import understood
from backend.models.weights import PICKLES

if TYPE_CHECKING:
    from backend.tasks.results import Pushed

LEFT_OUT = [*PICKLES, "checkpoint-*/*"]  # what others should not have to trust


def push(*, folder: str, repository: str, private: bool, message: str) -> Pushed:
    """Make the repository if it is not there, and commit the folder's files, without this machine's paths.

    Return where they are. Raises CannotWork.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    files = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
        for name, content in published(Path(folder))
        if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)
    ]
    with understood(repository):
        made = api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(made.repo_id, files, commit_message=message)
    return {"repository": made.repo_id, "url": str(made), "commit": commit.oid, "private": private}
