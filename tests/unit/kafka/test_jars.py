"""Kafka's jars: exactly the locked bytes come through, from wherever they come, and every failure says what to do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from broker.errors import NodeError
from broker.kafka.jars import KAFKA_VERSION, Jar, fetch_jars, lock_text, read_lock, shipped_lock
from broker.kafka.node_folder import HOST, find_free_ports


def jar(artifact: str, content: bytes) -> Jar:
    """A locked jar with this content."""
    return Jar("org.example.tools", artifact, "1.0", hashlib.sha256(content).hexdigest(), len(content))


CONTENTS = {"alpha": b"alpha" * 5000, "beta": b"beta" * 9000}
JARS = [jar(name, content) for name, content in CONTENTS.items()]


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


class _CutShort(_Handler):
    def do_GET(self) -> None:
        """Promise more than is sent, as a broken connection does."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 20_000)
        self.close_connection = True


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Maven cache."""
    monkeypatch.delenv("BROKER_JARS", raising=False)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "cache"))
    return tmp_path / "cache"


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, handler: type[_Handler] = _Handler) -> Generator[Path]:
    """A Maven repository on loopback with this folder's files, named as the mirror."""
    folder.mkdir()
    with ThreadingHTTPServer((HOST, 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("BROKER_MAVEN", f"http://{HOST}:{server.server_port}/")
        yield folder
        server.shutdown()
        thread.join()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A repository that serves the files put into the folder."""
    yield from serve(tmp_path / "mirror", monkeypatch)


@pytest.fixture
def broken_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A repository whose connections end too early."""
    yield from serve(tmp_path / "mirror", monkeypatch, _CutShort)


def publish(folder: Path, jars: Sequence[Jar], contents: dict[str, bytes]) -> None:
    """Put jars where a repository keeps them."""
    for each in jars:
        path = each.path_in(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[each.artifact])


def files(folder: Path) -> set[str]:
    """Names of all files below a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_the_shipped_lock_names_kafka_and_only_whole_facts() -> None:
    """Each line has a full digest and a size, the version is the one the program speaks of, and writing it again changes nothing."""
    jars = shipped_lock()
    assert {each.version for each in jars if each.group == "org.apache.kafka"} == {KAFKA_VERSION}
    assert all(len(bytes.fromhex(each.sha256)) == 32 and each.size > 0 for each in jars)
    assert len({each.file_name for each in jars}) == len(jars)
    assert read_lock(lock_text(jars)) == jars


@pytest.mark.parametrize("line", ["abc 12 a:b:c", "0" * 64 + " 12 a:b", "0" * 64 + " many a:b:c", "0" * 64 + " a:b:c"])
def test_a_damaged_lock_names_its_line(line: str) -> None:
    """A lock that was cut or edited wrongly stops the start, and says where."""
    with pytest.raises(NodeError, match="line 2"):
        read_lock(f"# comment\n{line}\n")


def test_missing_jars_are_fetched_once_with_progress(cache: Path, mirror: Path) -> None:
    """Bytes are counted up to the whole; the second call finds everything in the cache, mirror or no mirror."""
    publish(mirror, JARS, CONTENTS)
    seen: list[tuple[int, int, str]] = []

    def tell(done: int, whole: int, name: str) -> None:
        seen.append((done, whole, name))

    paths = fetch_jars(JARS, progress=tell)
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    total = sum(each.size for each in JARS)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert (seen[-1][0], {whole for _, whole, _ in seen}) == (total, {total})
    assert {name for _, _, name in seen} == {each.file_name for each in JARS}
    for path in list(mirror.rglob("*.jar")):
        path.unlink()
    assert fetch_jars(JARS) == paths
    assert files(cache) == {each.file_name for each in JARS}


def test_a_repository_that_serves_other_bytes_is_refused(cache: Path, mirror: Path) -> None:
    """A jar with the right name and the wrong bytes never enters the cache."""
    publish(mirror, JARS, {**CONTENTS, "beta": b"evil" * 9000})
    with pytest.raises(NodeError, match=r"beta-1\.0\.jar as fetched is not the file"):
        fetch_jars(JARS)
    assert "beta-1.0.jar" not in files(cache)


def test_a_jar_altered_in_the_cache_is_put_aside(cache: Path, mirror: Path) -> None:
    """The altered file is out of use but kept as evidence, and the next start fetches the right one."""
    publish(mirror, JARS, CONTENTS)
    fetch_jars(JARS)
    altered = JARS[0].path_in(cache)
    altered.write_bytes(b"A" + CONTENTS["alpha"][1:])
    with pytest.raises(NodeError, match=r"alpha-1\.0\.jar` in the jar cache is not the file"):
        fetch_jars(JARS)
    assert "alpha-1.0.jar.refused" in files(cache)
    assert fetch_jars(JARS)[0].read_bytes() == CONTENTS["alpha"]


@pytest.mark.usefixtures("broken_mirror")
def test_a_download_cut_short_leaves_nothing(cache: Path) -> None:
    """Half a jar is neither used nor taken for a whole one later."""
    with pytest.raises(NodeError, match="cannot fetch") as caught:
        fetch_jars(JARS)
    assert "BROKER_JARS" in caught.value.advice
    assert files(cache) == set()


@pytest.mark.usefixtures("mirror")
def test_a_repository_without_the_jar_is_said_so(cache: Path) -> None:
    """Not found is told apart from no connection."""
    with pytest.raises(NodeError, match="does not have it"):
        fetch_jars(JARS)
    assert files(cache) == set()


@pytest.mark.usefixtures("cache")
def test_no_network_says_what_to_do_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: the advice names the folder for sites without a network."""
    monkeypatch.setenv("BROKER_MAVEN", f"http://{HOST}:{find_free_ports()[0]}")
    with pytest.raises(NodeError, match="no connection") as caught:
        fetch_jars(JARS)
    assert "BROKER_JARS" in caught.value.advice
    assert caught.value.exit_code == 3


def test_a_full_disk_is_told_apart(small_disk: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache's disk is full: the error says so, and what was half written is gone."""
    monkeypatch.delenv("BROKER_JARS", raising=False)
    monkeypatch.setenv("M2_REPO", str(small_disk / "cache"))
    contents = {"large": b"x" * 200_000}
    large = [jar("large", contents["large"])]
    publish(mirror, large, contents)
    with pytest.raises(NodeError, match="full"):
        fetch_jars(large)
    assert files(small_disk) == set()


def test_a_folder_of_jars_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BROKER_JARS: found and checked there; a missing or an altered one is named and nothing is moved."""
    monkeypatch.setenv("BROKER_JARS", str(tmp_path))
    for each in JARS:
        (tmp_path / each.file_name).write_bytes(CONTENTS[each.artifact])
    assert fetch_jars(JARS) == [tmp_path / each.file_name for each in JARS]
    (tmp_path / "beta-1.0.jar").write_bytes(b"other")
    with pytest.raises(NodeError, match=r"beta-1\.0\.jar` is not the file"):
        fetch_jars(JARS)
    (tmp_path / "beta-1.0.jar").unlink()
    with pytest.raises(NodeError, match=r"beta-1\.0\.jar` is missing"):
        fetch_jars(JARS)


def test_nothing_that_unpacks_is_locked() -> None:
    """The node runs without the libraries of snappy, lz4 and zstd: a member's batch of these ends in an error, not in the JVM's end."""
    assert not [jar.artifact for jar in shipped_lock() if any(name in jar.artifact for name in ("snappy", "lz4", "zstd"))]
