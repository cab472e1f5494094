"""Files that are whole or absent, whatever dies when: written beside their place, brought to the disk, then renamed.

Folders made here are closed to group and others (0700). ``create`` never replaces a file; ``replace`` does.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from broker.errors import StoreError

OWNER_ONLY: Final = 0o600
READABLE: Final = 0o644


def private_folder(path: Path) -> Path:
    """The folder, made with its parents and mode 0700 where it is missing. Raises StoreError."""
    try:
        for folder in reversed([path, *path.parents]):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        if not path.is_dir():
            raise StoreError(f"`{path}` is a file, a folder is needed", advice="give another --home")
    except OSError as error:
        raise _store_error(path, error) from error
    return path


def create(path: Path, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Write a new file. Raises FileExistsError where the name is taken, and StoreError."""
    temporary = _written(path, content, mode)
    try:
        os.link(temporary, path)  # unlike a rename, a link fails where the name is taken
        _sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise _store_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def replace(path: Path, content: bytes, mode: int = READABLE) -> None:
    """Write a file in the place of whatever is there. A reader sees the old content or the new. Raises StoreError."""
    temporary = _written(path, content, mode)
    try:
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _store_error(path, error) from error


def _written(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        private_folder(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _store_error(path, error) from error
    return temporary


def _sync_folder(folder: Path) -> None:
    """A new name is only durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _store_error(path: Path, error: OSError) -> StoreError:
    return StoreError(f"`{path}` cannot be written: {error.strerror}", advice="check the folder's owner, rights and free space")
