"""The embedded node: who gets in, what survives a restart, and what it says when it cannot run."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import socket
import ssl
import struct
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from broker.errors import ExchangeUnreachable, NodeError
from broker.exchange.topology import TopicSpec, agency_grants, agency_specs
from broker.kafka.admin import KafkaAdmin
from broker.kafka.jars import fetch_jars, shipped_lock
from broker.kafka.node import BRIEF, EmbeddedNode
from broker.kafka.node_folder import HOST, NodeFolder
from broker.kafka.properties import lint_properties, read_properties
from broker.kafka.tls import TlsFiles, ssl_context
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.kafka_node import KafkaNode, embedded_node
from tests.support.processes import runs

pytestmark = pytest.mark.kafka


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[KafkaNode]:
    """A node that these tests may look into, whatever Kafka the session uses."""
    async with embedded_node(tmp_path_factory.mktemp("own")) as node:
        yield node


def folder_of(node: KafkaNode) -> Path:
    """The node's folder."""
    return node.tls.parent / "kafka"


async def answer_to_a_first_request(port: int, context: ssl.SSLContext | None) -> bytes:
    """What Kafka answers to an ApiVersions request (key 18, version 0); nothing where the connection is refused or closed."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        writer.write(struct.pack(">i", len(request)) + request)
        answer = await asyncio.wait_for(reader.read(4), 5)
        writer.close()
    except (ssl.SSLError, ConnectionError, TimeoutError):
        return b""
    return answer


async def test_the_rendered_settings_have_no_open_door(own_node: KafkaNode) -> None:
    """The file that Kafka runs with passes the lint, and both its listeners refuse a client that speaks no TLS."""
    text = (folder_of(own_node) / "server.properties").read_text()
    assert lint_properties(text) == []
    ports = [int(part.rsplit(":", 1)[1]) for part in read_properties(text)["listeners"].split(",")]
    assert len(ports) == 2
    for port in ports:
        assert not (await answer_to_a_first_request(port, None)).startswith(b"\0\0\1")
    files = own_node.tls_for("registrar")
    assert len(await answer_to_a_first_request(ports[0], ssl_context(files))) == 4


async def test_only_certificates_of_this_exchange_get_in(own_node: KafkaNode, tmp_path: Path) -> None:
    """No certificate, one of another CA, an expired one, a name that is none of ours: no answer to the first request."""
    port = int(own_node.bootstrap.rsplit(":", 1)[1])
    ours = CertificateAuthority(own_node.tls)
    bare = ssl.create_default_context(cafile=str(own_node.ca))
    assert await answer_to_a_first_request(port, bare) == b""

    stranger = CertificateAuthority(tmp_path).issue("registrar")
    forged = TlsFiles(own_node.ca, stranger.certificate, stranger.key)
    assert await answer_to_a_first_request(port, ssl_context(forged)) == b""

    expired = ours.issue("SG-OLD#1", lasts=-dt.timedelta(days=1))
    assert await answer_to_a_first_request(port, ssl_context(expired)) == b""

    for name in ("mallory", "ANONYMOUS", "SG-CUSTOMS", "SG-CUSTOMS#0", "sg-customs#1", "registrar2", "relay,O=x"):
        assert await answer_to_a_first_request(port, ssl_context(ours.issue(name))) == b"", name
    for name in ("relay", "SG-CUSTOMS#1", "XX-AUDIT#12"):
        assert len(await answer_to_a_first_request(port, ssl_context(ours.issue(name)))) == 4, name


async def test_an_agency_without_rules_sees_nothing_and_with_them_its_own(own_node: KafkaNode) -> None:
    """Default deny; the rules are those of one generation, and the next one's certificate has none of them."""
    await own_node.prepare([*agency_specs("SG-CUSTOMS"), *agency_specs("MY-CUSTOMS")], [])
    async with own_node.admin("SG-CUSTOMS#1") as agency, own_node.admin("SG-CUSTOMS#2") as successor:
        assert await agency.topics() == frozenset()
        await own_node.prepare([], agency_grants("SG-CUSTOMS", 1))

        async def sees_its_own() -> bool:
            return await agency.topics() == frozenset({"out.SG-CUSTOMS", "in.SG-CUSTOMS"})

        await eventually(sees_its_own)
        assert await successor.topics() == frozenset()


async def test_a_second_node_in_the_same_folder_is_refused(own_node: KafkaNode) -> None:
    """The refusal names the process that holds the folder, and the running node is not disturbed."""
    assert own_node.embedded is not None
    with pytest.raises(NodeError, match=f"process {own_node.embedded.pid}"):
        await EmbeddedNode.start(folder_of(own_node), own_node.tls_for("node"))
    assert own_node.embedded.alive


async def test_a_restart_keeps_address_and_data_even_after_a_kill(tmp_path: Path) -> None:
    """A killed node is told of; the next start finds the topic under the same address; a stopped one answers nobody and is gone. Who asks
    all the time about the workers is told that nobody answers, and goes on when the node is back."""
    async with embedded_node(tmp_path) as node:
        assert node.embedded is not None
        asking = KafkaAdmin(node.bootstrap, node.tls_for("registrar"), timeout=5)
        assert await asking.workers() == {}
        await node.prepare([TopicSpec("kept", 3)], [])
        os.kill(node.embedded.pid, signal.SIGKILL)
        told = await asyncio.wait_for(node.embedded.wait(), 10)
        assert "exit status -9" in str(told)
        assert not node.embedded.alive
        with pytest.raises(ExchangeUnreachable):
            await asking.workers()

    async with embedded_node(tmp_path) as again:
        assert await asking.workers() == {}
        await asking.close()
        assert again.embedded is not None
        assert again.bootstrap == node.bootstrap
        assert again.embedded.cluster_id == node.embedded.cluster_id
        admin = KafkaAdmin(again.bootstrap, again.tls_for("registrar"), timeout=5)
        assert "kept" in await admin.topics()
        assert runs(again.embedded.pid)
        await again.embedded.stop()
        await again.embedded.stop()
        assert not runs(again.embedded.pid)
        with pytest.raises(ExchangeUnreachable):
            await admin.topics()
        await admin.close()


async def test_a_node_that_dies_while_starting_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """The reason stands in Kafka's log only: the error carries its last lines. The folder is free again afterwards."""
    data = tmp_path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=77\ndirectory.id=BAAAAAAAAAAAAAAAAAAAAA\n")
    with pytest.raises(NodeError) as caught:
        async with embedded_node(tmp_path):
            pass
    text = str(caught.value)
    assert "died while starting" in text
    assert "77" in text
    assert 2 <= len(text.splitlines()) <= 21
    os.close(NodeFolder(tmp_path / "kafka").lock())


async def test_a_jvm_that_cannot_even_begin_is_told_of(tmp_path: Path) -> None:
    """An impossible heap: what the JVM prints is in the error, and nothing counts as formatted."""
    tls = CertificateAuthority(tmp_path / "tls").issue("node", server=True)
    with pytest.raises(NodeError, match="heap"):
        await EmbeddedNode.start(tmp_path / "kafka", tls, heap="1k")
    assert not NodeFolder(tmp_path / "kafka").formatted


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Another program on the node's address: the error names the port, before any JVM is started."""
    tls = CertificateAuthority(tmp_path / "tls").issue("node", server=True)
    folder = NodeFolder(tmp_path / "kafka")
    os.close(folder.lock())
    port = folder.identity().controller_port
    with socket.socket() as other:
        other.bind((HOST, port))
        other.listen()
        with pytest.raises(NodeError, match=f"port {port} "):
            await EmbeddedNode.start(folder.path, tls)
    assert not folder.output.exists()


async def test_a_home_of_another_kafka_version_is_refused(tmp_path: Path) -> None:
    """Data is not converted on its own: the error names both versions and says what to do."""
    tls = CertificateAuthority(tmp_path / "tls").issue("node", server=True)
    folder = NodeFolder(tmp_path / "kafka")
    os.close(folder.lock())
    folder.identity()
    file = folder.path / "version.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "kafka": "4.1.0"}))
    with pytest.raises(NodeError, match=r"4\.1\.0") as caught:
        await EmbeddedNode.start(folder.path, tls)
    assert "new home" in caught.value.advice


async def test_an_altered_jar_never_reaches_a_jvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more in one jar: the node is not started, and the jar is named."""
    jars = shipped_lock()
    shelf = tmp_path / "jars"
    shelf.mkdir()
    for path in fetch_jars(jars):
        (shelf / path.name).symlink_to(path)
    altered = shelf / jars[7].file_name
    content = altered.read_bytes()
    altered.unlink()
    altered.write_bytes(content + b"\0")
    monkeypatch.setenv("BROKER_JARS", str(shelf))
    tls = CertificateAuthority(tmp_path / "tls").issue("node", server=True)
    with pytest.raises(NodeError, match=altered.name):
        await EmbeddedNode.start(tmp_path / "kafka", tls)
    assert not (tmp_path / "kafka" / "logs" / "output.txt").exists()


async def test_a_full_disk_is_said_so(small_disk: Path, tmp_path: Path) -> None:
    """A home on a disk without room: NodeError says so before a JVM is started, with room for the lock only and with none at all."""
    tls = CertificateAuthority(tmp_path / "tls").issue("node", server=True)
    with pytest.raises(NodeError, match="full"):
        await EmbeddedNode.start(small_disk / "kafka", tls)
    with pytest.raises(OSError, match="space"):
        (small_disk / "rest").write_bytes(bytes(1 << 17))
    with pytest.raises(NodeError, match="full"):
        await EmbeddedNode.start(small_disk / "other", tls)
    assert not NodeFolder(small_disk / "kafka").output.exists()


STARTER = """
import asyncio, pathlib, sys
from tests.support.kafka_node import embedded_node

async def main():
    async with embedded_node(pathlib.Path(sys.argv[1])) as node:
        print(node.embedded.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel call behind it is Linux's own")
async def test_the_node_does_not_survive_its_starter(tmp_path: Path) -> None:
    """The starter is killed without a chance to clean up; the JVM is gone soon after, and the folder can be used again."""
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert starter.stdout is not None
    jvm = int(await asyncio.wait_for(starter.stdout.readline(), 120))
    assert runs(jvm)
    starter.kill()
    await starter.wait()
    await eventually(lambda: not runs(jvm), what="the end of the JVM")
    os.close(await NodeFolder(tmp_path / "kafka").lock_soon())


async def test_a_node_whose_certificate_is_not_of_its_ca_is_refused(tmp_path: Path) -> None:
    """A mixed-up home is found at the start and not by the first agency: readiness is an authenticated request."""
    tls = CertificateAuthority(tmp_path / "one").issue("node", server=True)
    other = CertificateAuthority(tmp_path / "two")
    with pytest.raises(NodeError, match=r"PKIX|certificate"):
        await EmbeddedNode.start(tmp_path / "kafka", TlsFiles(other.ca, tls.certificate, tls.key), jvm_options=BRIEF)
