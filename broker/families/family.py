"""What a message family is: its sections, their types, and how labels and rules follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from broker.errors import Finding, Refusal
from broker.families.message import Message, Sections
from broker.families.routing import RoutingLabels


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of message.

    ``sections`` are all it may have, in the order of its documents; ``mandatory`` those that it must have. ``types`` gives the
    typed dictionary of each section but ``audience``. ``routing`` derives the labels; ``check`` applies the conditional rules to a
    **whole** message (a recipient from whom a section is withheld must not ask it); ``check_marks`` applies rules that join
    sections and header.
    """

    name: str
    sections: tuple[str, ...]
    mandatory: tuple[str, ...]
    types: Mapping[str, type]
    routing: Callable[[Sections], RoutingLabels]
    check: Callable[[Sections], list[Finding] | Refusal]
    check_marks: Callable[[Message], Refusal | None]
