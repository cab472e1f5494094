"""The policies that ship, and short ways to make labels and members."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from broker.families.catalogue import FAMILIES
from broker.policy.bundle import Bundle
from broker.policy.model import Labels, Member
from broker.policy.scenarios import Scenario, read_scenarios

FOLDER = Path(__file__).parents[3] / "deploy" / "policies"
NOW_MS = 1_795_521_600_000
"""2026-11-24T12:00:00Z."""

SECTIONS = {family.name: tuple(family.types) for family in FAMILIES.values()}


def schema_text() -> str:
    return (FOLDER / "schema.cedarschema").read_text()


def policy_texts() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(FOLDER.glob("*.cedar"))}


@cache
def bundle() -> Bundle:
    return Bundle.from_texts(1, schema_text(), policy_texts())


@cache
def scenarios() -> tuple[Scenario, ...]:
    return read_scenarios((FOLDER / "scenarios.json").read_text())


def scenario(name: str) -> Scenario:
    return next(each for each in scenarios() if each.name == name)


def member(agency: str, kind: str, *communities: str, suspended: bool = False) -> Member:
    return Member(agency, agency[:2], kind, communities, suspended)


def members(*each: Member) -> dict[str, Member]:
    return {one.agency: one for one in each}


_ALERT = Labels(
    family="alert",
    originator="TH-CUSTOMS",
    tlp="AMBER",
    handling="H0",
    pap=None,
    urgency="PRIORITY",
    onward="NONE",
    purposes=("STC_ENFORCEMENT",),
    legal_basis="NATIONAL:TH",
    countries=(),
    hs_chapters=("84",),
    category="DUAL_USE",
    free_zone=None,
    sections=("audience", "core", "goods", "parties"),
    audience_agencies=("SG-CUSTOMS",),
    audience_communities=(),
    audience_countries=(),
    valid_until_ms=NOW_MS + 1,
    embargo_until_ms=None,
)


def alert(**changes: object) -> Labels:
    """An alert of TH-CUSTOMS, TLP:AMBER, to SG-CUSTOMS, with the changes given."""
    return replace(_ALERT, **changes)  # pyright: ignore[reportArgumentType]
