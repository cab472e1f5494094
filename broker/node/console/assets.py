"""The files of the pages: this package's own, and htmx where the package that carries it is installed.

htmx comes with ``django-htmx``, which is never imported: its files are found beside it and handed out as they are. Where it is not
installed every page works as it does without JavaScript, and the feed loads itself again.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

OWN: Final = Path(__file__).with_name("static")
TYPES: Final[Mapping[str, str]] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
CARRIER: Final = "django_htmx"
"""The package that carries htmx."""
HTMX: Final = "htmx-2.min.js"
EVENTS: Final = "hx-sse-2.min.js"
"""htmx's extension for server-sent events."""


def own_files() -> dict[str, Path]:
    """What this package brings along, by name."""
    return {path.name: path for path in sorted(OWN.iterdir()) if path.suffix in TYPES}


def htmx_files(carrier: str = CARRIER) -> dict[str, Path]:
    """Where htmx and its extension are, by name; empty unless both are there. ``carrier``: the package in which they are looked for."""
    spec = find_spec(carrier)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        beside = Path(folder) / "static" / carrier
        found = {HTMX: beside / HTMX, EVENTS: beside / "ext" / EVENTS}
        if all(path.is_file() for path in found.values()):
            return found
    return {}


def files() -> dict[str, Path]:
    """Every file that the pages may fetch, by name."""
    return own_files() | htmx_files()


def media_type(path: Path) -> str:
    """The media type of a file; what sends it adds that text is UTF-8."""
    return TYPES[path.suffix]
