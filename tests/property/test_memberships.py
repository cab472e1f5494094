"""Records of confidential operations in any order, doubled and with forgeries between them, come to the same value; files come back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Refusal
from broker.exchange.memberships import Memberships, Operation
from broker.policy.facts_file import operation_json, read_operation
from tests.support.parcels import key
from tests.unit.exchange.test_memberships import note, nothing_known

AGENCIES = ("SG-CUSTOMS", "MY-CUSTOMS", "AE-CUSTOMS", "XX-WCO")
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@st.composite
def spans(draw: st.DrawFn, *, begins: bool) -> dict[str, str]:
    """From and until, each perhaps open; ``begins``: from is not."""
    first, second = sorted(draw(st.lists(MOMENTS.map(lambda at: at.replace(microsecond=0)), min_size=2, max_size=2, unique=True)))
    dates = {"from": first.isoformat()} if begins or draw(st.booleans()) else {}
    ends = second.isoformat() if "from" in dates or second > datetime(1970, 1, 2, tzinfo=UTC) else None
    return {**dates, "until": ends} if ends and draw(st.booleans()) else dates


@st.composite
def files(draw: st.DrawFn, name: str = "OP-X") -> dict[str, Any]:
    """An operation as a person writes it."""
    members = {agency: draw(spans(begins=False)) for agency in draw(st.lists(st.sampled_from(AGENCIES), unique=True))}
    title, basis = (draw(st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip()))) for _ in range(2))
    return {"id": name, "title": title, "basis": basis, **draw(spans(begins=True)), "members": members}


@st.composite
def histories(draw: st.DrawFn) -> dict[tuple[str, int], Operation]:
    """Up to two operations with up to three versions each, one content a version."""
    numbers = draw(st.lists(st.tuples(st.sampled_from(["OP-X", "OP-Y"]), st.integers(1, 5)), unique=True, max_size=5))
    return {(name, version): Operation(read_operation(draw(files(name))), version) for name, version in numbers}


def read(values: list[bytes]) -> Memberships:
    """What a reader of these records knows: what it refuses changes nothing."""
    known = nothing_known()
    for value in values:
        applied = known.applied(value)
        known = known if isinstance(applied, Refusal) else applied
    return known


@given(histories(), st.data())
def test_any_order_gives_the_same(history: dict[tuple[str, int], Operation], data: st.DataObject) -> None:
    """The last version of each operation is known, in whatever order and how often records come, with forged ones between them."""
    genuine = [note(each.payload) for each in history.values()]
    forged = [note(Operation(each.circle, each.version + 10).payload, by=key("mallory")) for each in history.values()]
    doubled = data.draw(st.lists(st.sampled_from([*genuine, *forged]))) if genuine else []
    last = {name: max(version for known, version in history if known == name) for name, _ in history}
    expected = {name: history[name, version] for name, version in sorted(last.items())}
    known = read(data.draw(st.permutations([*genuine, *doubled])))
    assert known == read(genuine)
    assert dict(known.operations) == expected
    assert list(known.operations) == list(expected)


@given(files())
def test_file_comes_back(file: dict[str, Any]) -> None:
    """What is read of a file is written so that reading it again gives the same, to the byte, and its record is taken."""
    found = read_operation(file)
    assert read_operation(operation_json(found)) == found
    assert operation_json(read_operation(operation_json(found))) == operation_json(found)
    assert read([note(Operation(found, 1).payload)]).operations == {"OP-X": Operation(found, 1)}
