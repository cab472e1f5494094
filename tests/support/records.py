"""Messages made from real public records, and an honest account of what in them is real.

A builder marks what it took from a record with :func:`taken`; every other value of the message was made up by a seeded builder,
because the record does not hold it. :class:`Built` lists both by path. The records are read where the project keeps its data
(``BROKER_TEST_DATA``, or ``../shared/data`` beside the repository); tests skip where they are not there.
"""

from __future__ import annotations

import csv
import functools
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest

DECLARATIONS: Final = "shipments/kr-import-declarations-valid.csv"
LICENCE_LINES: Final = "licences/uk-export-licence-lines-sample.csv"
COUNTRIES: Final = "codelists/iso3166.csv"
PLACES: Final = "codelists/unlocode.csv"
HS: Final = "codelists/hs2022.csv"
REPOSITORY: Final = Path(__file__).resolve().parents[2]

Row = Mapping[str, str]


def data_folder() -> Path | None:
    """The folder with the records, None where there is none."""
    folder = Path(os.environ.get("BROKER_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    return folder if (folder / DECLARATIONS).is_file() else None


def need_data() -> Path:
    """The folder with the records; skips the test where there is none."""
    folder = data_folder()
    if folder is None:
        pytest.skip("the records are not here: set BROKER_TEST_DATA to the data folder")
    return folder


def read_rows(folder: Path, name: str) -> list[Row]:
    """The rows of one of the files."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return [cast("dict[str, str]", row) for row in csv.DictReader(file)]


@dataclass(frozen=True, slots=True)
class Taken:
    """A value that a record holds."""

    value: str | int


def taken(value: str | int) -> Taken:
    """Mark a value as taken from the record."""
    return Taken(value)


@dataclass(frozen=True, slots=True)
class Built:
    """A message in the JSON form of ``broker publish FILE``, and where each of its values is from."""

    message: dict[str, Any]
    from_record: tuple[str, ...]
    synthetic: tuple[str, ...]

    @property
    def subject(self) -> str:
        """What the message is about."""
        return str(self.message["subject"])

    @property
    def revision(self) -> int:
        """Its revision."""
        return int(self.message["revision"])


def built(marked: dict[str, Any]) -> Built:
    """Take the marks off a message and list the paths of its values."""
    paths: dict[bool, list[str]] = {True: [], False: []}
    message = _plain(marked, "", paths)
    return Built(cast("dict[str, Any]", message), tuple(paths[True]), tuple(paths[False]))


def _plain(value: object, path: str, paths: dict[bool, list[str]]) -> object:
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {name: _plain(part, f"{path}.{name}".lstrip("."), paths) for name, part in entries.items()}
    if isinstance(value, list):
        listed = cast("list[object]", value)
        return [_plain(part, f"{path}[{number}]", paths) for number, part in enumerate(listed)]
    paths[isinstance(value, Taken)].append(path)
    return value.value if isinstance(value, Taken) else value


@dataclass(slots=True)
class Account:
    """Totals over many messages: how many values came from records, and how many were made up."""

    messages: int = 0
    from_record: int = 0
    synthetic: int = 0

    @classmethod
    def of(cls, messages: Iterable[Built]) -> Account:
        """The totals of these messages."""
        account = cls()
        for each in messages:
            account.messages += 1
            account.from_record += len(each.from_record)
            account.synthetic += len(each.synthetic)
        return account

    def told(self) -> str:
        """In one line."""
        share = 100 * self.from_record / max(1, self.from_record + self.synthetic)
        return f"{self.messages:,} messages, {self.from_record:,} values from records, {self.synthetic:,} synthetic ({share:.0f} % real)"


def seeded(*parts: object) -> random.Random:
    """A generator that is the same for the same parts in every run."""
    return random.Random("/".join(map(str, parts)))


@functools.cache
def places(folder: Path) -> Mapping[tuple[str, str], Sequence[str]]:
    """UN/LOCODEs by country and function: ``1`` ports, ``4`` airports, ``3`` road terminals, ``5`` postal."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in read_rows(folder, PLACES):
        for function in row["function"]:
            if function in "12345":
                found.setdefault((row["locode"][:2], function), []).append(row["locode"])
    return found


@functools.cache
def hs_2022(folder: Path) -> frozenset[str]:
    """The six-digit codes of the Harmonized System 2022."""
    return frozenset(row["hscode"] for row in read_rows(folder, HS) if len(row["hscode"]) == 6)


_OTHER_NAMES: Final = {
    "Burma": "MM", "Czech Republic": "CZ", "Democratic Republic of Congo": "CD", "East Timor": "TL",
    "Hong Kong Special Administrative Region": "HK", "Ivory Coast": "CI", "Macedonia": "MK", "Republic of Congo": "CG",
    "Republic of Guinea": "GN", "Swaziland": "SZ", "Trinidad and Tobago": "TT", "Turkey": "TR", "United Kingdom": "GB",
    "Continental Shelf: United Kingdom sector": "GB", "United States of America": "US",
}  # fmt: skip
"""Names in licence records that the list of countries spells in another way."""


@functools.cache
def country_codes(folder: Path) -> Mapping[str, str]:
    """ISO 3166-1 alpha-2 code by the name of a country, as licence records write it."""
    return {row["name"]: row["alpha2"] for row in read_rows(folder, COUNTRIES)} | _OTHER_NAMES


def container_number(owner: str, serial: int) -> str:
    """A container number with its check digit (ISO 6346): four letters, six digits, one digit.

    Letters count from 10 without the multiples of 11; each place weighs twice the one before; 11 and then 10 are divided out.
    """
    body = f"{owner}{serial:06d}"
    total = 0
    for place, sign in enumerate(body):
        number = int(sign) if sign.isdigit() else 10 + (ord(sign) - 65) + (ord(sign) - 65 + 9) // 10
        total += number * 2**place
    return f"{body}{total % 11 % 10}"


def repeated(messages: Iterable[Built], *, again: int) -> Iterator[Built]:
    """Each message, and its next revision for the first ``again`` of them, in the order given."""
    first: list[Built] = []
    for each in messages:
        if len(first) < again:
            first.append(each)
        yield each
    yield from (next_revision(each) for each in first)


def next_revision(of: Built) -> Built:
    """The next revision of a message: complete, with what a second look added."""
    message = dict(of.message)
    message["revision"] = of.revision + 1
    core = dict(message["sections"]["core"])
    if message["family"] == "alert":
        core["indicators"] = [*core["indicators"], {"code": "SECOND-LOOK", "text": f"looked at again, revision {of.revision + 1}"}]
        message["sections"] = {**message["sections"], "core": core}
    added = tuple(f"sections.core.indicators[{len(core['indicators']) - 1}].{name}" for name in ("code", "text"))
    return Built(message, of.from_record, of.synthetic + (added if message["family"] == "alert" else ()))
