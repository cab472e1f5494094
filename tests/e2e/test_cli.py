"""What every command of the program promises: help, exit codes, JSON Lines, no traceback, no colours in a pipe."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from broker.cli import main
from tests.e2e.program import Program, Ran, local_exchange, write_jsonl

MESSAGE = {
    "family": "alert",
    "subject": "SG-CUSTOMS/2026/1",
    "header": {"audience": {"agencies": ["MY-CUSTOMS"]}, "valid_until": "2027-06-30T00:00:00Z"},
    "sections": {
        "core": {
            "alert_type": "SHIPMENT",
            "risk_category": "OTHER",
            "indicators": [{"code": "X-1"}],
            "requested_actions": ["ASSESS_ONLY"],
            "transport_mode": "SEA",
            "documents": [{"type": "N705", "id": "HLCU1"}],
        }
    },
}
DEEP = "[" * 60_000


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of all commands, from the program itself."""
    for name in app:
        if not name.startswith("-"):
            below = list(commands(app[name], (*path, name)))
            yield from below or [(*path, name)]


COMMANDS = sorted(commands(main.app))


def called(*arguments: str) -> tuple[int, str, str]:
    """One call in this process: exit code, standard output, standard error. For what ends before it needs anything."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run(list(arguments))
    return code, out.getvalue(), err.getvalue()


def test_commands_are_found() -> None:
    """The walk over the program finds its commands, so the tests below are about all of them."""
    assert {("publish",), ("subscribe",), ("agency", "admit"), ("quarantine", "export"), ("schema", "list")} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example(command: tuple[str, ...]) -> None:
    """--help says what a command does and shows a call of it, and the options that all commands share (a demo has a home of its own)."""
    code, out, _ = called(*command, "--help")
    assert code == 0
    assert f"Example: broker {' '.join(command)}" in " ".join(out.split())
    for option in ("--json",) if command == ("demo",) else ("--json", "--home", "--bootstrap"):
        assert option in out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_wrong_use(command: tuple[str, ...]) -> None:
    """Exit code 2, the option named, and where the help is; with --json, one JSON line on standard output."""
    code, out, err = called(*command, "--no-such-option", "--json")
    assert code == 2
    assert "see `broker " in err
    assert json.loads(out)["error"] == "USAGE"


@pytest.mark.parametrize("bad", ["sg customs", "SG-CUSTΟMS", "ЅG-CUSTOMS", "..", "../SG-CUSTOMS", "SG-CUSTOMS/..", "SG-", "sg-customs", ""])
@pytest.mark.parametrize(
    "command", [("agency", "init", "--kind", "customs"), ("agency", "add", "--kind", "customs"), ("agency", "show"), ("subscribe", "--as")],
    ids=lambda command: " ".join(command[:2]),
)  # fmt: skip
def test_a_bad_agency_id_is_told_its_rule(command: tuple[str, ...], bad: str, tmp_path: Path) -> None:
    """Spaces, small letters, look-alike Cyrillic and Greek letters, dots: exit code 2 with the rule, and no file is made."""
    code, _, err = called(*command, bad, "--home", str(tmp_path / "home"))
    assert code == 2
    assert "two ASCII capitals for the country, a hyphen" in err
    assert err.isascii()
    assert not (tmp_path / "home").exists()


def test_a_family_that_does_not_exist_is_wrong_use() -> None:
    """A slip of the pen in --family is told, instead of waiting for ever for what cannot come."""
    code, _, err = called("subscribe", "--as", "SG-CUSTOMS", "--family", "alrt")
    assert code == 2
    assert "alert, licence, seizure" in err


@pytest.mark.parametrize("command", [("publish", "x.json", "--as", "SG-CUSTOMS"), ("relay",), ("up",)], ids=lambda command: command[0])
def test_a_folder_of_code_lists_that_is_none_is_wrong_use(command: tuple[str, ...], tmp_path: Path) -> None:
    """A path that is not there, and a folder without any list: exit code 2 with what the folder should hold, and nothing is begun."""
    for folder in (tmp_path / "nowhere", tmp_path):
        code, out, err = called(*command, "--home", str(tmp_path / "home"), "--codelists", str(folder))
        assert (code, out) == (2, "")
        assert "unlocode.csv" in err
        assert not (tmp_path / "home").exists()


@pytest.fixture
def bad_files(tmp_path: Path) -> dict[str, str]:
    """Files that no person would mean."""
    contents = {"binary": os.urandom(4000) + b"\xff", "empty": b"", "deep": DEEP.encode(), "nul": b"{\x00}", "lone": b'{"a": "\\ud800"}'}
    named = {name: tmp_path / name for name in contents}
    for name, content in contents.items():
        named[name].write_bytes(content)
    return {**{name: str(path) for name, path in named.items()}, "missing": str(tmp_path / "missing"), "directory": str(tmp_path)}


@pytest.mark.parametrize("kind", ["binary", "empty", "deep", "nul", "lone", "missing", "directory"])
@pytest.mark.parametrize(
    "command", [("agency", "admit"), ("agency", "join"), ("schema", "lint"), ("inspect",), ("up", "--agencies")], ids=" ".join
)
def test_a_bad_file_is_no_traceback(command: tuple[str, ...], kind: str, bad_files: dict[str, str], tmp_path: Path) -> None:
    """Whatever a file holds, a command says what is wrong in a line or two and ends with 1 or 2."""
    code, out, err = called(*command, bad_files[kind], "--home", str(tmp_path / "home"))
    assert code in (1, 2)
    assert err.startswith("error ") or (command == ("schema", "lint") and out.startswith("SCHEMA_"))
    assert "Traceback" not in out + err
    assert "Errno" not in err
    assert len(err.splitlines()) <= 3


@dataclass(frozen=True)
class Running:
    """An exchange with two agencies, all in one home."""

    program: Program
    home: Path

    def call(self, *arguments: str | Path, code: int = 0, stdin: bytes = b"") -> Ran:
        """One call that must end with this exit code."""
        return self.program.run(*arguments, "--home", self.home, stdin=stdin).must(code)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """`broker up`, with SG-CUSTOMS and MY-CUSTOMS."""
    program = Program(tmp_path_factory.mktemp("cli"))
    agencies = program.folder / "agencies.json"
    agencies.write_text(json.dumps([{"id": agency, "kind": "customs"} for agency in ("SG-CUSTOMS", "MY-CUSTOMS")]))
    with local_exchange(program, program.folder / "home", "--agencies", agencies) as exchange:
        yield Running(program, exchange.home)


@pytest.mark.kafka
@pytest.mark.parametrize("other", [("--environment", "production"), ("--exchange", "elsewhere"), ("--shards", "8"), ("--relays", "17")])
def test_an_exchange_is_not_taken_for_another(running: Running, other: tuple[str, str]) -> None:
    """`broker up` on a home whose exchange is another than the options say ends with 2 and what the home holds."""
    code, _, err = called("up", "--home", str(running.home), *other)
    assert code == 2
    assert other[1] in err


def _json_lines(ran: Ran) -> None:
    assert ran.lines, "nothing on standard output"
    assert all(isinstance(line, dict) for line in ran.lines)
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.kafka
def test_json_is_all_that_standard_output_holds(running: Running, tmp_path: Path) -> None:
    """publish, subscribe, status, agency list and show, quarantine: each line of --json is an object."""
    file = write_jsonl(tmp_path / "one.jsonl", [MESSAGE])
    published = running.call("publish", file, "--as", "SG-CUSTOMS", "--json")
    assert published.line["outcome"] == "accepted"
    read = ("subscribe", "--as", "MY-CUSTOMS", "--json", "--max", "1", "--timeout", "10")
    for ran in (
        published,
        running.call("publish", "-", "--as", "SG-CUSTOMS", "--json", "--dry-run", stdin=file.read_bytes()),
        running.call(*read),
        running.call("status", "--json"),
        running.call("agency", "list", "--json"),
        running.call("agency", "show", "SG-CUSTOMS", "--json"),
    ):
        _json_lines(ran)
    assert running.call("quarantine", "list", "--json").out == ""


@pytest.mark.kafka
def test_text_in_a_pipe_has_no_colours(running: Running) -> None:
    """What is for people has no escape sequences where no person looks."""
    for arguments in (("status",), ("quarantine", "list")):
        ran = running.call(*arguments)
        assert ran.out
        assert "\x1b" not in ran.out + ran.err


@pytest.mark.kafka
def test_refusals_and_bad_lines_of_a_file(running: Running, tmp_path: Path) -> None:
    """A bad message is refused with code, path and advice and the others go on (exit code 1); a line that is no JSON ends the
    reading, after the answers to all lines before it (exit code 2)."""
    other = {**MESSAGE, "subject": "SG-CUSTOMS/2026/2"}
    wrong = {**MESSAGE, "subject": "SG-CUSTOMS/2026/3", "header": {"tlp": "PURPLE"}}
    mixed = write_jsonl(tmp_path / "mixed.jsonl", [wrong, other])
    refused, accepted = running.call("publish", mixed, "--as", "SG-CUSTOMS", "--json", code=1).lines
    assert (refused["outcome"], refused["subject"], refused["code"]) == ("refused", "SG-CUSTOMS/2026/3", "BAD_LABELS")
    assert refused["advice"]
    assert accepted["outcome"] == "accepted"
    broken = tmp_path / "broken.jsonl"
    broken.write_text(json.dumps({**MESSAGE, "subject": "SG-CUSTOMS/2026/4"}) + "\n" + DEEP + "\n")
    first, error = running.call("publish", broken, "--as", "SG-CUSTOMS", "--json", code=2).lines
    assert (first["subject"], first["outcome"]) == ("SG-CUSTOMS/2026/4", "accepted")
    assert "line 2" in error["message"]


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["binary", "empty", "deep", "nul", "lone", "missing", "directory"])
def test_publishing_a_bad_file_is_no_traceback(running: Running, kind: str, bad_files: dict[str, str]) -> None:
    """As for the other commands; nothing is sent."""
    home = str(running.home)
    code, out, err = called("publish", bad_files[kind], "--as", "SG-CUSTOMS", "--home", home)
    assert code in (1, 2)
    assert "Traceback" not in out + err
    assert "Errno" not in err
    assert len((out + err).splitlines()) <= 4


@pytest.mark.kafka
def test_a_pipe_that_pauses_holds_up_nothing(running: Running, tmp_path: Path) -> None:
    """What comes down a pipe is published when it comes, not when the next line does; Ctrl-C ends the waiting, with 130."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    home = running.home
    with running.program.started("publish", pipe, "--as", "SG-CUSTOMS", "--json", "--home", home) as waiting, pipe.open("w") as writer:
        writer.write(json.dumps({**MESSAGE, "subject": "SG-CUSTOMS/2026/5"}) + "\n")
        writer.flush()
        assert json.loads(waiting.first_line(30))["outcome"] == "accepted"
        waiting.process.send_signal(signal.SIGINT)
        ended = waiting.wait(10)
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert "Fatal" not in ended.err


@pytest.mark.kafka
def test_a_capture_folder_that_cannot_be_is_wrong_use(running: Running, tmp_path: Path) -> None:
    """--capture on a file is told before anything is read."""
    file = tmp_path / "file"
    file.touch()
    code, out, err = called("subscribe", "--as", "MY-CUSTOMS", "--home", str(running.home), "--capture", str(file))
    assert code == 2
    assert "cannot be a folder" in err
    assert not out


@pytest.mark.kafka
def test_interrupted_is_130(running: Running) -> None:
    """Ctrl-C ends a waiting `broker subscribe` at once, with 130."""
    home = running.home
    with running.program.started("subscribe", "--as", "MY-CUSTOMS", "--json", "--from", "beginning", "--home", home) as waiting:
        assert waiting.first_line(30)
        waiting.process.send_signal(signal.SIGINT)
        ended = waiting.wait(10)
    assert ended.code == 130
    assert "Traceback" not in ended.err


@pytest.mark.kafka
def test_no_exchange_is_3_and_quick(running: Running, tmp_path: Path) -> None:
    """Where Kafka does not answer, each command says so in a clear line, with exit code 3, in less than 15 seconds."""
    file = write_jsonl(tmp_path / "one.jsonl", [MESSAGE])
    nowhere = ("--bootstrap", "127.0.0.1:1", "--json")
    calls: list[tuple[str | Path, ...]] = [
        ("publish", file, "--as", "SG-CUSTOMS"),
        ("subscribe", "--as", "MY-CUSTOMS", "--timeout", "60"),
        ("status",),
        ("agency", "list"),
        ("agency", "admit", running.home / "agencies" / "SG-CUSTOMS" / "request.json"),
        ("quarantine", "list"),
    ]

    def ask(call: tuple[str | Path, ...]) -> Ran:
        return running.call(*call, *nowhere, code=3)

    with ThreadPoolExecutor(len(calls)) as pool:
        for ran in pool.map(ask, calls):
            assert ran.seconds < 15
            assert ran.line["error"] == "EXCHANGE_UNREACHABLE"
            assert "127.0.0.1:1" in ran.err
            assert ran.line["advice"]


def _forged(text: str) -> str:
    """The same file with one bit of the signed part changed."""
    content = json.loads(text)
    note = bytearray(base64.b64decode(content["note"]))
    note[len(note) // 2] ^= 1
    return json.dumps({**content, "note": base64.b64encode(note).decode()})


@pytest.mark.kafka
def test_altered_enrolment_files_are_refused(running: Running, tmp_path: Path) -> None:
    """An altered request is not admitted, an altered or foreign reply not taken; the true ones are, from a home of the agency's own."""
    program, home = running.program, ("--home", tmp_path / "id-customs", "--json")
    request, reply, forged = (tmp_path / f"{name}.json" for name in ("request", "reply", "forged"))
    program.run("agency", "init", "ID-CUSTOMS", "--kind", "customs", "--out", request, *home).must()
    forged.write_text(_forged(request.read_text()))
    error = running.call("agency", "admit", forged, "--json", code=1).line
    assert error["message"].startswith("BAD_REQUEST")
    assert "run `broker agency init` again" in error["advice"]
    forged.write_text(request.read_text().replace("ID-CUSTOMS", "IN-CUSTOMS"))
    running.call("agency", "admit", forged, "--json", code=1)
    assert {row["agency"] for row in running.call("agency", "list", "--json").lines} == {"SG-CUSTOMS", "MY-CUSTOMS"}
    entry = running.call("agency", "admit", "-", "--out", reply, "--json", stdin=request.read_bytes()).line
    assert entry["agency"] == "ID-CUSTOMS"
    forged.write_text(_forged(reply.read_text()))
    error = program.run("agency", "join", forged, *home).must(1).line
    assert error["message"].startswith("BAD_REPLY")
    joined = program.run("agency", "join", reply, *home).must().line
    assert joined["registrar_fingerprint"] == entry["registrar_fingerprint"]
    assert running.program.run("agency", "join", reply, "--home", running.home).code in (1, 2), "the reply to somebody else's request"


@pytest.mark.kafka
def test_admitting_again_is_fine(running: Running, tmp_path: Path) -> None:
    """A second admission of the same request gives the same entry, and a reply that can be taken."""
    own = running.home / "agencies" / "SG-CUSTOMS"
    entry = running.call("agency", "show", "SG-CUSTOMS", "--json").line
    again = running.call("agency", "admit", own / "request.json", "--out", tmp_path / "again.json", "--json").line
    assert {name: again[name] for name in entry if name != "keys"} == {name: entry[name] for name in entry if name != "keys"}
    running.call("agency", "join", tmp_path / "again.json")
    assert running.call("agency", "show", "SG-CUSTOMS", "--json").line == entry


@pytest.mark.kafka
def test_what_is_not_for_a_purpose_is_not_shown(running: Running, tmp_path: Path) -> None:
    """Two alerts about one bill of lading, for different purposes: a search and a reading of the inbox for one of them show the one and
    tell of the other that it is there, in JSON and in words; an unknown purpose is wrong use."""
    message: Any = MESSAGE
    core = {**message["sections"]["core"], "documents": [{"type": "N705", "id": "PURPOSE77"}]}
    made = [
        {
            **message,
            "subject": f"SG-CUSTOMS/2026/P-{number}",
            "header": {**message["header"], "purposes": ["STC_ENFORCEMENT", purpose]},
            "sections": {"core": core},
        }
        for number, purpose in enumerate(("LICENSING", "TRAINING"))
    ]
    running.call("publish", write_jsonl(tmp_path / "two.jsonl", made), "--as", "SG-CUSTOMS")
    find = ("alert", "find", "--document", "PURPOSE77", "--as", "MY-CUSTOMS")
    assert ["sections" in line for line in running.call(*find, "--json").lines] == [True, True]
    found = running.call(*find, "--json", "--purpose", "LICENSING")
    read = running.call("subscribe", "--as", "MY-CUSTOMS", "--from", "beginning", "--timeout", "3", "--json", "--purpose", "LICENSING")
    for ran in (found, read):
        shown, withheld = [line for line in ran.lines if line["subject"].startswith("SG-CUSTOMS/2026/P-")]
        assert (shown["subject"][-1], bool(shown["sections"])) == ("0", True)
        assert (withheld["subject"][-1], withheld["withheld_here"], "PURPOSE77" in str(withheld)) == ("1", "default-deny", False)
    told = running.call(*find, "--purpose", "CRIM_INVEST")
    assert told.out.count("not shown for CRIM_INVEST") == 2
    assert "2 of 2 messages are not shown" in told.err
    wrong = running.call(*find, "--purpose", "FUN", code=2)
    assert "STC_ENFORCEMENT" in wrong.err
