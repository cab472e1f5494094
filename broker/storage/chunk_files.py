"""Encrypted chunks of attached files on the disk: ``<folder>/<number of the file, hex>/<place>``, each whole or absent.

What is here is ciphertext. The keys are in the ``attachments`` sections, in the files of inbox and register, and go from there when their
owner takes them back; the chunks go then too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from broker import ids
from broker.errors import StoreError
from broker.storage import atomic

_FILE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class ChunkFolder:
    """The chunks below one folder. Nothing but agency ids, hexadecimal digits and numbers becomes a name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def below(self, agency: str) -> ChunkFolder:
        """The chunks of the files of one agency: a number is its owner's own, and what another publishes under it touches nothing here."""
        return ChunkFolder(self.path / ids.agency_id(agency))

    def _of(self, file: bytes) -> Path:
        return self.path / file.hex()

    def put(self, file: bytes, index: int, data: bytes) -> None:
        """Keep a chunk. Raises StoreError."""
        atomic.replace(self._of(file) / str(index), data, atomic.OWNER_ONLY)

    def get(self, file: bytes, index: int) -> bytes | None:
        """A chunk; None where it is not here. Raises StoreError."""
        try:
            return (self._of(file) / str(index)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"a chunk cannot be read: {error.strerror}", advice="check the folder's owner and rights") from error

    def count(self, file: bytes, chunks: int) -> int:
        """How many of so many chunks are here."""
        folder = self._of(file)
        return sum((folder / str(index)).exists() for index in range(chunks))

    def drop(self, file: bytes, index: int) -> None:
        """A chunk goes."""
        (self._of(file) / str(index)).unlink(missing_ok=True)

    def drop_file(self, file: bytes) -> None:
        """All chunks of a file go."""
        shutil.rmtree(self._of(file), ignore_errors=True)

    def keep_only(self, is_known: Callable[[bytes], bool]) -> int:
        """Let go of the files that nobody knows, left by a process that ended between two steps; how many."""
        gone = 0
        for folder in list(self.path.iterdir()) if self.path.is_dir() else ():
            if _FILE.fullmatch(folder.name) and not is_known(bytes.fromhex(folder.name)):
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
        return gone

    def pieces(self, file: bytes, chunks: int) -> Iterator[bytes | None]:
        """The chunks in order, each read when it is asked for."""
        return (self.get(file, index) for index in range(chunks))
