"""What a message family is: its sections, their types, and how labels and rules follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from broker.errors import Finding, Refusal
from broker.families.message import Message, Sections
from broker.families.routing import RoutingLabels

About = Literal["OWN", "TARGET", "MAY_TARGET", "RECALLED"]
"""What the messages of a family are about.

OWN: their own subject, such as an alert. TARGET: another agency's subject, which the header names as its target; the message has a
subject of its author's own. MAY_TARGET: either. RECALLED: their subject is the one that is taken back, whatever its family.
"""


def no_time_rules(message: Message, issued_ms: int) -> list[Finding] | Refusal:  # noqa: ARG001 (the form of a family's rule)
    """For a family whose times have nothing to do with the time of issue."""
    return []


def no_mark_rules(message: Message) -> Refusal | None:  # noqa: ARG001 (the form of a family's rule)
    """For a family whose sections and header do not depend on each other."""
    return None


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of message.

    ``sections`` are all it may have, in the order of its documents; ``mandatory`` those that it must have. ``types`` gives the
    typed dictionary of each section but ``audience``. ``routing`` derives the labels; ``check`` applies the conditional rules to a
    **whole** message (a recipient from whom a section is withheld must not ask it); ``check_marks`` applies rules that join
    sections and header; ``check_times`` those that join times with the time of issue (Unix milliseconds).

    ``about`` says what its messages are about; ``own_target``, that the target may be the author's own subject; ``names_revision``,
    that a target is named with its revision. :mod:`broker.families.targets` judges all three.
    """

    name: str
    sections: tuple[str, ...]
    mandatory: tuple[str, ...]
    types: Mapping[str, type]
    routing: Callable[[Sections], RoutingLabels]
    check: Callable[[Sections], list[Finding] | Refusal]
    check_marks: Callable[[Message], Refusal | None]
    check_times: Callable[[Message, int], list[Finding] | Refusal] = no_time_rules
    about: About = "OWN"
    own_target: bool = False
    names_revision: bool = False
