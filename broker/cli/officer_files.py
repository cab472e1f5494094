"""Files that officers pass round and sign, as commands take and leave them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from broker.cli.screen import printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.exchange.policy_chain import PolicyChain
from broker.storage import atomic

_File = TypeVar("_File")


def read_signed(path: Path, read: Callable[[bytes], _File | Refusal], what: str) -> _File:
    """The file that a person named, which is to be ``what``. Raises UsageError where it cannot be read, RefusedError where it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"`{printable(str(path))}` cannot be read: {error.strerror}", advice=f"give {what}") from error
    file = read(data)
    if isinstance(file, Refusal):
        raise RefusedError(file)
    return file


def write_signed(path: Path, text: bytes) -> None:
    """Write a file for the next officer: whole or not at all, readable for all."""
    atomic.replace(path, text, atomic.READABLE)


def not_named(agency: str, kid: bytes, chain: PolicyChain) -> Refusal | None:
    """Whether an agency's master key is not among those that the rules in force name as officers. Refusal: TOO_FEW_OFFICERS."""
    if chain.officers and chain.officers.get(agency) != kid:
        return Refusal("TOO_FEW_OFFICERS", f"{agency} is not among the officers: {', '.join(sorted(chain.officers))}")
    return None


def raise_refusal(refusal: Refusal | None) -> None:
    """Raises RefusedError where there is one."""
    if refusal is not None:
        raise RefusedError(refusal)
