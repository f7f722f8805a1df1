"""What can go wrong with the hub, in words. For workers: the hub's client is imported here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED = {401, 403}


@contextmanager
def understood(repository: str) -> Iterator[None]:
    """Turn what the hub's client raises about a repository into CannotWork, whose remedy a person can follow."""
    from httpx import TransportError
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{ENDPOINT}/{repository}"
    try:
        yield
    except GatedRepoError as error:
        raise CannotWork(
            "model-gated",
            f"{repository} is given to those who accept its licence, and to this user it was not",
            f"Accept the licence at {page}, then keep a token of the same account with PUT /api/secrets/hub-token.",
        ) from error
    except RepositoryNotFoundError as error:
        raise CannotWork(
            "model-not-found",
            f"The hub has no {repository}, or does not show it to this user",
            "Check the name; for a private one, keep a token that may read it with PUT /api/secrets/hub-token.",
        ) from error
    except RevisionNotFoundError as error:
        message = f"{repository} has no such revision"
        raise CannotWork("revision-not-found", message, f"Choose a branch, tag or commit from {page}.") from error
    except OfflineModeIsEnabled as error:
        message = f"{repository} was not fetched: HF_HUB_OFFLINE forbids to ask the hub"
        raise CannotWork("hub-unreachable", message, "Start the backend without HF_HUB_OFFLINE.") from error
    except HFValidationError as error:
        message = f"{repository} is no name on the hub: {first_line(error)}"
        raise CannotWork("model-not-found", message, "Give a name such as owner/name.") from error
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in REFUSED:
            message = f"The hub refuses access to {repository}: {first_line(error)}"
            remedy = "Keep a token that may do this with PUT /api/secrets/hub-token."
            raise CannotWork("hub-refused", message, remedy) from error
        message = f"The hub could not answer for {repository}: {first_line(error)}"
        raise CannotWork("hub-failed", message, "Try again later.") from error
    except (TransportError, LocalEntryNotFoundError, ConnectionError) as error:
        raise CannotWork(
            "hub-unreachable",
            f"The hub at {ENDPOINT} cannot be reached: {first_line(error) or type(error).__name__}",
            "Connect to the network, and ask again: what has arrived is kept.",
        ) from error
