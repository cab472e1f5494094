"""``broker operation``: what the operator sets is what relays read and what the list shows."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from broker.app.message_forms import previewed_json
from broker.cli import members, operation
from broker.cli.messages import outcome_told
from broker.cli.screen import Common
from broker.errors import RefusedError, UsageError
from broker.testing.local import LocalExchange
from broker.testing.samples import START_MS, sample_alert
from tests.unit.cli.reached import reached_by

FILE: dict[str, Any] = {
    "id": "OP-X", "title": "A joint operation", "basis": "made up", "from": "2026-11-01T00:00:00Z",
    "members": {"SG-CUSTOMS": {}, "MY-CUSTOMS": {"until": "2026-12-01T00:00:00Z"}},
}  # fmt: skip


@pytest_asyncio.fixture
async def exchange(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[LocalExchange]:
    """An exchange in memory that commands of its home reach."""
    async with LocalExchange(shards=1) as made:
        for agency in ("SG-CUSTOMS", "MY-CUSTOMS"):
            await made.join(agency, "customs")
        reached_by(made, monkeypatch, operation, members)
        yield made


async def run_set(exchange: LocalExchange, folder: Path, content: Any, *, as_json: bool = True) -> int:
    file = folder / "operation.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return await operation.set_(str(file), common=Common(home=exchange.home, bootstrap="memory:0", json=as_json))


async def run_list(exchange: LocalExchange, *, as_json: bool) -> int:
    return await operation.list_(common=Common(home=exchange.home, bootstrap="memory:0", json=as_json))


async def test_what_is_set_is_listed(exchange: LocalExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is announced as version 1, the same file again as no other, an ended one as version 2; the list shows the last, for people
    and as JSON."""
    assert await run_list(exchange, as_json=False) == 0
    assert "no confidential operation" in capsys.readouterr().out
    ended = {**FILE, "until": "2026-11-30T00:00:00Z"}
    for content in (FILE, FILE, ended):
        assert await run_set(exchange, tmp_path, content) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["id"], each["version"], each["until"]) for each in told] == [
        ("OP-X", 1, None), ("OP-X", 1, None), ("OP-X", 2, "2026-11-30T00:00:00.000Z"),
    ]  # fmt: skip
    assert await run_list(exchange, as_json=True) == 0
    (listed,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert listed == told[-1]
    assert listed == {
        "id": "OP-X", "version": 2, "title": "A joint operation", "basis": "made up", "from": "2026-11-01T00:00:00.000Z",
        "until": "2026-11-30T00:00:00.000Z", "counts": True,
        "members": {"MY-CUSTOMS": {"until": "2026-12-01T00:00:00Z"}, "SG-CUSTOMS": {}},
    }  # fmt: skip
    assert await run_list(exchange, as_json=False) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("OP-X", "A joint operation", "SG-CUSTOMS", "MY-CUSTOMS until 2026-12-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ([FILE], "is no object"),
        ({**FILE, "members": {"sg-customs": {}}}, "is not an agency id"),
        ({**FILE, "version": 2}, "has `version`"),
        ({**FILE, "members": {"TH-CUSTOMS": {}}}, "TH-CUSTOMS is not a member"),
    ],
    ids=["cut", "deep", "list", "lower case", "version", "stranger"],
)
async def test_a_wrong_file_is_refused(exchange: LocalExchange, tmp_path: Path, content: Any, why: str) -> None:
    """A file that is no operation, or names an agency that is no member, is wrong use with advice, and nothing is announced."""
    with pytest.raises(UsageError, match=why) as caught:
        await run_set(exchange, tmp_path, content)
    assert (caught.value.exit_code, bool(caught.value.advice)) == (2, True)
    assert exchange.memory.records("exchange.memberships") == []


async def test_a_public_name_is_refused(exchange: LocalExchange, tmp_path: Path) -> None:
    """The name of an agreement of the bundle in force is taken: refused with a code."""
    with pytest.raises(RefusedError, match="NAME_TAKEN") as caught:
        await run_set(exchange, tmp_path, {**FILE, "id": "EVERYWHERE"})
    assert caught.value.exit_code == 1


async def test_a_dry_run_tells_it(exchange: LocalExchange, tmp_path: Path) -> None:
    """`publish --dry-run` names no member of an operation, and has a line that says so, with and without JSON."""
    assert await run_set(exchange, tmp_path, FILE) == 0
    publisher = await exchange.agencies["SG-CUSTOMS"].publisher()
    message = sample_alert("SG-CUSTOMS/2026/000001", now_ms=START_MS, communities=["OP-X"])
    record = previewed_json(message, *publisher.preview(message), publisher.findings(message))
    assert record["recipients"] == []
    assert [each["severity"] for each in record["findings"] if each["code"] == "MEMBERS_NOT_SHOWN"] == ["INFO"]
    assert "INFO MEMBERS_NOT_SHOWN header.audience.communities: OP-X is no public community" in outcome_told(record)
