"""What ``policy explain`` and ``policy diff`` stand on: the rules, the members, the messages that are asked about, the moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from rich.markup import escape

from broker.app.message_forms import message_of
from broker.cli.members import known
from broker.cli.reading import read_values
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.exchange.rules import members_of
from broker.exchange.unsent import unsent_labels
from broker.policy.bundle import Bundle
from broker.policy.bundle_file import BUNDLE_LIMIT, read_bundle_file
from broker.policy.facts import NO_FACTS, Facts
from broker.policy.model import Labels, Member
from broker.policy.scenarios import Scenario, read_scenarios
from broker.schema.catalogue import Catalogue
from broker.storage.clock import SystemClock
from broker.storage.policies import read_policies

SHIPPED: Final = "the rules that ship"
_YEARS: Final = range(1990, 2100)


@dataclass(frozen=True, slots=True)
class Ground:
    """Rules with the members they are asked about. ``told`` names them for people, ``scenarios`` are the bundle's own; ``facts`` are
    those beside the bundle's own that go with the members."""

    bundle: Bundle
    members: Mapping[str, Member]
    scenarios: tuple[Scenario, ...]
    told: str
    facts: Facts = NO_FACTS


async def ground_of(common: Common, policies: Path | None, as_: str | None) -> Ground:
    """The rules of a folder or a bundle file; those in force where a home or an agency is named; else those that ship. Raises
    UsageError, RefusedError."""
    if policies is None and (as_ is not None or common.home != COMMON.home):
        return await in_force(common, as_)
    return written(policies)


async def in_force(common: Common, as_: str | None) -> Ground:
    """The rules and the members of an exchange, as an agency or the operator sees them now."""
    async with known(common, as_) as knowledge:
        chain, directory = knowledge.policy, knowledge.rules.directory
    if chain.bundle is None:
        raise UsageError("no rules are in force there", advice="create the exchange with `broker up` first")
    return Ground(chain.bundle, members_of(directory), chain.scenarios, f"version {chain.version}, in force in {directory.exchange_id}")


def written(path: Path | None) -> Ground:
    """The rules of a folder or a bundle file, by default those that ship, and the members of its scenarios. Raises UsageError,
    RefusedError."""
    if path is not None and path.is_file():
        file = read_bundle_file(_bytes(path))
        if isinstance(file, Refusal):
            raise RefusedError(file)
        told = f"version {file.manifest.version} of {path.name}"
        return Ground(file.bundle, _members(file.scenarios), file.scenarios, told, _facts(file.scenarios))
    texts = read_policies(path)
    bundle = Bundle.from_texts(1, texts.schema, texts.policies, texts.entities)
    scenarios = read_scenarios(texts.scenarios) if texts.scenarios is not None else ()
    return Ground(bundle, _members(scenarios), scenarios, SHIPPED if path is None else f"the folder {path}", _facts(scenarios))


def _members(scenarios: tuple[Scenario, ...]) -> dict[str, Member]:
    """The members of the scenarios, none suspended."""
    return {agency: replace(member, suspended=False) for each in scenarios for agency, member in sorted(each.members.items())}


def _facts(scenarios: tuple[Scenario, ...]) -> Facts:
    """The facts of the scenarios: they go with their members."""
    facts = NO_FACTS
    for each in scenarios:
        facts = facts.joined(each.facts)
    return facts


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BUNDLE_LIMIT + 2).removesuffix(b"\n")
    except OSError as error:
        raise UsageError(f"`{printable(str(path))}` cannot be read: {error.strerror}", advice="give a bundle file or a folder") from error


def moment(text: str | None, default_ms: int | None = None) -> int:
    """Unix milliseconds of an ISO 8601 time, UTC where it names no zone; without one ``default_ms`` or now. Raises UsageError."""
    if text is None:
        return SystemClock().now_ms() if default_ms is None else default_ms
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"`{printable(text)}` is no time", advice="write 2026-12-01T00:00:00Z") from error
    if found.year not in _YEARS:
        raise UsageError(f"`{printable(text)}` is before {_YEARS.start} or after {_YEARS.stop - 1}", advice="write 2026-12-01T00:00:00Z")
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def labels_from(path: str, catalogue: Catalogue) -> Iterator[tuple[int, str, Labels | Refusal]]:
    """What policy would see of each message of a file: its number from 1, its subject, its labels or why it would be refused."""
    for number, value in enumerate(read_values(path), 1):
        message = message_of(value, catalogue)
        if isinstance(message, Refusal):
            subject: object = cast("dict[str, object]", value).get("subject") if isinstance(value, dict) else None
            yield number, subject if isinstance(subject, str) else "", message
        else:
            yield number, message.subject, unsent_labels(message, catalogue)


def labels_json(labels: Labels) -> dict[str, Any]:
    """Labels as JSON, without what is empty."""
    values = {name: value for name, value in asdict(labels).items() if value not in (None, ())}
    return cast("dict[str, Any]", json.loads(json.dumps(values)))


def write_page(path: Path, text: str, screen: Screen) -> None:
    """Write a page of HTML and say so. Raises UsageError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        told = f"`{printable(str(path))}` cannot be written: {error.strerror}"
        raise UsageError(told, advice="name a file in a folder that is there") from error
    screen.note(f"written: {escape(printable(str(path)))}")
