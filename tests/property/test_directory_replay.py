"""Whatever order the records of a directory come in, and however far it was compacted, readers end with the same knowledge."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Refusal
from broker.trust.directory import AgencyEntry, Directory, KeyEntry, directory_key
from tests.unit.trust.actors import NOW, Pen, Registrar, agency, empty, message_key, replay

AGENCIES = ("SG-CUSTOMS", "DE-BAFA", "XX-INTERPOL")
MASTERS = {name: Pen(f"{name} master") for name in AGENCIES}
MESSAGE_KEYS = {name: tuple(Pen(f"{name} message {n}") for n in range(2)) for name in AGENCIES}
RELAYS = (Pen("relay 0"), Pen("relay 1"))


class History:
    """What an honest registrar writes: each act is allowed by the state before it."""

    def __init__(self) -> None:
        self.registrar = Registrar()
        self.records: list[tuple[bytes, bytes]] = []
        self.members: dict[str, AgencyEntry] = {}
        self.keys: dict[bytes, KeyEntry] = {}

    def act(self, name: str, number: int, what: str) -> None:
        """One act of the registrar about this agency, and its key of this number."""
        if what == "exchange":
            self.records.append((b"exchange", self.registrar.exchange(*RELAYS[: number + 1])))
            return None
        member, pen = self.members.get(name), MESSAGE_KEYS[name][number]
        if member is None:
            return self._agency(agency(name, MASTERS[name]))
        if what == "suspend":
            return self._agency(replace(member, status="suspended", reason=f"reason {len(self.records)}"))
        if what == "renew":
            return self._agency(replace(member, status="active", generation=member.generation + 1, reason=""))
        key = self.keys.get(pen.kid)
        issued = NOW + len(self.records)
        if key is None:
            return self._key(name, replace(message_key(name, pen), issued_at_ms=issued))
        if what == "revoke" or key.status == "revoked":
            return self._key(name, replace(key, status="revoked", compromised_since_ms=NOW, issued_at_ms=issued))
        return self._key(name, replace(key, valid_until_ms=issued + 1, issued_at_ms=issued))

    def _agency(self, entry: AgencyEntry) -> None:
        self.members[entry.agency] = entry
        self.records.append((directory_key(entry), self.registrar.agency(entry)))

    def _key(self, name: str, entry: KeyEntry) -> None:
        self.keys[entry.kid] = entry
        self.records.append((directory_key(entry), self.registrar.key(MASTERS[name].statement(entry))))


ACTS = st.lists(
    st.tuples(st.sampled_from(AGENCIES), st.integers(0, 1), st.sampled_from(["key", "key", "suspend", "renew", "revoke", "exchange"])),
    min_size=1,
    max_size=14,
)


def _history(acts: list[tuple[str, int, str]]) -> History:
    history = History()
    for act in acts:
        history.act(*act)
    return history


def _in_order(history: History) -> Directory:
    return replay(empty(history.registrar), *(value for _, value in history.records))


@given(acts=ACTS, data=st.data())
def test_any_order_gives_the_same_directory(acts: list[tuple[str, int, str]], data: st.DataObject) -> None:
    """Every order, with repetitions, ends in one and the same value; the version never goes back on the way."""
    history = _history(acts)
    values = [value for _, value in history.records]
    order = data.draw(st.permutations(values + data.draw(st.lists(st.sampled_from(values), max_size=4))))
    directory = empty(history.registrar)
    for value in order:
        applied = directory.applied(value)
        assert not isinstance(applied, Refusal), applied
        assert applied.version >= directory.version
        directory = applied
    assert directory == _in_order(history)


@given(acts=ACTS)
def test_compaction_loses_nothing(acts: list[tuple[str, int, str]]) -> None:
    """A late reader, who finds only the last record under each key, ends with the same agencies, keys and exchange."""
    history = _history(acts)
    last = {key: at for at, (key, _) in enumerate(history.records)}
    kept = [value for at, (key, value) in enumerate(history.records) if last[key] == at]
    assert replay(empty(history.registrar), *kept) == _in_order(history)


@given(acts=ACTS)
def test_the_end_state_is_what_was_written(acts: list[tuple[str, int, str]]) -> None:
    """The directory says of each agency and key what the registrar last wrote, and knows nothing besides."""
    history = _history(acts)
    directory = _in_order(history)
    assert {name: replace(entry, version=1) for name, entry in directory.agencies.items()} == history.members
    assert {kid: replace(entry, version=0) for kid, entry in directory.keys.items()} == history.keys
    assert directory.version == history.registrar.version
    assert not directory.waiting
