"""``broker policy diff``: what it says to people and programs, its exit codes, its page, and recorded traffic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import run
from broker.policy.bundle_file import propose
from broker.policy.difference import APART, COMMUNITY, NAMED, OWN, Example, Group
from broker.policy.difference_words import because, changed_pieces, counted, marks, what, who
from tests.support.example_policies import write_folder
from tests.support.officers import NO_PARTIES
from tests.unit.cli.test_policy_explain import MESSAGE, Page
from tests.unit.policy.shipped import NOW_MS, alert
from tests.unit.policy.test_difference import WIDE

KINDS = ("customs", "licensing", "police", "coastguard", "zone", "fiu", "regulator", "international", "auditor")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("before") / "policies")


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("after") / "policies", *WIDE, stop=NO_PARTIES)


def diff(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
    assert run(["policy", "diff", *map(str, arguments), "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_same_rules(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder beside itself: one line that says so, and nothing is wider."""
    (line,) = diff(capsys, before, before, "--no-wider")
    assert (line["same"], line["gains"], line["losses"], line["rules"]) == (True, 0, 0, 0)
    assert line["made_up"] > 20


def test_losses_gains_and_rules(before: Path, after: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Losses come first, then gains, each with sentence, rule and example; then the rules with their words; exit 1 as somebody gains."""
    *found, last = diff(capsys, before, after, "--no-wider", code=1)
    differences = [each for each in found if "difference" in each]
    assert [each["difference"] for each in differences] == ["loss"] * last["losses"] + ["gain"] * last["gains"]
    (gain,) = [each for each in differences if each["difference"] == "gain"]
    assert gain["sentence"] == (
        "financial intelligence units that are named, of a named community or of a named country GAIN read goods of alert and seizure: "
        "rule read-goods-licensing (changed)"
    )
    assert gain["example"]["labels"]["family"] == "alert"
    rules = {each["rule"]: each for each in found if "state" in each}
    assert {name: rule["state"] for name, rule in rules.items()} == {"read-goods-licensing": "changed", "stop-parties": "new"}
    assert ["new", "["] in rules["read-goods-licensing"]["text"]


def test_it_is_told_to_people_without_colours(before: Path, after: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe what is new and gone in a rule is marked by signs; without --no-wider a gain is no failure."""
    assert run(["policy", "diff", str(before), str(after)]) == 0
    told = capsys.readouterr().out
    assert "LOSE read parties of" in told
    assert "[-principal.kind == -]{+[+}" in told
    assert "\x1b" not in told
    assert told.index("Losses") < told.index("Gains") < told.index("Rules")


def test_recorded_traffic(before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages are counted by what rules can read of them; nothing of their content is shown; what would be refused is left out and
    told."""
    parties = {"parties": [{"role": "CONSIGNEE", "name": "Secret Trading FZE", "person_type": "2"}]}
    message = MESSAGE | {"sections": MESSAGE["sections"] | {"parties": parties}}
    path = tmp_path / "sent.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in [message] * 3 + [message | {"family": "gossip"}]))
    assert run(["policy", "diff", str(before), str(after), "--traffic", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    *found, last = [json.loads(line) for line in captured.out.splitlines()]
    assert (last["recorded"], last["refused"]) == (3, 1)
    loss = next(each for each in found if each.get("recorded"))
    assert (loss["difference"], loss["recorded"], loss["example"]["name"]) == ("loss", 3, "message 1 of sent.jsonl")
    assert loss["example"]["agency"] == "AE-CUSTOMS"
    assert "Secret" not in captured.out + captured.err
    assert "message 4: UNKNOWN_FAMILY" in captured.err


def test_a_bundle_file_is_as_good_as_a_folder(before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What officers sign can be compared as it is."""
    files = {path.name: path.read_text() for path in before.iterdir()}
    officers = {"DE-BAFA": bytes(16), "SG-CUSTOMS": bytes([1] * 16)}
    file = propose(files, version=2, prev=bytes(32), valid_from_ms=0, widens=(), officers=officers, directory_version=0)
    (tmp_path / "policy-2.json").write_bytes(file.text() + b"\n")
    assert diff(capsys, tmp_path / "policy-2.json", after)[-1]["rules"] == 2
    (tmp_path / "bad.json").write_text("{}")
    assert diff(capsys, tmp_path / "bad.json", after, code=1)[0]["message"].startswith("BAD_BUNDLE")


def test_the_page_escapes_what_rules_say(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Title, clause and text of a rule are text on the page, and what is new in it is marked as inserted."""
    hostile = NO_PARTIES.replace("Nobody reads parties", "<script>alert(1)</script>").replace("A test", "<img src=x onerror=y>")
    assert hostile.count("<") == 3
    changed = write_folder(tmp_path / "policies", *WIDE, stop=hostile)
    assert run(["policy", "diff", str(before), str(changed), "--html", str(tmp_path / "out.html")]) == 0
    capsys.readouterr()
    text = (tmp_path / "out.html").read_text()
    page = Page(text)
    assert page.self_contained
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert {"h1", "h2", "h3", "caption", "ins", "del", "main"} <= set(page.tags)
    assert {("scope", "col"), ("scope", "row"), ("lang", "en")} <= set(page.attributes)


def test_wrong_use_is_refused(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No such folder, a time that is none, traffic that is none or all refused, no exchange to compare with."""
    assert "is no folder" in diff(capsys, before, tmp_path / "none", code=2)[0]["message"]
    assert "is no time" in diff(capsys, before, before, "--at", "soon", code=2)[0]["message"]
    assert "none.jsonl" in diff(capsys, before, before, "--traffic", tmp_path / "none.jsonl", code=2)[-1]["message"]
    (tmp_path / "bad.jsonl").write_text('{"family": "gossip"}\n')
    assert (
        "every recorded message would be refused"
        in diff(capsys, before, before, "--traffic", tmp_path / "bad.jsonl", code=2)[-1]["message"]
    )
    (line,) = diff(capsys, before, "--home", tmp_path / "nowhere", code=2)
    assert line["advice"]


def group(**changes: Any) -> Group:
    example = Example("a case", "SG-FIU", alert(), NOW_MS)
    values: dict[str, Any] = {
        "kinds": ("fiu",), "relations": (NAMED,), "what": ("core", "receive", "goods"), "families": ("alert",), "rule": "r1",
        "stops": False, "made_up": 0, "recorded": 0, "marks": (), "agencies": (), "example": example,
    }  # fmt: skip
    return Group(**values | changes)


def test_the_words() -> None:
    """Whom, what, why, how often, under which marks: each as a person would say it."""
    assert who(group(kinds=KINDS, relations=(APART,))) == "agencies of every kind that are not addressed"
    assert who(group(kinds=("customs", "zone"), relations=(NAMED, COMMUNITY))) == (
        "customs and free-zone authorities that are named or of a named community"
    )
    assert who(group(kinds=("police",), relations=(OWN,))) == "police"
    assert what(group()) == "receive, read core and goods"
    assert what(group(what=("publish",))) == "publish"
    assert because(group(stops=True), {"r1": "gone"}, gain=True) == "rule r1 (gone) does not stop it any more"
    assert because(group(stops=True), {"r1": "new"}, gain=False) == "rule r1 (new) stops it"
    assert because(group(), {}, gain=True) == "rule r1 (unchanged)"
    assert counted(group(made_up=2, recorded=3), 9) == "2 made-up messages and scenarios and 3 of 9 recorded messages"
    assert marks(group(marks=(("AMBER_STRICT", "H3"),))) == "seen under TLP:AMBER+STRICT H3"
    assert marks(group(marks=tuple((f"T{each}", "H0") for each in range(8)))).endswith("TLP:T5 H0 and 2 more")


def test_long_stretches_that_are_the_same_are_cut() -> None:
    """On a screen a changed rule shows the words beside the change, in one line."""
    long = "x " * 100
    (first, new, last) = changed_pieces([("same", long), ("new", "y\nz"), ("same", long)])
    assert (first[1][:2], len(first[1]) < 40, new, "…" in last[1]) == ("… ", True, ("new", "y z"), True)
