"""The tables themselves: complete, without dead ends, and exactly what is judged by."""

from __future__ import annotations

import pytest

from broker.errors import Refusal
from broker.families.lifecycles.machine import ACTORS, OWNER, Machine, apply
from broker.families.lifecycles.tables import HANDLING, MACHINES, PUBLICATION, STATEMENT

PUBLICATIONS = (*(machine for tables in PUBLICATION.values() for machine in tables), STATEMENT)


def ids_of(machine: Machine) -> str:
    return machine.name


@pytest.mark.parametrize("machine", MACHINES, ids=ids_of)
def test_every_move_from_every_state(machine: Machine) -> None:
    """A move is taken exactly where a row of the table says so, by the actor of that row; everything else is ILLEGAL_MOVE at step 9,
    and its reason lists every move that this actor has from there, or says that there is none."""
    table = {(source, move.name): (move.target, move.actor) for move in machine.moves for source in move.sources}
    for state in machine.states:
        for name in (*machine.move_names, "NO_SUCH_MOVE"):
            for actor in ACTORS:
                found = apply(machine, state, name, actor)
                if (state, name) in table and table[state, name][1] == actor:
                    assert found == table[state, name][0]
                    continue
                assert isinstance(found, Refusal)
                assert (found.code, found.step) == ("ILLEGAL_MOVE", 9)
                allowed = [move for (source, move), (_, by) in table.items() if source == state and by == actor]
                listed = found.reason.partition("; ")[2]
                assert listed == (f"allowed are: {', '.join(allowed)}" if allowed else "no move is allowed")


@pytest.mark.parametrize("machine", MACHINES, ids=ids_of)
def test_no_move_has_two_targets_from_one_state(machine: Machine) -> None:
    """The table is a function: state and move give one row."""
    keys = [(source, move.name) for move in machine.moves for source in move.sources]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("machine", MACHINES, ids=ids_of)
def test_every_state_is_reached_and_leads_to_an_end(machine: Machine) -> None:
    """From the initial state every other can be reached, and from every state one in which a life may end."""
    assert machine.beyond(machine.initial) == set(machine.states)
    assert machine.final <= set(machine.states)
    assert machine.standing <= set(machine.states)
    for state in machine.states:
        assert machine.beyond(state) & machine.final, state


@pytest.mark.parametrize("machine", PUBLICATIONS, ids=ids_of)
def test_a_recall_ends_every_publication_from_everywhere(machine: Machine) -> None:
    """Every published state can be recalled, by the owner only; from RECALLED nothing leads anywhere."""
    for state in machine.states:
        row = machine.row(state, "RECALL")
        assert (row is not None) == (state not in (machine.initial, "RECALLED")), state
        assert row is None or (row.target, row.actor) == ("RECALLED", OWNER)
    assert machine.allowed("RECALLED") == ()


@pytest.mark.parametrize("machine", [machine for machine in PUBLICATIONS if machine.name != "seized_goods"], ids=ids_of)
def test_what_has_ended_stays_ended(machine: Machine) -> None:
    """From a final state nothing leads to a state that is not final: no amendment after a close, no grant after a revocation."""
    for state in machine.final - {"FINAL"}:
        assert machine.beyond(state) <= machine.final | {state}


@pytest.mark.parametrize("machine", HANDLING.values(), ids=ids_of)
def test_handling_does_not_come_back_to_an_acknowledgement(machine: Machine) -> None:
    """What an acknowledgement leads to is never before what led to it: one that comes late tells nothing."""
    for name in {"INGEST", "TASK", "ACKNOWLEDGE", "ACCEPT"} & set(machine.move_names):
        for source in (source for row in machine.moves if row.name == name for source in row.sources):
            assert source not in machine.beyond(machine.lands(name))


@pytest.mark.parametrize(
    ("move", "needed"),
    [("REINSTATE", True), ("REVOKE", True), ("ANNUL", True), ("SUBSTANTIALLY_LIMIT", True), ("SUSPEND", False), ("EXPIRE", False)],
)
def test_the_end_of_a_suspension_carries_the_final_assessment(move: str, needed: bool) -> None:
    """Decisions that end a suspension are refused without it, with the path of the field; the clock's end needs none."""
    machine = PUBLICATION["licence"][0]
    found = apply(machine, "SUSPENDED", move, OWNER, {"final_assessment": None})
    assert isinstance(found, Refusal) == needed
    if isinstance(found, Refusal):
        assert (found.code, found.path) == ("ILLEGAL_MOVE", "core.final_assessment")
        assert "final assessment" in found.reason
        assert "allowed are: " in found.reason
    assert not isinstance(apply(machine, "SUSPENDED", move, OWNER, {"final_assessment": "diversion was ruled out"}), Refusal)
    if move != "REINSTATE":
        assert not isinstance(apply(machine, "GRANTED", move, OWNER, {"final_assessment": None}), Refusal)
