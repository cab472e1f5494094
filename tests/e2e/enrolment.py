"""An exchange whose parties are kept apart: the operator has a home, each agency has its own, and only files go between them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.program import Json, LocalExchange, Program, local_exchange

COMMUNITY: Final = "STCE-FORUM"


@dataclass(frozen=True)
class AgencySide:
    """An agency that joined, in a home of its own; what init, admit and join printed."""

    agency: str
    kind: str
    home: Path
    request: Json
    entry: Json
    joined: Json


@dataclass(frozen=True)
class SeparateHomes:
    """A running exchange and its agencies."""

    program: Program
    exchange: LocalExchange
    agencies: dict[str, AgencySide]

    def home(self, agency: str) -> Path:
        """The agency's home."""
        return self.agencies[agency].home


MEMBERS: Final = (
    ("KR-CUSTOMS", "customs", ()),
    ("GB-LICENSING", "licensing", (COMMUNITY,)),
    ("GB-CUSTOMS", "customs", (COMMUNITY,)),
    ("SG-CUSTOMS", "customs", (COMMUNITY,)),
)
"""Who takes part: id, kind, communities."""


def enrol(program: Program, exchange: LocalExchange, agency: str, kind: str, communities: tuple[str, ...]) -> AgencySide:
    """The three steps, each with the home of the party that does it."""
    home = program.folder / agency.lower()
    request, reply = program.folder / f"{agency}.request.json", program.folder / f"{agency}.reply.json"
    asked = program.run("agency", "init", agency, "--kind", kind, "--out", request, "--home", home, "--json").must().line
    wanted = [part for name in communities for part in ("--community", name)]
    entry = program.run("agency", "admit", request, *wanted, "--out", reply, "--home", exchange.home, "--json").must().line
    joined = program.run("agency", "join", reply, "--home", home, "--json").must().line
    return AgencySide(agency, kind, home, asked, entry, joined)


@contextmanager
def separate_homes(folder: Path, *options: str) -> Generator[SeparateHomes]:
    """``broker up`` in the operator's home, and the members enrolled one by one."""
    program = Program(folder)
    with local_exchange(program, folder / "operator", *options) as exchange:
        agencies = {agency: enrol(program, exchange, agency, kind, names) for agency, kind, names in MEMBERS}
        yield SeparateHomes(program, exchange, agencies)


def files_below(home: Path) -> dict[str, bytes]:
    """Every small file of a home by its path in it. Kafka's own data is left out: no key is kept there but the node's."""
    found: dict[str, bytes] = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not name.startswith("exchange/kafka/") and path.stat().st_size < 1 << 20:
            found[name] = path.read_bytes()
    return found


def check_homes_apart(homes: SeparateHomes) -> list[str]:
    """Each private key lies in exactly one home, and no home holds another party's folder. Returns what was found, in words."""
    parties = {"operator": homes.exchange.home, **{side.agency: side.home for side in homes.agencies.values()}}
    held = {name: files_below(home) for name, home in parties.items()}
    told: list[str] = []
    keys: dict[bytes, str] = {}
    for name, files in held.items():
        own = {path: content for path, content in files.items() if b"PRIVATE KEY" in content}
        for path, content in own.items():
            assert content not in keys, f"{path} of {name} is also in the home of {keys[content]}"
            keys[content] = name
            mode = (parties[name] / path).stat().st_mode & 0o777
            assert mode == 0o600, f"{path} of {name} has mode {mode:o}"
        if name == "operator":
            assert not [path for path in files if path.startswith("agencies/")], "the operator's home has an agency's folder"
        else:
            assert not [path for path in files if not path.startswith(f"agencies/{name}/")], f"{name}'s home holds files of others"
        told.append(f"{name:<14} {len(files):>3} files, private keys: {', '.join(sorted(own)) or 'none'}")
    for name, files in held.items():
        for path, content in files.items():
            strangers = [owner for key, owner in keys.items() if owner != name and key in content]
            assert not strangers, f"{path} of {name} contains a private key of {strangers}"
    return told
