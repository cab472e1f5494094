"""What a JVM learned of one start of the node, kept for the starts after it (JEP 483, 514 and 515): classes read, checked and linked.

Only for nodes that live for minutes, and only where BROKER_NODE_CACHE names a folder: for tests, and whoever else starts many of them.
The first one that ends in good order leaves 75 MB there, for which it takes about 9 s of processor time more; each one after it takes
2 s from its first start to its end instead of 4.4, for its storage is prepared without a JVM too. A file is good for one JVM, these very
jars, options and settings; the JVM looks itself whether it is, and starts without it where not. Whoever may write to the folder decides
what the node runs, as with the jars.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.shipped import shipped

VARIABLE: Final = "BROKER_NODE_CACHE"
_IDENTITY: Final = "meta.properties"
PATIENCE_S: Final = 90.0
"""How long a node that records may take to end, and what it recorded to be put together."""


class StartCache:
    """The file for one command line, and the right to make it where it is not there. ``command``: the JVM, its options, its classes."""

    def __init__(self, folder: Path, command: Sequence[str], jars: Sequence[Path]) -> None:
        self._command = command
        stats = [(str(jar), jar.stat().st_size, jar.stat().st_mtime_ns) for jar in jars]
        java = Path(command[0]).stat()
        settings = shipped("deploy/kafka/server.properties.template").read_text()
        name = hashlib.sha256(repr((command, stats, java.st_size, java.st_mtime_ns, settings)).encode()).hexdigest()[:24]
        self._file, self._recorded = folder / f"{name}.aot", folder / f"{name}.recorded"
        self._storage = folder / f"{name}.storage"
        self._right: int | None = None

    @classmethod
    def of_environment(cls, command: Sequence[str], jars: Sequence[Path]) -> StartCache | None:
        """The one that the environment asks for; None also where its folder cannot be used, or is another's or anybody's to write to."""
        named = os.environ.get(VARIABLE)
        if not named:
            return None
        folder = Path(named).absolute()  # the JVM works in another folder than we do
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = folder.stat()
            if kept.st_uid == os.geteuid() and not kept.st_mode & 0o002:
                return cls(folder, command, jars)
        return None

    @property
    def recording(self) -> bool:
        """Whether the node that was started with :meth:`options` records: give it time to end, and call :meth:`keep` then."""
        return self._right is not None

    def reading(self) -> list[str]:
        """Options to use what is there."""
        return [f"-XX:AOTCache={self._file}"] if self._file.is_file() else []

    def options(self) -> list[str]:
        """Options for a node: to use what is there, else to record where nobody else does just now."""
        if self._file.is_file():
            return self.reading()
        with contextlib.suppress(OSError):
            right = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(right, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(right)
                return []
            self._right = right
            return ["-XX:AOTMode=record", f"-XX:AOTConfiguration={self._recorded}"]
        return []

    def prepare(self, data: Path, cluster_id: str) -> bool:
        """Prepare a node's storage as the storage tool did an earlier one's, if :meth:`keep_storage` was called. What differs from one to
        the next is in one file, which is written last: without it the storage is not prepared. Raises OSError."""
        if not self._storage.is_dir():
            return False
        shutil.copytree(self._storage, data, dirs_exist_ok=True)
        directory_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode("ascii").rstrip("=")
        lines = (f"cluster.id={cluster_id}", f"directory.id={directory_id}", "node.id=1", "version=1")
        aside = data / f"{_IDENTITY}.new"
        aside.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        aside.replace(data / _IDENTITY)
        return True

    def keep_storage(self, data: Path) -> None:
        """Keep what the storage tool prepared, but for what makes a node itself; nothing where that fails."""
        aside = self._storage.with_suffix(f".{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):
            shutil.copytree(data, aside, ignore=shutil.ignore_patterns(_IDENTITY, ".lock"))
            aside.rename(self._storage)
        shutil.rmtree(aside, ignore_errors=True)

    async def keep(self) -> None:
        """Put together what an ended node recorded, if it did; whatever fails, there is no file then. Safe to call twice."""
        right, self._right = self._right, None
        if right is None:
            return
        try:
            if self._recorded.is_file():
                await asyncio.to_thread(self._put_together)
        finally:
            with contextlib.suppress(OSError):
                self._recorded.unlink(missing_ok=True)
            os.close(right)

    def _put_together(self) -> None:
        aside = self._file.with_suffix(".new")
        java, *rest = self._command
        create = [java, "-XX:AOTMode=create", f"-XX:AOTConfiguration={self._recorded}", f"-XX:AOTCache={aside}", *rest]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            made = subprocess.run(create, env={}, capture_output=True, timeout=PATIENCE_S, check=False)
            if made.returncode == 0 and aside.is_file():
                aside.replace(self._file)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
