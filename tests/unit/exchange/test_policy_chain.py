"""The chain of policy bundles: one step forward at a time, by officers of two agencies, and never otherwise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.app import shipped_bundle
from broker.errors import Refusal
from broker.exchange.policy_chain import PolicyChain, widening_of
from broker.policy.bundle_file import SCENARIOS_FILE, BundleFile, read_bundle_file
from broker.trust.directory import Directory
from broker.trust.officers import unsigned_manifest
from tests.support.officers import NO_PARTIES, ONE_SCENARIO, proposed, shipped_files
from tests.unit.trust.actors import EXCHANGE, NOW, Pen, Registrar, agency, empty, replay

SG, MY, DE, FAKE = Pen("sg-master"), Pen("my-master"), Pen("de-master", p256=True), Pen("fake-master")
MEMBERS = {"SG-CUSTOMS": SG, "MY-CUSTOMS": MY, "DE-BAFA": DE, "XX-FAKE": FAKE}


@cache
def directory(*suspended: str) -> Directory:
    registrar = Registrar()
    entries = [agency(name, pen) for name, pen in MEMBERS.items()]
    known = replay(empty(registrar), registrar.exchange(Pen("relay")), *(registrar.agency(entry) for entry in entries))
    for entry in entries:
        if entry.agency in suspended:
            known = replay(known, registrar.agency(replace(entry, status="suspended", since_ms=NOW + 1000, reason="x")))
    return known


def first() -> PolicyChain:
    bundle = shipped_bundle()
    return PolicyChain(bundle, bundle.digest)


def by(file: BundleFile, *pens: Pen, exchange: str = EXCHANGE, environment: str = "test", text: bytes | None = None) -> BundleFile:
    for pen in pens:
        unsigned = unsigned_manifest(text or file.manifest.text(), pen, exchange, environment)
        file = file.with_signature(unsigned.nested(pen.sign(unsigned.to_be_signed)))
    return file


@cache
def narrow(**how: Any) -> BundleFile:
    return proposed(first(), directory(), shipped_files(stop=NO_PARTIES), **how)


def code(file: BundleFile | bytes, *, chain: PolicyChain | None = None, known: Directory | None = None, at_ms: int = NOW) -> str:
    after = (chain or first()).after_file(file if isinstance(file, bytes) else file.text(), at_ms, known or directory())
    return after.code if isinstance(after, Refusal) else f"version {after.version}"


def test_two_officers_of_two_agencies() -> None:
    """The next bundle with two good signatures is in force; its digest, signers and officers are known; offered again it changes
    nothing."""
    file = by(narrow(), SG, DE)
    after = first().after_file(file.text(), NOW, directory())
    assert isinstance(after, PolicyChain)
    assert (after.version, after.signed, sorted(after.officers)) == (2, ("DE-BAFA", "SG-CUSTOMS"), ["MY-CUSTOMS", "SG-CUSTOMS"])
    assert after.digest == file.manifest.digest
    assert after.after_file(file.text(), NOW, directory()) is after


@pytest.mark.parametrize(
    ("file", "refused"),
    [
        (narrow(), "TOO_FEW_OFFICERS"),
        (by(narrow(), SG), "TOO_FEW_OFFICERS"),
        (by(narrow(), SG, Pen("stranger")), "BAD_SIGNATURE"),
        (by(narrow(), SG, Registrar().pen), "BAD_SIGNATURE"),
        (by(by(narrow(), SG), MY, exchange="other.exchange"), "BAD_SIGNATURE"),
        (by(by(narrow(), SG), MY, environment="production"), "BAD_SIGNATURE"),
        (by(by(narrow(), SG), MY, text=narrow(valid_from_ms=1).manifest.text()), "BAD_SIGNATURE"),
        (by(narrow(version=3), SG, MY), "BUNDLE_OUT_OF_ORDER"),
        (by(narrow(prev=bytes(32)), SG, MY), "BUNDLE_BREAKS_CHAIN"),
        (by(narrow(valid_from_ms=NOW + 1), SG, MY), "BUNDLE_NOT_DUE"),
        (by(narrow(directory_version=99), SG, MY), "DIRECTORY_BEHIND"),
    ],
    ids=range(11),
)  # fmt: skip
def test_refused(file: BundleFile, refused: str) -> None:
    """Unsigned; one signature; with a stranger's; with the registrar's; signed for another exchange, environment, manifest; a version
    left out; another chain; too early; before its directory: each has its code, with advice, and the chain stays as it was."""
    assert code(file) == refused
    refusal = first().after_file(file.text(), NOW, directory())
    assert isinstance(refusal, Refusal)
    assert refusal.advice


def test_two_officers_of_one_agency() -> None:
    """An agency has one master key, and two signatures with it (ECDSA makes many) are one agency's."""
    once = by(narrow(), DE)
    twice = by(once, DE)
    while twice == once:
        twice = by(twice, DE)
    assert len(twice.signatures) == 2
    assert code(twice) == "TOO_FEW_OFFICERS"


def test_suspended_officers() -> None:
    """A suspended agency's signature does not count; one that it gave before it was suspended still does, for readers that come late."""
    file = by(narrow(), SG, DE)
    assert code(file, known=directory("DE-BAFA"), at_ms=NOW + 1000) == "TOO_FEW_OFFICERS"
    assert code(file, known=directory("DE-BAFA"), at_ms=NOW + 999) == "version 2"


def test_only_named_officers_sign_the_next() -> None:
    """After a bundle that names officers nobody else's signature counts: not a member's that the operator lists afterwards, and not an
    officer's under another key."""
    second = first().after_file(by(narrow(), SG, MY).text(), NOW, directory())
    assert isinstance(second, PolicyChain)
    third = proposed(second, directory(), shipped_files())
    assert code(by(third, SG, MY), chain=second) == "version 3"
    assert code(by(third, SG, FAKE), chain=second) == "TOO_FEW_OFFICERS"
    swapped = replace(second, officers={**second.officers, "MY-CUSTOMS": Pen("before").kid})
    assert code(by(proposed(swapped, directory(), shipped_files()), SG, MY), chain=swapped) == "TOO_FEW_OFFICERS"


def test_rolled_back() -> None:
    """An older bundle, genuine and played in again, is not in order; neither is the one that the operator alone can make."""
    second = first().after_file(by(narrow(), SG, MY).text(), NOW, directory())
    assert isinstance(second, PolicyChain)
    third = second.after_file(by(proposed(second, directory(), shipped_files()), SG, MY).text(), NOW, directory())
    assert isinstance(third, PolicyChain)
    assert code(by(narrow(), SG, MY), chain=third) == "BUNDLE_OUT_OF_ORDER"


def test_own_tests() -> None:
    """A bundle one of whose scenarios does not hold is refused, whoever signed it."""
    wrong = ONE_SCENARIO.replace("default-deny", "publish-customs")
    file = proposed(first(), directory(), {**shipped_files(), SCENARIOS_FILE: wrong})
    assert code(by(file, SG, MY)) == "BUNDLE_FAILS_TESTS"


def test_officers_that_are_no_members() -> None:
    """A bundle that names an officer with a key that no member has would be the last one for good, and is refused."""
    file = narrow()
    manifest = replace(file.manifest, officers={**file.manifest.officers, "MY-CUSTOMS": bytes(16)})
    assert code(by(replace(file, manifest=manifest), SG, MY)) == "BAD_BUNDLE"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_altered_anywhere(data: st.DataObject) -> None:
    """No change of one byte in a signed bundle gives another bundle: it is refused."""
    text = bytearray(by(narrow(), SG, MY).text())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    assert not code(bytes(text)).startswith("version")


def test_widening_is_told() -> None:
    """The comparison with the bundle in force names what is given beyond what is declared; a narrowing one gives nothing."""
    assert widening_of(first(), narrow()) is None
    wider = shipped_files(more=NO_PARTIES.replace("forbid", "permit").replace("stop-parties", "read-all-parties"))
    refusal = widening_of(first(), proposed(first(), directory(), wider))
    assert refusal is not None
    assert refusal.code == "BUNDLE_WIDENS"
    assert "`read-all-parties` is new" in refusal.reason


def test_file_and_text_are_one() -> None:
    """A file reads as what was written, and has the same bytes whoever signed first."""
    file = by(narrow(), SG, MY)
    assert read_bundle_file(file.text()) == file
    assert by(narrow(), MY, SG).text() == file.text()
