"""Confidential operations as a value: only what the registrar signed, the last version of each, and no name that is public."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from broker.app.parties import shipped_bundle
from broker.errors import Refusal, UsageError
from broker.exchange import notices
from broker.exchange.memberships import Memberships, Operation, not_shown, public_names
from broker.exchange.rules import deciding_digest
from broker.families.message import Audience
from broker.families.recall import recall
from broker.policy.facts_file import read_operation
from broker.storage.keys import FileSigner
from broker.testing.samples import sample_alert
from broker.trust.keys import VerifyKey
from tests.support.parcels import key
from tests.unit.exchange import bench

REGISTRAR = key("registrar")
AAD = notices.context("bench.test", "test")
FILE: dict[str, Any] = {
    "id": "OP-X", "title": "Gemeinsame Ermittlung \u00fcber See", "basis": "made up", "from": "2026-11-01T00:00:00Z",
    "until": "2026-12-15T00:00:00.500Z", "members": {"SG-CUSTOMS": {}, "AE-CUSTOMS": {"from": "2026-11-10T01:00:00+01:00"}},
}  # fmt: skip
ENTITIES = json.dumps(
    {
        "agreements": [
            {
                "id": "AGREED", "title": "An agreement", "basis": "made up", "from": "2026-01-01T00:00:00Z", "communities": ["PARTIES"],
            }
        ],
        "operations": [{**FILE, "id": "OP-OPEN"}], "regimes": [{**FILE, "id": "REGIME", "until": None}],
    }
)  # fmt: skip


def nothing_known() -> Memberships:
    registrar = VerifyKey.from_spki(REGISTRAR.spki)
    assert isinstance(registrar, VerifyKey)
    return Memberships(registrar, AAD)


def note(payload: bytes, *, by: FileSigner = REGISTRAR, aad: bytes = AAD, kind: str = notices.OPERATION_TYPE) -> bytes:
    signature = by.sign_now(notices.notice_to_sign(kind, payload, aad, alg=by.alg, kid=by.kid))
    return notices.notice_bytes(kind, payload, signature, alg=by.alg, kid=by.kid)


def made(version: int = 1, **other: Any) -> Operation:
    return Operation(read_operation({**FILE, **other}), version)


def after(known: Memberships, *operations: Operation) -> Memberships:
    for each in operations:
        applied = known.applied(note(each.payload))
        assert isinstance(applied, Memberships), applied
        known = applied
    return known


def test_record_has_one_form() -> None:
    """The payload is sorted, ASCII, in UTC, without what is open; it says the same as the file that it was made from."""
    assert made(3).payload.decode() == (
        '{"basis":"made up","from":"2026-11-01T00:00:00Z","id":"OP-X",'
        '"members":{"AE-CUSTOMS":{"from":"2026-11-10T00:00:00Z"},"SG-CUSTOMS":{}},'
        '"title":"Gemeinsame Ermittlung \\u00fcber See","until":"2026-12-15T00:00:00.500Z","version":3}'
    )
    assert made().key == b"operation/OP-X"
    assert after(nothing_known(), made(3)).operations == {"OP-X": made(3)}


def test_next_version() -> None:
    """The first announcement is version 1, a change is the version after the one known, the same again is the one known."""
    known = nothing_known()
    assert known.next(made().circle) == made(1)
    known = after(known, made(4))
    assert known.next(made().circle) == made(4)
    assert known.next(made(title="Another").circle) == made(5, title="Another")


def test_older_version_changes_nothing() -> None:
    """A record of an older version, or the same record again, leaves the value as it is: the very same object."""
    known = after(nothing_known(), made(1), made(3, members={}))
    for old in (made(1), made(2), made(3, members={})):
        assert known.applied(note(old.payload)) is known


NO_MEMBERS: list[Any] = [{"sg": {}}, {"SG-CUSTOMS": {"since": 1}}, [], None]
BAD_FILES: list[tuple[dict[str, Any], str]] = [
    ({"members": {f"SG-A{number}": {} for number in range(2001)}}, "over 2,000 members"),
    ({"until": "9999-12-31T23:59:59-14:00"}, "outside the years"),
    ({"until": "2026-10-01T00:00:00Z"}, "ends before it begins"),
    ({"basis": ""}, "has no `basis`"),
    ({"members": None}, "is no object"),
    ({"version": 1}, "has `version`"),
    ({"from": "yesterday"}, "`yesterday` of OP-X is no date"),
]


def altered(payload: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(payload), **fields}, sort_keys=True, separators=(",", ":")).encode()


GOOD = made(2).payload


@pytest.mark.parametrize(
    "value",
    [
        note(GOOD, by=key("mallory")), note(GOOD, aad=notices.context("bench.test", "production")), note(GOOD, kind=notices.SCHEMA_TYPE),
        note(GOOD)[:-1], note(b""), note(b"[]"), note(b"null"), note(b"\xff"), note(b"[" * 100_000), note(GOOD + b" "),
        note(GOOD.replace(b":2}", b":2,\"version\":2}")), note(json.dumps(json.loads(GOOD)).encode()),
        note(GOOD.replace(b"2026-11-01T00:00:00Z", b"2026-11-01T00:00:00+00:00")),
        *(note(altered(GOOD, version=each)) for each in (0, -1, 1.0, True, "2", None, 1 << 53)),
        *(note(altered(GOOD, members=each)) for each in NO_MEMBERS),
        note(altered(GOOD, id="lower")), note(altered(GOOD, id="OP:X")), note(altered(GOOD, more=1)), note(altered(GOOD, title=" ")),
        note(altered(GOOD, **{"from": "0001-01-01T00:00:00+14:00"})), note(altered(GOOD, **{"from": None})),
        note(altered(made(1).payload, title="Two contents of version 1")), b"garbage", b"",
    ],
)  # fmt: skip
def test_everything_else_is_refused(value: bytes) -> None:
    """Another signer, environment or kind, altered bytes, another form of the same content, a version that is none, what is no operation,
    and other content under the version known: BAD_ENTRY with a reason."""
    found = after(nothing_known(), made(1)).applied(value)
    assert isinstance(found, Refusal)
    assert (found.code, bool(found.reason)) == ("BAD_ENTRY", True)


def test_public_names_do_not_count() -> None:
    """Communities of agencies, of agreements and in rules, agreements, operations and regimes: an operation of such a name is not among
    the facts, others are."""
    directory, bundle = bench.opened(), shipped_bundle(entities=ENTITIES)
    public = public_names(bundle, directory)
    communities = {each for entry in directory.agencies.values() for each in entry.communities}
    assert {"AGREED", "PARTIES", "OP-OPEN", "REGIME", *communities} <= public
    assert communities
    known = nothing_known()
    for name in sorted(public.union({"OP-X"})):
        known = after(known, made(id=name))
    assert [each.id for each in known.facts(bundle, directory).operations] == ["OP-X"]
    assert known.facts(None, directory).operations == nothing_known().facts(bundle, directory).operations == ()


def test_what_is_decided_anew() -> None:
    """Without operations the digest is that of before there could be any; it changes with members, their dates and those of the operation,
    not with a title."""
    directory, bundle = bench.opened(), shipped_bundle()

    def digest(*operations: Operation) -> bytes:
        return deciding_digest(directory, 1, after(nothing_known(), *operations).facts(bundle, directory))

    assert digest() == deciding_digest(directory, 1)
    assert digest(made()) == digest(made(2, title="Another", basis="another"))
    others = [made(members={}), made(until=None), made(members={**FILE["members"], "SG-CUSTOMS": {"until": "2027-01-01T00:00:00Z"}})]
    digests = {digest(), digest(made()), digest(made(), made(id="OP-Y")), *(digest(each) for each in others)}
    assert len(digests) == 3 + len(others)


def test_what_a_dry_run_remarks() -> None:
    """Each community of the audience that is not public is named once; before a bundle is known, each; of a recall, none."""
    directory, bundle = bench.opened(), shipped_bundle(entities=ENTITIES)
    alert = sample_alert("SG-CUSTOMS/2026/000001", communities=["OP-Y", "OP-OPEN", "OP-X"])
    told = not_shown(alert, bundle, directory)
    assert [(each.code, each.reason.split()[0]) for each in told] == [("MEMBERS_NOT_SHOWN", "OP-X"), ("MEMBERS_NOT_SHOWN", "OP-Y")]
    assert len(not_shown(alert, None, directory)) == 3
    core: Any = {"reason": "ERROR", "action": "DELETE", "due": None}
    back = recall(subject=alert.subject, revision=2, audience=Audience(communities=("OP-X",)), core=core)
    assert not_shown(back, bundle, directory) == ()


@pytest.mark.parametrize(("change", "why"), BAD_FILES)
def test_a_bad_file_says_why(change: dict[str, Any], why: str) -> None:
    """A file of an operation that cannot be is an error with a reason and advice, which does not speak of the bundle's file."""
    with pytest.raises(UsageError, match=why) as caught:
        read_operation({**FILE, **change})
    assert caught.value.advice
    assert "entities.json" not in str(caught.value)


def test_versions_are_of_one_operation() -> None:
    """Versions of different operations have nothing to do with each other."""
    known = after(nothing_known(), made(5), made(1, id="OP-Y"))
    assert {name: each.version for name, each in known.operations.items()} == {"OP-X": 5, "OP-Y": 1}
    assert replace(known, operations={}) == nothing_known()
