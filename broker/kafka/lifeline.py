"""Starts a program that the kernel kills when its starter dies: run as a script, ``lifeline.py <starter's pid> program arguments...``.

PR_SET_PDEATHSIG survives execve, so the program takes over this process and its pid. Set here and not between fork and exec of
the starter: Python code there can deadlock in a process with threads. The signal is SIGKILL, because nobody is left to wait for an
orderly end; Kafka recovers its log as after a power cut. It is sent when the *thread* that started us ends: start from a thread
that lives as long as the program should. Linux only; elsewhere the program is started without it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to the starter, then become the program."""
    starter, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
        if os.getppid() != starter:  # it died before the line above
            sys.exit("the starting process is gone")
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
