"""An exchange whose parties are kept apart: the operator has a home, each agency has its own, and only files go between them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

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
    """Every file of a home by its path in it, Kafka's log segments too (but not its indexes, which are large and empty)."""
    paths = (path for path in sorted(home.rglob("*")) if path.is_file() and path.suffix not in (".index", ".timeindex"))
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in paths}


def secret_of(pem: bytes) -> bytes:
    """The 32 secret bytes of a private key: seed or scalar."""
    key = load_pem_private_key(pem, None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes_raw()
    assert isinstance(key, ec.EllipticCurvePrivateKey), key
    return key.private_numbers().private_value.to_bytes(32, "big")


def check_homes_apart(homes: SeparateHomes) -> list[str]:
    """No home holds another party's folder, private keys are their owner's only, and no byte of a secret lies elsewhere.

    Returns what was found, in words.
    """
    parties = {"operator": homes.exchange.home, **{side.agency: side.home for side in homes.agencies.values()}}
    held = {name: files_below(home) for name, home in parties.items()}
    told: list[str] = []
    secrets: dict[str, list[bytes]] = {}
    for name, files in held.items():
        begin = f"agencies/{name}/" if name != "operator" else "exchange/"
        assert not [path for path in files if not path.startswith(begin)], f"the home of {name} holds files of others"
        keys = [path for path, content in files.items() if content.startswith(b"-----BEGIN PRIVATE KEY")]
        loose = [path for path in keys if (parties[name] / path).stat().st_mode & 0o077]
        assert not loose, f"others may read {loose} of {name}"
        secrets[name] = [secret_of(files[path]) for path in keys]
        told.append(
            f"{name:<13} {len(files):>4} files below {begin:<23} private keys: {', '.join(path.removeprefix(begin) for path in keys)}"
        )
    for name, files in held.items():
        for owner, owned in secrets.items():
            if owner != name:
                where = [path for path, content in files.items() if any(secret in content for secret in owned)]
                assert not where, f"{where} of {name} contains a secret of {owner}"
    return told
