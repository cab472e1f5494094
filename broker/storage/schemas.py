"""The schemas that come with the program, as texts and as a catalogue, and the list of those that are released."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from broker.errors import UsageError
from broker.schema.catalogue import Catalogue, Section
from broker.schema.release import Entry, read_list
from broker.shipped import shipped

RELEASED: Final = "released.json"
"""Name of the list of released schemas, in the folder of the schemas."""
_VERSION: Final = re.compile(r"v([1-9][0-9]{0,3})")


def load_catalogue(directory: Path | None = None) -> Catalogue:
    """The catalogue of :func:`schema_texts`. Raises UsageError also where a schema is rejected by the lint."""
    return Catalogue.from_texts(schema_texts(directory))


def load_sections(directory: Path | None = None) -> list[Section]:
    """All of :func:`schema_texts`, each compiled by itself: also where two versions cannot be in one catalogue."""
    return [Section.from_text(*name, text) for name, text in schema_texts(directory).items()]


def read_released(directory: Path | None = None) -> dict[str, Entry]:
    """The list of released schemas in a directory, by default of those shipped; empty where there is none. Raises UsageError."""
    path = (shipped("schemas") if directory is None else directory) / RELEASED
    if not path.exists():
        return {}
    try:
        return read_list(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` cannot be read: {error}", advice="restore the list of released schemas") from error


def schema_texts(directory: Path | None = None) -> dict[tuple[str, str, int], str]:
    """The texts of ``<family>/v<N>/<section>.avsc`` under a directory, by default of the schemas shipped, by their three names.

    Raises UsageError where a file is misplaced or is no UTF-8, and where there is none.
    """
    return _texts(directory) if directory is not None else dict(_shipped_texts())


@cache
def _shipped_texts() -> dict[tuple[str, str, int], str]:
    """Those shipped are read once: they are as fixed as the program."""
    return _texts(shipped("schemas"))


def _texts(root: Path) -> dict[tuple[str, str, int], str]:
    texts: dict[tuple[str, str, int], str] = {}
    for path in sorted(root.rglob("*.avsc")):
        parts = path.relative_to(root).parts
        version = _VERSION.fullmatch(parts[1]) if len(parts) == 3 else None
        if version is None:
            raise UsageError(f"`{path}` is out of place", advice="put schemas under <family>/v<N>/<section>.avsc")
        try:
            texts[parts[0], path.stem, int(version[1])] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"`{path}` cannot be read: {error}", advice="a schema is a readable UTF-8 file") from error
    if not texts:
        raise UsageError(f"there are no schemas under `{root}`", advice="name the folder that holds <family>/v<N>/<section>.avsc")
    return texts
