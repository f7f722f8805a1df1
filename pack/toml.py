"""TOML files of a checkout, read so that whoever wrote one is told what is wrong with it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

from pack.errors import SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


def read_toml(path: Path, take: Callable[[dict[str, Any]], T]) -> T:
    """Return what `take` takes out of the TOML file at `path`.

    Raises SpecInvalid where there is no such file, where it is not TOML, and where it lacks what `take` looks for.
    """
    try:
        return take(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise SpecInvalid("there is no such file", path=path) from error
    except ValueError as error:
        raise SpecInvalid(f"it is not TOML ({error})", path=path) from error
    except KeyError as error:
        raise SpecInvalid(f"it lacks {error.args[0]!r}", path=path) from error
    except (TypeError, AttributeError) as error:
        raise SpecInvalid(f"it is not of the form that is asked for ({error})", path=path) from error
