"""What is left out of an archive: rules with a reason each, in prune.toml, and the bytes that each saves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from launcher.manifest import Kind
from pack.licenses import is_license
from pack.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pack.source import Source


@dataclass(frozen=True, slots=True)
class Rule:
    """Paths that are left out for a `reason`; for every platform, accelerator and CUDA where none is named."""

    reason: str
    paths: tuple[str, ...]
    platforms: tuple[str, ...] = ()
    accelerators: tuple[str, ...] = ()
    cuda: tuple[str, ...] = ()
    """Major versions of the CUDA that torch is built for."""

    def holds_for(self, platform: str, accelerator: str, cuda: str | None) -> bool:
        """Whether the rule holds in a build."""
        asked = ((self.platforms, platform), (self.accelerators, accelerator), (self.cuda, cuda))
        return all(not named or value in named for named, value in asked)


@dataclass(frozen=True, slots=True)
class Saving:
    """What a rule left out: how many files, and their bytes before compression."""

    rule: Rule
    files: int
    size: int


def read_rules(path: Path, platform: str, accelerator: str, cuda: str | None) -> list[Rule]:
    """Return the rules in `path` that hold for a build whose torch is made for the major version `cuda`, if any.

    Raises SpecInvalid.
    """
    rules = read_toml(path, lambda document: [_rule(row) for row in document["rule"]])
    return [rule for rule in rules if rule.holds_for(platform, accelerator, cuda)]


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        reason=row["reason"],
        paths=tuple(row["paths"]),
        platforms=tuple(row.get("platforms", ())),
        accelerators=tuple(row.get("accelerators", ())),
        cuda=tuple(row.get("cuda", ())),
    )


def prune(sources: Iterable[Source], rules: Sequence[Rule]) -> tuple[list[Source], list[Saving]]:
    """Return the sources that no rule leaves out, and what each rule saves; the first that matches counts.

    Relocated entries stay: conda-unpack fails where it does not find one.
    """
    patterns = [re.compile("|".join(map(translate, rule.paths))) for rule in rules]
    kept, files, sizes = [], [0] * len(rules), [0] * len(rules)
    for source in sources:
        matching = (n for n, pattern in enumerate(patterns) if pattern.match(source.path))
        number = None if _always_stays(source) else next(matching, None)
        if number is None:
            kept.append(source)
        else:
            files[number] += 1
            sizes[number] += source.size()
    return kept, [Saving(*row) for row in zip(rules, files, sizes, strict=True)]


def table(savings: Iterable[Saving]) -> str:
    """Return what was saved for people, the most first."""
    rows = sorted(savings, key=lambda saving: -saving.size)
    lines = [f"{saving.size / 1e6:8.1f} MB {saving.files:6} files  {saving.rule.reason}" for saving in rows]
    total = f"{sum(s.size for s in rows) / 1e6:8.1f} MB {sum(s.files for s in rows):6} files  in all"
    return "\n".join([*lines, total]) + "\n"


def _always_stays(source: Source) -> bool:
    """Whether no rule may name the source: a licence goes wherever its code goes, metadata say what is installed."""
    return source.kind is Kind.FOLDER or source.relocated or source.is_metadata or is_license(source.path)
