"""A lifecycle as data: states, and moves with from, to, actor and guard. Pictures and tables of the documents are drawn from it.

Two layers are kept apart (domain dictionary 4). The **publication** of a subject is its owner's: the relay refuses an illegal
revision with ILLEGAL_MOVE, signed, as ICS2 answers with its lifecycle error (IE3N01). The **handling** is each recipient's own: the
owner's node follows it by the acknowledgements, feedback and answers that arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.errors import Refusal

OWNER: Final = "owner"
"""Who published the subject. Only the owner amends and recalls."""
RECIPIENT: Final = "recipient"
"""An agency that the subject was disclosed to; it speaks by messages of its own that name the subject as their target."""
CLOCK: Final = "clock"
"""Time passes: no message is needed, every holder reckons by itself."""
ACTORS: Final = (OWNER, RECIPIENT, CLOCK)


@dataclass(frozen=True, slots=True)
class Move:
    """One row of a table: from any of ``sources`` to ``target``.

    ``said_by`` is how a message says it, empty where none does; ``guard`` a condition in words. ``needs`` are fields of the core
    section that have to be filled.
    """

    name: str
    sources: tuple[str, ...]
    target: str
    actor: str = OWNER
    said_by: str = ""
    guard: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """A transition table.

    ``initial`` is the state before anything was said. ``final`` states end a life: of a publication nothing but a recall leads out.
    ``standing`` are the states in which what was said holds: a licence may be used, an alert is to be acted on. ``tacit`` moves may be
    made without a message that tells of them.
    """

    name: str
    title: str
    doc: str
    initial: str
    final: frozenset[str]
    standing: frozenset[str]
    moves: tuple[Move, ...]
    tacit: frozenset[str] = frozenset()

    @property
    def states(self) -> tuple[str, ...]:
        """Every state, in the order in which the table comes to it."""
        found = [self.initial]
        for move in self.moves:
            found += move.sources
            found.append(move.target)
        return tuple(dict.fromkeys(found))

    @property
    def move_names(self) -> tuple[str, ...]:
        """Every move; one name can have several rows, one a target."""
        return tuple(dict.fromkeys(move.name for move in self.moves))

    def row(self, state: str, name: str) -> Move | None:
        """The move of this name that leads out of this state, if there is one."""
        return next((move for move in self.moves if move.name == name and state in move.sources), None)

    def allowed(self, state: str, actor: str | None = None) -> tuple[str, ...]:
        """The moves that lead out of a state, or those of one actor."""
        rows = (move for move in self.moves if state in move.sources and actor in (None, move.actor))
        return tuple(dict.fromkeys(move.name for move in rows))

    def lands(self, name: str) -> str:
        """Where a move leads if nothing is known about what was before: the target of its first row."""
        return next(move.target for move in self.moves if move.name == name)

    def beyond(self, state: str) -> frozenset[str]:
        """Every state that can be reached from a state, with that state."""
        found = [state]
        for place in found:
            found += [row.target for row in self.moves if place in row.sources and row.target not in found]
        return frozenset(found)

    def settle(self, state: str, name: str) -> str:
        """Where a holder arrives who may have missed revisions: the table's target, or where the move lands by itself."""
        row = self.row(state, name)
        return row.target if row is not None else self.lands(name)


def apply(machine: Machine, state: str, move: str, actor: str, core: Mapping[str, Any] | None = None) -> str | Refusal:
    """The state after a move, or ILLEGAL_MOVE with a reason that lists the moves allowed to this actor.

    ``core`` is the decoded core section, for moves that need a field of it; left out, such fields are not asked for.
    """
    row = machine.row(state, move)
    if row is None:
        reason = f"{move} does not follow {state} in the life of {machine.title}"
        return Refusal("ILLEGAL_MOVE", f"{reason}; {_choice(machine.allowed(state, actor))}")
    if row.actor != actor:
        reason = f"{move} is a move of the {row.actor}, not of the {actor}"
        return Refusal("ILLEGAL_MOVE", f"{reason}; {_choice(machine.allowed(state, actor))}")
    for name in row.needs if core is not None else ():
        if not (core or {}).get(name):
            reason = f"{move} after {state} needs {name}: {row.guard}"
            return Refusal("ILLEGAL_MOVE", f"{reason}; {_choice(machine.allowed(state, actor))}", f"core.{name}")
    return row.target


def _choice(allowed: Iterable[str]) -> str:
    listed = ", ".join(allowed)
    return f"allowed are: {listed}" if listed else "no move is allowed"


def follow(machine: Machine, state: str, move: str, actor: str) -> str | Refusal:
    """As :func:`apply` for one who is not told of every step: ``tacit`` moves before it are taken as made. A feedback tells that the
    alert was opened and matched, without an acknowledgement that says so.
    """
    places = [state]
    for place in places:
        row = machine.row(place, move)
        if row is not None:
            return apply(machine, place, move, actor)
        places += [
            step.target for step in machine.moves if step.name in machine.tacit and place in step.sources and step.target not in places
        ]
    return apply(machine, state, move, actor)


def move(
    name: str, sources: str | Iterable[str], target: str, actor: str = OWNER, said_by: str = "", guard: str = "",
    needs: tuple[str, ...] = (),
) -> Move:  # fmt: skip
    """A row; ``sources`` as one text with blanks between, or as a list."""
    return Move(name, tuple(sources.split() if isinstance(sources, str) else sources), target, actor, said_by, guard, needs)
