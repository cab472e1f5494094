"""Kafka's own jars: exactly the files that ``deploy/kafka/jars.lock`` names, each checked before a JVM sees it.

The lock is made by a maintainer (``python -m broker.kafka.jars --lock``) and reviewed like code; at run time nothing is resolved,
so nobody who can publish a new version of some library decides what runs here. jgo fetches by Maven coordinate; SHA-256 decides.

Hashing all 36 MB takes 30 ms (one shared core), so every start does it, and there is no stamp that could be trusted wrongly.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jgo
import requests
from jgo.constants import default_maven_repo
from jgo.maven import MavenContext, PythonResolver

from broker.errors import NodeError
from broker.shipped import shipped

KAFKA_VERSION: Final = "4.4.0"
_ROOTS: Final = (
    # slf4j-api is named because Kafka alone brings 1.7, which log4j's binding does not answer to.
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-api:2.0.17",
    # Resolved apart: together, the versions that log4j manages for its own tests would replace Kafka's.
    "org.apache.logging.log4j:log4j-slf4j2-impl:2.25.5",
)
_LEFT_OUT: Final = frozenset({("org.xerial.snappy", "snappy-java"), ("at.yawk.lz4", "lz4-java"), ("com.github.luben", "zstd-jni")})
"""Libraries that unpack. Topics are uncompressed, and 30 bytes of Snappy that claim two gigabytes end the JVM (out of memory, before
``max.decompressed.message.bytes`` is looked at). Without them Kafka answers such a batch with an error and goes on; gzip is Java's own
and is bounded."""
_DOWNLOADS: Final = 4

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all, and the jar's name; from a worker thread, one call at a time."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file: Maven coordinate, SHA-256 in hex, size in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """As repositories name it."""
        return f"{self.artifact}-{self.version}.jar"

    def path_in(self, repository: Path) -> Path:
        """Where a Maven repository keeps it."""
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, self.file_name)


def read_lock(text: str) -> tuple[Jar, ...]:
    """Parse a lock: lines of ``sha256 size group:artifact:version``; ``#`` begins a comment. Raises NodeError naming the line."""
    jars: list[Jar] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        names = fields[-1].split(":")
        if len(fields) != 3 or len(names) != 3 or len(fields[0]) != 64 or not fields[1].isdigit():
            raise NodeError(f"line {number} of the jar lock is damaged", advice="install the package again")
        jars.append(Jar(names[0], names[1], names[2], fields[0], int(fields[1])))
    return tuple(jars)


def lock_text(jars: Iterable[Jar]) -> str:
    """The lock file of these jars, sorted by coordinate."""
    lines = [f"{jar.sha256} {jar.size:>9} {jar.group}:{jar.artifact}:{jar.version}" for jar in jars]
    head = (
        f"# What Apache Kafka {KAFKA_VERSION} runs from: SHA-256, size in bytes, Maven coordinate.\n"
        "# Written by `python -m broker.kafka.jars --lock`.\n"
    )
    return head + "\n".join(sorted(lines, key=lambda line: line.split()[-1])) + "\n"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shipped_lock() -> tuple[Jar, ...]:
    """The jars this version of the program runs Kafka from."""
    return read_lock(shipped("deploy/kafka/jars.lock").read_text())


def fetch_jars(jars: Sequence[Jar], *, progress: Progress | None = None) -> list[Path]:
    """Paths of these jars, each with the right SHA-256: from the local Maven cache, and what is missing there from the repository.

    BROKER_JARS names a flat folder with all of them, for sites without a network; nothing is fetched then. BROKER_MAVEN names a
    site's own mirror of the repository, M2_REPO another cache. Blocks: call it in a thread. Raises NodeError where a jar is missing,
    altered, or cannot be fetched or stored.
    """
    if flat := os.environ.get("BROKER_JARS"):
        return [_from_folder(jar, Path(flat)) for jar in jars]
    repository = Path(os.environ.get("M2_REPO") or default_maven_repo())
    missing = [jar for jar in jars if not jar.path_in(repository).is_file()]
    if missing:
        _download(missing, repository, progress)
    return [_checked_in_cache(jar, repository) for jar in jars]


def _from_folder(jar: Jar, folder: Path) -> Path:
    path = folder / jar.file_name
    if not path.is_file():
        raise NodeError(
            f"`{path}` is missing",
            advice="BROKER_JARS must name a folder with every jar of deploy/kafka/jars.lock; without it they are fetched",
        )
    if sha256_of(path) != jar.sha256:
        raise NodeError(
            f"`{path}` is not the file that jars.lock names (SHA-256 differs)", advice="copy the jar anew from a source you trust"
        )
    return path


def _checked_in_cache(jar: Jar, repository: Path) -> Path:
    path = jar.path_in(repository)
    if sha256_of(path) != jar.sha256:
        aside = path.with_suffix(".jar.refused")
        path.replace(aside)
        raise NodeError(
            f"`{path.name}` in the jar cache is not the file that jars.lock names (SHA-256 differs); it was moved to `{aside}`",
            advice="start again to fetch it anew; find out who altered the cache",
        )
    return path


class _Tally:
    """Adds up the bytes of parallel downloads for one progress callback."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress
        self._lock = threading.Lock()

    @contextmanager
    def file(self, name: str, _size: int) -> Generator[Callable[[int], None]]:
        """What jgo asks for: a context that yields a function taking the bytes of each chunk."""

        def add(count: int) -> None:
            with self._lock:
                self._done += count
                if self._progress is not None:
                    self._progress(min(self._done, self._total), self._total, name)

        yield add


def _download(jars: Sequence[Jar], repository: Path, progress: Progress | None) -> None:
    """Fetch into a folder of our own beside the cache, check, then move: neither a crash nor a second process sees half a jar."""
    tally = _Tally(sum(jar.size for jar in jars), progress)
    try:
        repository.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".broker-", dir=repository) as name:
            mirror = os.environ.get("BROKER_MAVEN")
            context = MavenContext(
                resolver=PythonResolver(progress_callback=tally.file),
                repo_cache=Path(name),
                remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
            )
            with ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="jars") as pool:
                paths = pool.map(_fetch, jars, [context] * len(jars))
                for jar, path in zip(jars, paths, strict=True):
                    target = jar.path_in(repository)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(target)
    except OSError as error:
        raise _storage_error(error, repository) from error


def _fetch(jar: Jar, context: MavenContext) -> Path:
    try:
        path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (requests.RequestException, RuntimeError) as error:
        raise NodeError(
            f"cannot fetch {jar.file_name}: {_reason(error)}",
            advice="check the network and try again; without one, put the jars of deploy/kafka/jars.lock into a folder and name it "
            "in BROKER_JARS, or use a Kafka that is already there with --bootstrap",
        ) from error
    if sha256_of(path) != jar.sha256:
        raise NodeError(
            f"{jar.file_name} as fetched is not the file that jars.lock names (SHA-256 differs); it is not used",
            advice="try again from another network; if it stays so, tell the maintainers: the repository serves other bytes",
        )
    return path


def _reason(error: Exception) -> str:
    if isinstance(error, requests.ConnectionError):
        return "no connection to Maven's repository"
    if isinstance(error, requests.Timeout):
        return "Maven's repository does not answer"
    return "Maven's repository does not have it" if isinstance(error, RuntimeError) else str(error)


def _storage_error(error: OSError, folder: Path) -> NodeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NodeError(f"the disk of `{folder}` is full", advice="free at least 100 MB, or name a folder with the jars in BROKER_JARS")
    return NodeError(
        f"cannot write the jar cache `{folder}`: {error.strerror}", advice="make it writable, or set M2_REPO to a folder that is"
    )


def resolve_lock() -> list[Jar]:
    """Resolve Kafka's dependencies anew and hash what comes: the maintainer's step when a version changes."""
    found: dict[tuple[str, str], Jar] = {}
    for root in _ROOTS:
        for artifact in jgo.resolve(root):
            if (artifact.groupId, artifact.artifactId) in _LEFT_OUT:
                continue
            path = artifact.resolve()
            jar = Jar(artifact.groupId, artifact.artifactId, artifact.version, sha256_of(path), path.stat().st_size)
            found.setdefault((jar.group, jar.artifact), jar)
    return list(found.values())


def main() -> None:
    """``python -m broker.kafka.jars`` fetches and checks; ``--lock`` prints a new lock."""
    parser = argparse.ArgumentParser(prog="python -m broker.kafka.jars", description="Fetch and check Kafka's jars, or lock them anew.")
    parser.add_argument("--lock", action="store_true", help="resolve the dependencies again and print the new lock")
    if parser.parse_args().lock:
        print(lock_text(resolve_lock()), end="")
    else:
        print("\n".join(str(path) for path in fetch_jars(shipped_lock())))


if __name__ == "__main__":
    main()
