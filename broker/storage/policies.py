"""The folder of a bundle: schema.cedarschema, .cedar files, scenarios.json, its tests, and perhaps entities.json, its dated facts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.errors import UsageError
from broker.policy.facts_file import FACTS_FILE
from broker.shipped import shipped

SCHEMA: Final = "schema.cedarschema"
SCENARIOS: Final = "scenarios.json"
_LIMIT: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class PolicyTexts:
    """The texts of a bundle's folder. ``policies`` maps file names to texts; ``scenarios`` is None where there is no such file, and
    ``entities`` is empty."""

    schema: str
    policies: dict[str, str]
    scenarios: str | None
    entities: str = ""


def read_policies(folder: Path | None = None) -> PolicyTexts:
    """The texts of a folder, by default of the policies that ship. Raises UsageError."""
    folder = shipped("deploy/policies") if folder is None else folder
    if not folder.is_dir():
        raise UsageError(f"`{folder}` is no folder", advice=f"name a folder with {SCHEMA}, .cedar files and {SCENARIOS}")
    if not (folder / SCHEMA).is_file():
        raise UsageError(f"`{folder}` has no {SCHEMA}", advice="copy the one that ships, and extend it where you must")
    scenarios, entities = folder / SCENARIOS, folder / FACTS_FILE
    return PolicyTexts(
        _text(folder / SCHEMA),
        {path.name: _text(path) for path in sorted(folder.glob("*.cedar"))},
        _text(scenarios) if scenarios.is_file() else None,
        _text(entities) if entities.is_file() else "",
    )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LIMIT:
            raise UsageError(f"`{path}` is over {_LIMIT >> 20} MiB", advice="a bundle has to fit into one record of 1 MiB")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` cannot be read: {error}", advice="give readable UTF-8 files") from error
