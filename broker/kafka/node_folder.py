"""The folder of an embedded node: which Kafka wrote it, its cluster id, its ports, its lock, and the files Kafka reads.

::

    version.json        Kafka version, cluster id, both ports: written once, before anything else
    lock                held by the node's process as long as it lives (flock); says which
    server.properties   rendered at each start, as are the key stores and the log settings
    keystore.pem        the node's private key and certificate (0600)      truststore.pem
    data/               Kafka's log directory                              logs/
"""

from __future__ import annotations

import asyncio
import base64
import errno
import fcntl
import json
import os
import random
import shutil
import socket
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from broker.errors import NodeError
from broker.kafka.jars import KAFKA_VERSION
from broker.kafka.properties import render_properties
from broker.kafka.tls import TlsFiles
from broker.shipped import shipped

HOST: Final = "127.0.0.1"
_PORTS: Final = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections: while a node is down nothing else takes its port by chance."""
_SPACE: Final = 128 << 20
_PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What a node keeps for life: a restarted node answers under the same address and is the same cluster."""

    kafka: str
    cluster_id: str
    client_port: int
    controller_port: int


class FolderHeld(NodeError):
    """Another process runs a node in this folder."""


class NodeFolder:
    """One node's folder at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path = path.absolute()  # Kafka runs with it as its working folder
        self.data, self.logs = path / "data", path / "logs"
        self.log = self.logs / "node.log"
        self.output = self.logs / "output.txt"
        self._said_before = self.log.stat().st_size if self.log.is_file() else 0

    @property
    def formatted(self) -> bool:
        """Kafka's storage tool has finished here."""
        return (self.data / "meta.properties").is_file()

    def identity(self) -> NodeIdentity:
        """The node's identity, made and stored at the first call. Raises NodeError where another Kafka version wrote the folder."""
        file = self.path / "version.json"
        if not file.exists():
            return self._create_identity(file)
        try:
            found = NodeIdentity(**json.loads(file.read_text()))
        except (ValueError, TypeError) as error:
            raise NodeError(f"`{file}` is damaged", advice="restore it from a backup of the home, or start with a new home") from error
        if found.kafka != KAFKA_VERSION:
            raise NodeError(
                f"`{self.path}` was written by Kafka {found.kafka}, and this is {KAFKA_VERSION}",
                advice="use the release of this program that wrote it, or a new home: data is not converted on its own",
            )
        return found

    def _create_identity(self, file: Path) -> NodeIdentity:
        client_port, controller_port = find_free_ports()
        identity = NodeIdentity(KAFKA_VERSION, _new_cluster_id(), client_port, controller_port)
        with telling_of_disk(self.path):
            aside = file.with_suffix(".new")
            aside.write_text(json.dumps(asdict(identity), indent=2) + "\n")
            aside.replace(file)
        return identity

    def check_space(self) -> None:
        """Raises NodeError where the disk has too little room: Kafka starts on a full one, and stops at the first record."""
        with telling_of_disk(self.path):
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(self.path).free
        if free < _SPACE:
            raise NodeError(
                f"the disk of `{self.path}` is full: {free >> 20} MiB are free and a node needs {_SPACE >> 20}",
                advice="free space, or choose a --home on another disk",
            )

    async def lock_soon(self) -> int:
        """:meth:`lock`, patient with a node that is just ending: a killed JVM takes a moment to be gone."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self.lock()
            except FolderHeld:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(0.05)

    def lock(self) -> int:
        """Take the folder; returns the descriptor that holds it until the last process that has it is gone.

        Raises FolderHeld naming the process that holds it now.
        """
        with telling_of_disk(self.path):
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise FolderHeld(
                f"another node runs in `{self.path}` (process {holder})",
                advice=f"use it with --bootstrap, or end process {holder} first, or choose another --home",
            ) from error
        try:
            self.note_holder(descriptor, os.getpid())
        except NodeError:
            os.close(descriptor)
            raise
        return descriptor

    def note_holder(self, descriptor: int, pid: int) -> None:
        """Write into the lock which process a second node should name."""
        with telling_of_disk(self.path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{pid}\n".encode("ascii"), 0)

    def write_settings(self, identity: NodeIdentity, tls: TlsFiles) -> None:
        """Render what Kafka reads: settings, key stores, log settings. A renewed certificate is taken at the next start."""
        template = shipped("deploy/kafka/server.properties.template").read_text()
        settings = render_properties(template, client_port=identity.client_port, controller_port=identity.controller_port)
        with telling_of_disk(self.path):
            (self.path / "server.properties").write_text(settings)
            (self.path / "log4j2.properties").write_text(shipped("deploy/kafka/log4j2.properties").read_text())
            (self.path / "truststore.pem").write_bytes(tls.ca.read_bytes())
            keystore = self.path / "keystore.pem"
            keystore.touch(mode=0o600)
            keystore.chmod(0o600)
            keystore.write_bytes(tls.key.read_bytes() + b"\n" + tls.certificate.read_bytes())

    def last_words(self, lines: int = 20) -> str:
        """The end of what the node said: its log since this object was made, then what the JVM itself printed.

        Java's stack frames are left out: they would push the reason out of sight.
        """
        said: list[str] = []
        for file, before in ((self.log, self._said_before), (self.output, 0)):
            if file.is_file():
                size = file.stat().st_size
                with file.open("rb") as opened:
                    opened.seek(max(before if before <= size else 0, size - 65_536))  # smaller than before: the log was rotated
                    said += opened.read().decode("utf-8", "replace").splitlines()
        telling = [line[:300] for line in said if line.strip() and not line.startswith(("\tat ", "\t..."))]
        return "\n".join(telling[-lines:])


def check_port_is_free(port: int) -> None:
    """Raises NodeError where something else listens on a port of the node."""
    if not _is_free(port):
        raise NodeError(
            f"port {port} on {HOST} is taken by another program",
            advice=f"end it (`ss -ltnp sport = :{port}` names it), or use a new home: a node keeps its address for life",
        )


@contextmanager
def telling_of_disk(folder: Path) -> Generator[None]:
    """Say plainly that a disk is full or a folder cannot be written, as NodeError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NodeError(f"the disk of `{folder}` is full", advice="free space, or choose a --home on another disk") from error
        raise NodeError(f"cannot write `{error.filename or folder}`: {error.strerror}", advice="choose a --home you may write") from error


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does: a closed connection's remains do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def find_free_ports() -> tuple[int, int]:
    """Two ports of the loopback address that nothing listens on now."""
    chosen: list[int] = []
    for port in random.sample(_PORTS, k=len(_PORTS)):
        if _is_free(port):
            chosen.append(port)
        if len(chosen) == 2:
            return chosen[0], chosen[1]
    raise NodeError(f"no two ports of {_PORTS.start} to {_PORTS.stop - 1} are free on {HOST}", advice="end other programs")


def _new_cluster_id() -> str:
    """Kafka's form of a UUID: base64url of its 16 bytes, and no hyphen first (tools would take it for an option)."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text
