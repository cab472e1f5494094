"""Files that come with the program: schemas, policies, the embedded node's pins, the demonstration.

An installed program finds them inside its package, a checkout under the root of the repository; the names are the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from broker.errors import UsageError
from broker.schema.catalogue import Catalogue

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_VERSION: Final = re.compile(r"v([1-9][0-9]{0,3})")


def shipped(name: str) -> Path:
    """The file or folder of this name, for example ``schemas`` or ``deploy/policies``. Raises UsageError if it is not there."""
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        path = root / name
        if path.exists():
            return path
    raise UsageError(f"`{name}` is not part of this installation", advice="install the program again, from its wheel")


def load_catalogue(directory: Path | None = None) -> Catalogue:
    """The catalogue of :func:`schema_texts`. Raises UsageError also where a schema is rejected by the lint."""
    return Catalogue.from_texts(schema_texts(directory))


def schema_texts(directory: Path | None = None) -> dict[tuple[str, str, int], str]:
    """The texts of ``<family>/v<N>/<section>.avsc`` under a directory, by default of the schemas shipped, by their three names.

    Raises UsageError where a file is misplaced or is no UTF-8, and where there is none.
    """
    root = shipped("schemas") if directory is None else directory
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
