"""The system's keyring: Windows' Credential Manager, macOS's Keychain, or a desktop's Secret Service.

In a process of its own, since a locked keyring may ask its user for a password before it answers.
"""

from __future__ import annotations

from typing import Any

from backend.working import CannotWork

SERVICE = "PEFT Studio"


def act(*, deed: str, name: str, value: str = "") -> Any:
    """Do a deed: `get` returns a secret or None, `set` keeps it, `delete` forgets it.

    Raises CannotWork (no-keyring).
    """
    import keyring
    from keyring.core import recommended
    from keyring.errors import KeyringError, PasswordDeleteError

    backend = keyring.get_keyring()
    try:
        # What keyring does not recommend keeps nothing, or keeps it in a file that anybody can read.
        if not recommended(backend):
            raise _no_keyring(f"{backend.name} is none that keeps secrets")
        if deed == "set":
            backend.set_password(SERVICE, name, value)
        elif deed == "delete":
            backend.delete_password(SERVICE, name)
        else:
            return backend.get_password(SERVICE, name)
    except PasswordDeleteError:
        return None  # it is gone already
    except KeyringError as error:
        raise _no_keyring(str(error) or type(error).__name__) from error
    return None


def _no_keyring(reason: str) -> CannotWork:
    return CannotWork(
        "no-keyring",
        f"This system has no keyring that can be used: {reason}",
        "Unlock it; on Linux, install one (gnome-keyring, KWallet) and log in to a desktop.",
    )
