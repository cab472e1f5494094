"""Bundle files: strict on the way in, the same bytes on the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import Refusal, UsageError
from broker.policy.bundle_file import RULE_LIMIT, BundleFile, propose, read_bundle_file
from tests.support.officers import NO_PARTIES, shipped_files

OFFICERS = {"SG-CUSTOMS": bytes(16), "MY-CUSTOMS": bytes([1]) * 16}


def made(files: dict[str, str] | None = None, **how: Any) -> BundleFile:
    values: dict[str, Any] = {
        "version": 2, "prev": bytes(32), "valid_from_ms": 0, "widens": (), "officers": OFFICERS, "directory_version": 5
    }  # fmt: skip
    return propose(shipped_files() if files is None else files, **values | how)


def written(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_same_content_same_bytes() -> None:
    """Line ends and the order in which things are given do not matter; every change of content gives another digest."""
    again = made({name: text.replace("\n", "\r\n") for name, text in reversed(shipped_files().items())}, widens=["b", "a", "b"])
    assert made(widens=["a", "b"]).text() == again.text()
    digests = {
        made().manifest.digest, made(version=3).manifest.digest, made(widens=["a"]).manifest.digest, made(valid_from_ms=1).manifest.digest,
        made(prev=bytes([1]) * 32).manifest.digest, made(shipped_files(stop=NO_PARTIES)).manifest.digest,
        made(directory_version=6).manifest.digest, made(officers={**OFFICERS, "DE-BAFA": bytes([2]) * 16}).manifest.digest,
    }  # fmt: skip
    assert len(digests) == 8


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"stop.cedar": NO_PARTIES.replace("resource);", "resource) when { resource.tpl == Tlp::\"RED\" };")}, "tpl"),
        ({"stop.cedar": NO_PARTIES.replace("resource);", "resource) when { resource.embargoUntil > context.now };")}, "embargoUntil"),
        ({"stop.cedar": NO_PARTIES.replace("principal,", 'principal == Agency::"SG-СUSTOMS",')}, "SG-"),
        ({"stop.cedar": NO_PARTIES.replace('@basis("A test")\n', "")}, "@basis"),
        ({"stop.cedar": "".join(f'@id("r{n}")' for n in range(RULE_LIMIT + 1))}, "rules"),
        ({"scenarios.json": '{"members": {}, "scenarios": []}'}, "no scenario"),
        ({"scenarios.json": "{}"}, "members"),
        ({"../escape.cedar": NO_PARTIES}, "no name of a file"),
    ],
    ids=["misspelt", "unguarded", "look-alike", "no-basis", "too-many", "no-tests", "bad-tests", "path"],
)  # fmt: skip
def test_bad_policies_make_no_file(files: dict[str, str], reason: str) -> None:
    """A misspelt attribute, an unguarded optional one, a look-alike id, a rule without basis, thousands of rules, no tests, a file name
    that leads elsewhere."""
    with pytest.raises(UsageError, match=reason):
        made(shipped_files() | files)


CHANGES: list[Callable[[Any], Any]] = [
    lambda c: c | {"more": 1},
    lambda c: c | {"type": "x"},
    lambda c: c | {"manifest": c["manifest"] | {"more": 1}},
    lambda c: c | {"manifest": c["manifest"] | {"version": 1}},
    lambda c: c | {"manifest": c["manifest"] | {"version": 2.0}},
    lambda c: c | {"manifest": c["manifest"] | {"version": True}},
    lambda c: c | {"manifest": c["manifest"] | {"prev": "00"}},
    lambda c: c | {"manifest": c["manifest"] | {"widens": ["b", "a"]}},
    lambda c: c | {"manifest": c["manifest"] | {"officers": {"SG-CUSTOMS": "00" * 16}}},
    lambda c: c | {"manifest": c["manifest"] | {"officers": {"SG-CUSTOMS": "00" * 16, "MY-CUSTOMS": "00" * 16}}},
    lambda c: c | {"files": c["files"] | {"read.cedar": c["files"]["read.cedar"] + "\n"}},
    lambda c: c | {"files": []},
    lambda c: c | {"signatures": ["?"]},
    lambda c: c | {"signatures": ["AA==", "AA=="]},
    lambda c: c | {"signatures": 1},
    lambda c: [c],
    lambda c: None,
]


@pytest.mark.parametrize("change", CHANGES)
def test_bad_files_are_refused(change: Callable[[Any], Any]) -> None:
    """What is not exactly a bundle file is refused with a code, never an exception."""
    refusal = read_bundle_file(written(change(json.loads(made().text()))))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "BAD_BUNDLE"


def test_other_spellings_are_refused() -> None:
    """The same content with spaces, an escape, a doubled key, or anything behind it is another file."""
    text = made().text()
    for other in (text + b"\n", text.replace(b":", b": ", 1), b'{"files":{},' + text[1:], json.dumps(json.loads(text)).encode(), b""):
        assert isinstance(read_bundle_file(other), Refusal)
