"""Mappings of tables that a node keeps by name: ``agencies/<ID>/node/mappings/<kind>/<name>.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from broker.errors import StoreError, UsageError
from broker.storage import atomic

Kind = Literal["screen", "import"]
LIMIT: Final = 64 << 10
"""Longest mapping, in bytes of UTF-8."""
MOST: Final = 200
"""Most mappings of a kind."""
DOTS: Final = 500
"""Most dots of a line: what a key of ten thousand dotted names costs a reader of TOML grows with the square of it."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def check_size(text: str) -> None:
    """Raises UsageError for a text that no mapping needs and that would take long to read. To be called before it is read."""
    if len(text.encode()) > LIMIT:
        raise UsageError(f"a mapping has at most {LIMIT >> 10} KiB", advice="leave out what is not needed")
    if any(line.count(".") > DOTS for line in text.splitlines()):
        raise UsageError(f"a line of a mapping has at most {DOTS} dots", advice="write long lists over several lines")


class Mappings:
    """The mappings of one kind. What a name leads to is a file of this folder and no other."""

    def __init__(self, node_folder: Path, kind: Kind) -> None:
        self._folder = node_folder / "mappings" / kind

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(f"`{name[:70]}` is no name of a mapping", advice="use small letters, digits and hyphens, up to 63")
        return self._folder / f"{name}.toml"

    def keep(self, name: str, text: str) -> bool:
        """Keep a mapping, in place of one of this name; whether it is a new one. Raises UsageError and StoreError."""
        file = self._file(name)
        check_size(text)
        new = not file.exists()
        if new and len(self.names()) >= MOST:
            raise UsageError(f"there are {MOST} mappings already", advice="remove one that is not used any more")
        atomic.replace(file, text.encode(), atomic.OWNER_ONLY)
        return new

    def text(self, name: str) -> str | None:
        """A mapping; None where there is none of this name. Raises UsageError for what is no name, StoreError."""
        try:
            return self._file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"the mapping `{name}` cannot be read: {error}", advice="restore it from a copy, or keep it again") from error

    def names(self) -> list[str]:
        """The names that there are."""
        return sorted(each.stem for each in self._folder.glob("*.toml") if _NAME.fullmatch(each.stem))

    def remove(self, name: str) -> bool:
        """Remove a mapping; whether there was one."""
        file = self._file(name)
        found = file.exists()
        file.unlink(missing_ok=True)
        return found
