"""What a JVM learned of its start is kept by one node at a time, for the very command that recorded it, and is not worth a failure."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from broker.kafka.start_cache import VARIABLE, StartCache

COMMAND = (sys.executable, "-Xmx512m")
"""Whatever a node is started with: nothing is started here but what cannot put anything together."""


@pytest.fixture
def jars(tmp_path: Path) -> list[Path]:
    """A jar."""
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"PK")
    return [jar]


def test_only_where_it_is_asked_for(tmp_path: Path, jars: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder named, or one that cannot be: none. Else it is made, and only its owner may write to it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert StartCache.of_environment(COMMAND, jars) is None
    monkeypatch.setenv(VARIABLE, str(jars[0] / "below-a-file"))
    assert StartCache.of_environment(COMMAND, jars) is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
    assert StartCache.of_environment(COMMAND, jars) is not None
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_anybody_may_write_to_is_not_used(tmp_path: Path, jars: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in it is run by the node: a folder below /tmp that somebody else made, or opened to all, is none to take it from."""
    folder = tmp_path / "open"
    monkeypatch.setenv(VARIABLE, str(folder))
    folder.mkdir()
    folder.chmod(0o777)
    assert StartCache.of_environment(COMMAND, jars) is None
    folder.chmod(0o700)
    assert StartCache.of_environment(COMMAND, jars) is not None
    monkeypatch.setattr("os.geteuid", lambda: folder.stat().st_uid + 1)
    assert StartCache.of_environment(COMMAND, jars) is None


def test_a_folder_named_from_here_is_the_same_for_the_node(tmp_path: Path, jars: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The node works in a folder of its own, so it is told the whole path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "kept")
    cache = StartCache.of_environment(COMMAND, jars)
    assert cache is not None
    assert cache.options()[1].startswith(f"-XX:AOTConfiguration={tmp_path / 'kept'}/")
    asyncio.run(cache.keep())


def test_one_records_and_the_others_use_it(tmp_path: Path, jars: list[Path]) -> None:
    """The first records, a second one beside it does not; when the first has failed to keep anything another may; what is there is used."""
    first, second = StartCache(tmp_path, COMMAND, jars), StartCache(tmp_path, COMMAND, jars)
    recording, recorded = first.options()
    assert recording == "-XX:AOTMode=record"
    assert (second.options(), second.recording) == ([], False)
    recorded_file = Path(recorded.partition("=")[2])
    recorded_file.write_bytes(b"something")
    asyncio.run(first.keep())  # what is started to put it together here is no JVM, and says no
    assert not first.recording
    assert not recorded_file.exists()
    assert second.reading() == []
    assert second.options()[0] == recording
    asyncio.run(second.keep())
    recorded_file.with_suffix(".aot").write_bytes(b"as a JVM leaves it")
    for each in (first, second):
        assert each.options() == each.reading() == [f"-XX:AOTCache={recorded_file.with_suffix('.aot')}"]
        assert not each.recording


def test_another_command_or_another_jar_has_another(tmp_path: Path, jars: list[Path]) -> None:
    """Other options, or a jar of another size: what is there is not used."""
    first = StartCache(tmp_path, COMMAND, jars)
    recorded = Path(first.options()[1].partition("=")[2])
    recorded.with_suffix(".aot").write_bytes(b"as a JVM leaves it")
    assert first.reading()
    assert StartCache(tmp_path, (*COMMAND, "-XX:+UseG1GC"), jars).reading() == []
    jars[0].write_bytes(b"PK and more")
    assert StartCache(tmp_path, COMMAND, jars).reading() == []


def test_storage_is_prepared_as_before_but_for_who_it_is(tmp_path: Path, jars: list[Path]) -> None:
    """Nothing is prepared before the storage tool was at work once; then each node has what it left, and its own two ids."""
    cache, first = StartCache(tmp_path, COMMAND, jars), tmp_path / "first"
    assert not cache.prepare(tmp_path / "none", "an-id")
    assert not (tmp_path / "none").exists()
    (first / "log").mkdir(parents=True)
    (first / "log" / "snapshot").write_bytes(b"features")
    (first / "meta.properties").write_text("cluster.id=first\n")
    cache.keep_storage(first)
    cache.keep_storage(first)  # a second node that was at it meanwhile: the first one's stays
    made: list[dict[str, str]] = []
    for number in range(2):
        data = tmp_path / f"node-{number}"
        assert StartCache(tmp_path, COMMAND, jars).prepare(data, f"id-{number}")
        assert (data / "log" / "snapshot").read_bytes() == b"features"
        made.append(dict(line.split("=") for line in (data / "meta.properties").read_text().splitlines()))
        assert sorted(path.name for path in data.iterdir()) == ["log", "meta.properties"]
    assert [each.pop("cluster.id") for each in made] == ["id-0", "id-1"]
    assert made[0].pop("directory.id") != made[1].pop("directory.id")
    assert made == [{"node.id": "1", "version": "1"}] * 2
