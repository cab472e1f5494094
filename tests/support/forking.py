"""Processes of Python without their loading: one process has the modules loaded and forks itself for each that is asked for.

What is called is still a process of its own, with its own arguments, environment, working folder, files and signals, and it ends as the
interpreter ends. What it does not do again is to start Python and to load the program, which is half a second of processor time and
most of a short call; the tests make some three hundred.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

REPOSITORY: Final = Path(__file__).resolve().parents[2]
_LIMIT: Final = 1 << 17
"""Bytes of a request: arguments and environment."""


class Forked:
    """A process that was started: what the tests use of :class:`subprocess.Popen`, and of that of asyncio."""

    def __init__(self, args: Sequence[str], answers: socket.socket) -> None:
        self.args, self._answers = args, answers
        told = answers.recv(16)
        assert told, "the process that forks has ended"
        self.pid = int(told)
        self._code: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[asyncio.Future[int]] = []

    @property
    def returncode(self) -> int | None:
        """None while it runs, less than 0 for a signal."""
        return self.poll()

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; its exit code. Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait until it ends, beside others in this event loop; its exit code."""
        if (code := self.poll()) is not None:
            return code
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._answers, self.poll)
        self._waiting.append(waiting := self._loop.create_future())
        return await waiting

    def _ended(self, timeout: float | None) -> int | None:
        if self._code is None:
            self._answers.settimeout(timeout)
            try:
                told = self._answers.recv(16)
            except (BlockingIOError, TimeoutError):
                return None
            self._code = int(told) if told else -signal.SIGKILL
            if self._loop is not None:
                self._loop.remove_reader(self._answers)
            self._answers.close()
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(self._code)
        return self._code


class Forks:
    """The process that forks, with these modules loaded. ``stop`` ends it; processes that run then go on."""

    def __init__(self, *modules: str) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        command = (sys.executable, "-m", "tests.support.forking", str(theirs.fileno()), *modules)
        with theirs:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=REPOSITORY, pass_fds=[theirs.fileno()]
            )

    def start(
        self, arguments: Sequence[str], *, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes], cwd: Path, env: Mapping[str, str]
    ) -> Forked:
        """``python -m`` with these arguments, the first of which is a module."""
        request = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}).encode()
        assert len(request) < _LIMIT, "arguments as long as that are not given here"
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._one_at_a_time:
            files = [stdin.fileno(), stdout.fileno(), stderr.fileno(), theirs.fileno()]
            socket.send_fds(self._requests, [request], files)
        return Forked(arguments, mine)

    def stop(self) -> None:
        """No further ones."""
        self._requests.close()
        self._process.wait()


class _Request(NamedTuple):
    arguments: list[str]
    cwd: str
    env: dict[str, str]


def _next_call(requests: socket.socket) -> _Request | None:
    """Fork for each request. Returns in each child what it is to call, and None in the parent when no request can come any more."""
    running: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    selector.unregister(key.fd)
                    pid, answers = running.pop(key.fd)
                    os.close(key.fd)
                    with answers:
                        _tell(answers, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    continue
                text, files, _, _ = socket.recv_fds(requests, _LIMIT, 4)
                if not text:
                    return None
                pid = os.fork()
                if pid == 0:
                    for number in range(3):
                        os.dup2(files[number], number)
                    selector.close()
                    for each in (requests, *(answers for _, answers in running.values())):
                        each.detach()  # none of these objects may close a number that means another file by then
                    os.closerange(3, 1024)
                    return _Request(**json.loads(text))
                for number in files[:3]:
                    os.close(number)
                answers = socket.socket(fileno=files[3])
                _tell(answers, pid)
                ends = os.pidfd_open(pid)
                running[ends] = (pid, answers)
                selector.register(ends, selectors.EVENT_READ)


def _tell(answers: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked may be gone
        answers.send(str(number).encode())


def main(number: int, modules: Sequence[str]) -> None:
    """Load the modules, and become each process that is asked for."""
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that no collection of a child writes to all that it shares with the parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is for who asks; its end is ours
    call = _next_call(socket.socket(fileno=number))
    if call is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(call.cwd)
        os.environ.clear()
        os.environ.update(call.env)
        sys.argv[1:] = call.arguments[1:]
        runpy.run_module(call.arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
