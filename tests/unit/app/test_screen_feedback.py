"""``broker screen feedback`` over an exchange in memory: the owner of what was hit learns what came of it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.app import process
from broker.cli import main, messages, register
from broker.cli.screen import STDIN, Common
from broker.cli.screen_feedback import Found, feedback
from broker.cli.screening import screen_files
from broker.errors import UsageError
from broker.ports import Transport
from broker.storage.home import TlsFiles
from broker.testing.memory import MemoryTransport
from tests.unit.screening.test_edifact import CUSCAR
from tests.unit.service.world import Taker, World

MY, SG = "MY-CUSTOMS", "SG-CUSTOMS"
HIT = f"{SG}/2026/000001"
Said = Callable[..., Awaitable[tuple[int, list[dict[str, Any]]]]]


@pytest.fixture
async def said(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs the command as MY-CUSTOMS, which was given an alert: its exit code and its JSON lines."""

    def connect(_bootstrap: str, principal: str, _files: TlsFiles) -> Transport:
        return MemoryTransport(world.memory, principal)

    for module in (register, messages):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr("broker.cli.register.SystemClock", lambda: world.clock)
    monkeypatch.setattr("broker.app.parties.SystemClock", lambda: world.clock)
    monkeypatch.setattr(process, "settle", lambda: None)
    await world.agency().publish(world.alert(1))

    async def call(hit: str, *, lines: str | None = None, **how: Any) -> tuple[int, list[dict[str, Any]]]:
        if lines is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
        capsys.readouterr()
        given: Any = {"outcome": "NO_MATCH", **how}
        code = await feedback(hit, as_=MY, common=Common(home=world.exchange.home, json=True), **given)
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


async def told(world: World) -> list[dict[str, Any]]:
    """The feedback that the alert's owner has got: target, revision, sections."""
    taker = Taker()
    await world.subscribe(taker, SG, families=["feedback"])
    links = [each.header.correlation for each in taker.taken]
    assert all(links)
    return [
        {"target": link.target, "revision": link.target_revision, **each.sections} for each, link in zip(taker.taken, links, strict=True)
    ]


async def test_the_owner_learns_what_came_of_a_hit(world: World, said: Said) -> None:
    """One call: the revision is that which the register holds; result and remark arrive at the owner, who is the only recipient."""
    code, (record,) = await said(HIT, found=Found(remark="empty box"))
    assert (code, record["outcome"], record["target"], record["target_revision"]) == (0, "accepted", HIT, 1)
    assert [each["agency"] for each in record["recipients"]] == [SG]
    (got,) = await told(world)
    assert (got["target"], got["revision"], got["core"]["result"], got["detail"]["narrative"]) == (HIT, 1, "NO_MATCH", "empty box")


async def test_the_lines_of_a_screening_are_taken_as_they_are(world: World, said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    """What `broker screen --json` prints goes in by a pipe: bad rows and the summary are passed over, a subject is told of once."""
    await screen_files(str(CUSCAR), as_=MY, common=Common(home=world.exchange.home, json=True))
    lines = capsys.readouterr().out
    assert len(lines.splitlines()) == 2
    code, records = await said(STDIN, lines=lines + lines, outcome="MATCH_NOT_ACTIONED")
    assert (code, [(each["target"], each["outcome"]) for each in records]) == (0, [(HIT, "accepted")])
    assert [each["core"]["result"] for each in await told(world)] == ["MATCH_NOT_ACTIONED"]


async def test_a_subject_is_told_of_once_whatever_revisions_were_hit(world: World, said: Said) -> None:
    """The results of a week name it by two revisions: the owner gets one feedback, on the later one, and on the one that is given where
    one is."""
    lines = "".join(f'{{"type": "hit", "subject": "{HIT}", "revision": {number}}}\n' for number in (1, 2, 1))
    for given, expected in ((None, 2), (1, 1)):
        code, records = await said(STDIN, lines=lines, revision=given, dry_run=True)
        assert (code, [(each["target"], each["target_revision"]) for each in records]) == (0, [(HIT, expected)])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_utc_has_not_is_wrong_use(world: World, said: Said, at: str) -> None:
    """Said so rather than shown as a bug; nothing is sent."""
    with pytest.raises(UsageError):
        await said(HIT, outcome="EXAMINED_NEGATIVE", found=Found(exam_type="SCAN", examined_at=datetime.fromisoformat(at)))
    assert await told(world) == []


async def test_an_examination_is_told_whole(world: World, said: Said) -> None:
    """The fields of an examination go with it; where one that the result needs is missing, the refusal names it, and nothing is sent."""
    code, (record,) = await said(HIT, outcome="EXAMINED_NEGATIVE", found=Found(exam_type="SCAN"))
    assert (code, record["outcome"], record["path"]) == (1, "refused", "core.examined_at")
    at = datetime.fromtimestamp(world.now / 1000 - 3600, UTC).replace(tzinfo=None)  # as a shell's argument is read
    code, (record,) = await said(HIT, outcome="EXAMINED_NEGATIVE", found=Found(exam_type="SCAN", examined_at=at, usefulness=4))
    assert (code, record["outcome"]) == (0, "accepted")
    (got,) = await told(world)
    assert (got["core"]["exam_type"], got["core"]["usefulness"]) == ("SCAN", 4)


async def test_a_dry_run_sends_nothing(world: World, said: Said) -> None:
    """Whom it would reach is told."""
    code, (record,) = await said(HIT, dry_run=True)
    assert (code, record["outcome"], [each["agency"] for each in record["recipients"]]) == (0, "would be accepted", [SG])
    assert await told(world) == []


@pytest.mark.parametrize(
    ("hit", "lines"),
    [("no subject", None), (f"{SG}/2026/999999", None), (STDIN, "not json\n"), (STDIN, "[1]\n"), (STDIN, '{"subject": "x"}\n'),
     (STDIN, '{"type": "hit", "subject": "../x", "revision": 1}\n'), (STDIN, '{"type": "hit", "subject": "SG-CUSTOMS/1"}'),
     (STDIN, "[" * 100_000 + "\n"), (STDIN, "x" * 1_100_000)],
    ids=range(9),
)  # fmt: skip
async def test_what_is_no_hit_is_wrong_use(world: World, said: Said, hit: str, lines: str | None) -> None:
    """Neither a subject nor lines of a screening, or a subject that the register does not hold: said so, and nothing is sent."""
    with pytest.raises(UsageError):
        await said(hit, lines=lines)
    assert await told(world) == []


async def test_no_hit_is_nothing_to_tell(world: World, said: Said) -> None:
    """A screening without hits: nothing is sent, and that is right."""
    assert await said(STDIN, lines='{"type": "summary", "hits": 0}\n\n') == (0, [])
    assert await told(world) == []


def test_its_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """The command is found below `broker screen`, with an example of its own; a result that is none is wrong use."""
    assert main.run(["screen", "feedback", "--help"]) == 0
    assert "Example: broker screen feedback SG-CUSTOMS/2026/000123" in capsys.readouterr().out
    assert main.run(["screen", "feedback", HIT, "--as", MY, "--outcome", "PERHAPS"]) == 2
