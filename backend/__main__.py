"""`python -m backend`: claim a port, then import what is slow, then serve. The only exit."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from backend import announce
from backend.errors import EXIT_INTERRUPTED, ModuleMissing, StartError
from backend.folders import Folders, make_writable
from backend.logs import log_to
from backend.ports import listen_first_free
from backend.secret import make_token
from backend.settings import TOKEN_VARIABLE, Settings, read_settings, withdraw_attempt

if TYPE_CHECKING:
    from pathlib import Path


def main() -> int:
    """Run the backend as the command line and the environment say; return its exit status."""
    try:
        settings = read_settings(sys.argv[1:], os.environ)
    except SystemExit:  # a wrong command line, or one that asked for help: no reason to look for damage
        withdraw_attempt(os.environ)
        raise
    os.environ.pop(TOKEN_VARIABLE, None)  # children, and what they start, have no business with it
    log: Path | None = None
    try:
        if settings.joins is not None:
            from backend.joining import join

            withdraw_attempt(os.environ)  # it went well: there is nothing to serve
            make_writable((settings.data_dir,))
            join(settings.joins, settings)
        listener = listen_first_free(settings.host, settings.port)
        make_writable((settings.data_dir, settings.log_dir))
        log = log_to(settings.log_dir)
        token = _token(settings)
        try:
            from backend.server import serve
        except ImportError as error:
            raise ModuleMissing(error) from error
        return serve(settings, listener, token)
    except StartError as error:
        if not isinstance(error, ModuleMissing):  # nothing is damaged: the error says what is so
            withdraw_attempt(os.environ)
        announce.failed(error, log=log, as_json=settings.json)
        return error.exit_status
    except KeyboardInterrupt:
        withdraw_attempt(os.environ)
        return EXIT_INTERRUPTED


def _token(settings: Settings) -> str | None:
    """Return the token to ask for; None means that none is asked for."""
    if not settings.asks_token:
        return None
    return settings.token or make_token(Folders(settings.data_dir).token)


if __name__ == "__main__":
    sys.exit(main())
