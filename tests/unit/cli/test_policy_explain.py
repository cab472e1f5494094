"""``broker policy explain``: from a message in a file to an answer for people, for programs, and on a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from broker.cli.main import run
from tests.support.example_policies import write_folder

MESSAGE: dict[str, Any] = {
    "family": "alert", "subject": "SG-CUSTOMS/2026/000123", "revision": 1,
    "header": {
        "urgency": "IMMEDIATE", "tlp": "AMBER", "valid_until": "2026-12-20T00:00:00Z", "purposes": ["STC_ENFORCEMENT"],
        "audience": {"agencies": ["AE-CUSTOMS"]},
    },
    "sections": {
        "core": {
            "alert_type": "SHIPMENT", "risk_category": "DUAL_USE", "transport_mode": "SEA",
            "indicators": [{"code": "END_USE_UNCLEAR"}], "requested_actions": ["ASSESS_ONLY"], "ucr": "6SG201234567X-0001",
        }
    },
}  # fmt: skip
SCENARIO = ("policy", "explain", "--scenario", "a-director-is-named", "--policies")
"""A folder of :func:`write_folder` comes after it."""


class Page(HTMLParser):
    """The elements of a page, and what it holds that it may not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    @property
    def self_contained(self) -> bool:
        """Whether it runs nothing and fetches nothing."""
        return not {"script", "link", "img", "iframe", "object"} & set(self.tags) and not any(
            name in ("src", "href") or name.startswith("on") for name, _ in self.attributes
        )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alert.json"
    path.write_text(json.dumps(MESSAGE))
    return path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """The message of a call that is refused with this exit code; it has advice and no traceback."""
    assert run([*arguments, "--json"]) == code
    *_, line = lines(capsys)
    assert line["advice"]
    return str(line["message"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_folder(tmp_path_factory.mktemp("policies")))


def test_one_agency_is_explained_to_people(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rule, clause, facts, and for what is denied what would give it, without colours in a pipe."""
    assert run([*SCENARIO, folder, "--agency", "AE-CUSTOMS"]) == 0
    told = capsys.readouterr().out
    assert "because AE-CUSTOMS is customs; family is alert; TLP is AMBER; AE is DESTINATION" in told
    assert "from: EU ICS2: the countries on the route" in told
    assert "It would be given if AE-CUSTOMS were named in the audience (rule read-grounds-source)." in told
    assert "or if AE-CUSTOMS were a member of STCE-ASEAN (rule read-parties-customs)." in told
    assert "\x1b" not in told


def test_a_denial_that_nothing_lifts(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said how much was tried, and not that nothing could ever help."""
    assert run([*SCENARIO, folder, "--agency", "US-FIU"]) == 0
    told = capsys.readouterr().out
    assert "does not read grounds or source\n      the message is not received" in told
    assert "It would be given if US-FIU were named in the audience and US-FIU were customs or police (rule read-grounds-source)." in told


def test_a_message_in_a_file(file: Path, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As `broker publish` takes it: its labels are derived, and each answer is one JSON line."""
    more = ("--policies", folder, "--at", "2026-12-01T00:00:00", "--json")
    assert run(["policy", "explain", str(file), "--agency", "AE-CUSTOMS", *more]) == 0
    receive, core = lines(capsys)
    assert (receive["what"], receive["allowed"], receive["rules"][0]["facts"]) == (
        "receive", True, ["AE-CUSTOMS is named in the audience"]
    )  # fmt: skip
    assert (core["what"], core["rules"][0]["id"]) == ("core", "read-core")


def test_every_member_in_a_line(file: Path, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an agency: who may publish, then each member but the originator once, with sections and rules."""
    assert run(["policy", "explain", str(file), "--policies", folder, "--json"]) == 0
    first, *others = lines(capsys)
    assert (first["agency"], first["publishes"], first["rule"]) == ("SG-CUSTOMS", True, "publish-customs")
    assert first["labels"]["audience_agencies"] == ["AE-CUSTOMS"]
    assert [each["agency"] for each in others] == sorted(each["agency"] for each in others)
    assert {each["agency"] for each in others if each["receives"]} == {"AE-CUSTOMS"}


def test_the_rules_that_ship_are_the_default(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder and without a home: it is said whose rules decided."""
    assert run(["policy", "explain", str(file), "--json"]) == 0
    assert lines(capsys)[0]["policies"] == "the rules that ship"


def test_the_page_escapes_what_rules_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A title with a script in it is text on the page, of one agency and of all; the page fetches nothing and names its language."""
    hostile = "<script>alert(1)</script> \u202e<img src=x onerror=y>"
    changed = write_folder(tmp_path / "policies", "Every recipient reads the core, which names no person", hostile)
    for more in (["--agency", "AE-CUSTOMS"], []):
        target = tmp_path / "out.html"
        assert run([*SCENARIO, str(changed), *more, "--html", str(target)]) == 0
        text = target.read_text()
        page = Page(text)
        assert page.self_contained
        assert "&lt;script&gt;alert(1)&lt;/script&gt; \\u202e&lt;img" in text
        assert ("lang", "en") in page.attributes
        assert {("scope", "col"), ("scope", "row")} <= set(page.attributes)
        assert {"h1", "h2", "caption", "main"} <= set(page.tags)
    capsys.readouterr()


def test_consents_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the owner consented to, and what officers opened, is among the labels for programs and on the page."""
    target = tmp_path / "out.html"
    assert run(["policy", "explain", "--scenario", "p06-court", "--json", "--html", str(target)]) == 0
    labels = lines(capsys)[0]["labels"]
    assert [(each["agency"], each["sections"], each["evidential"]) for each in labels["consents"]] == [
        ("SG-POLICE", ["core"], True), ("AE-CUSTOMS", ["core"], False),
    ]  # fmt: skip
    told = "SG-POLICE: core, and to use it in court, from 2026-11-20T00:00:00Z until 2026-12-20T00:00:00Z"
    assert f"<dt>Consent to</dt><dd>{told}</dd>" in target.read_text()
    assert run(["policy", "explain", "--scenario", "p12-opened-by-two-officers", "--html", str(target)]) == 0
    capsys.readouterr()
    assert "<dt>Opened in an emergency to</dt><dd>KR-LICENSING: core, goods, from" in target.read_text()


def test_wrong_use_is_refused(file: Path, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An agency that is no member, a scenario that is none, a time that is none, two sources or none, no file: exit 2 and advice."""
    scenario = (*SCENARIO, folder)
    assert "AE-CUSTOMZ is not a member here" in refused(capsys, *scenario, "--agency", "AE-CUSTOMZ")
    assert "is not an agency id" in refused(capsys, *scenario, "--agency", "ae customs")
    assert "there is no scenario `p99`" in refused(capsys, "policy", "explain", "--scenario", "p99")
    assert "`1 December` is no time" in refused(capsys, *scenario, "--at", "1 December")
    assert "is before 1990" in refused(capsys, *scenario, "--at", "0001-01-01T00:00:00+14:00")
    assert "either a file or a scenario" in refused(capsys, "policy", "explain")
    assert "either a file or a scenario" in refused(capsys, *scenario, str(file))
    assert "none.json" in refused(capsys, "policy", "explain", str(tmp_path / "none.json"))
    assert "is no folder" in refused(capsys, *SCENARIO, str(tmp_path / "none"))
    assert "cannot be written" in refused(capsys, *scenario, "--agency", "AE-CUSTOMS", "--html", str(tmp_path / "no" / "x.html"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"family": "gossip"}, "UNKNOWN_FAMILY"),
        ({"header": {"tlp": "PINK"}}, "BAD_LABELS"),
        ({"sections": {"core": {"alert_type": 7}}}, "BAD_FIELD"),
    ],
)
def test_a_message_that_is_refused(change: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is explained of a message that could not be sent: exit 1 with the code that publishing has."""
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(MESSAGE | change))
    assert refused(capsys, "policy", "explain", str(path), code=1).startswith(told)


@pytest.mark.parametrize("content", [b"\xff\x00", b"", b"[" * 60_000, b'{"a": "\\ud800"}', b"[3]", b'{"sections": []}'])
def test_a_file_that_is_no_message(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a file holds, what is wrong is told in a line, without a traceback."""
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    assert run(["policy", "explain", str(path)]) in (1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error ")
    assert len(captured.err.splitlines()) <= 3


def test_several_messages_are_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One message is explained at a time."""
    path = tmp_path / "two.jsonl"
    path.write_text(f"{json.dumps(MESSAGE)}\n{json.dumps(MESSAGE)}\n")
    assert "several messages" in refused(capsys, "policy", "explain", str(path))
