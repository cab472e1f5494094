"""What a register answers: values of the moment ``now_ms``, and how old what it knows is. Times in Unix milliseconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from broker.families.clocks.duty import Duty
from broker.register.licences import Balance
from broker.register.rows import Flag, Key, LicenceRow, SubjectRow
from broker.register.zones import Stay


class LicenceAnswer(NamedTuple):
    """A licence now. ``status`` counts an end that needed no message; ``in_force`` is false while the decision is still to take effect.

    ``flags``: findings about its quantities, and every live alert or shipment that cites it in vain. ``as_of``: the register's age.
    """

    licence: LicenceRow
    subject: str
    revision: int
    admitted_at: int
    status: str
    in_force: bool
    items: tuple[Balance, ...] | None
    flags: tuple[Flag, ...]
    withheld: tuple[str, ...]
    as_of: int | None


@dataclass(frozen=True, slots=True)
class SubjectAnswer:
    """A subject that was found: its row, what was disclosed of it (JSON values by section), what it can be found by, what is said of it.

    ``links`` are (kind, other subject, note): answers to it, and seizures that it led to.
    """

    row: SubjectRow
    content: Mapping[str, Any]
    keys: tuple[Key, ...]
    flags: tuple[Flag, ...]
    links: tuple[tuple[str, str, str], ...]
    live: bool


@dataclass(frozen=True, slots=True)
class ZoneAnswer:
    """The stays of one container in one free zone."""

    zone: str
    container: str
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """That somebody was told of silence: rung 0 is the creditor, from 1 on the contacts of the agency's chain."""

    rung: int
    to: str
    at: int


@dataclass(frozen=True, slots=True)
class OpenDuty:
    """What is not met yet: ``late_ms`` how long its time is over, None while it is not; ``told`` who was told of that."""

    duty: Duty
    family: str
    urgency: str
    late_ms: int | None
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agency said about a subject: ``kind`` is the family of its message in capitals, ``subject`` that message's own, ``target``
    revision the one it speaks of (None: not named), ``code`` its level, result or answer, ``core`` what else it says (JSON values)."""

    kind: str
    agency: str
    subject: str
    target_revision: int | None
    code: str
    admitted_at: int
    core: Mapping[str, Any]
