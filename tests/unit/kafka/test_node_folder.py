"""A node's folder: what it keeps for life, who holds it, and what a node said last."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from broker.errors import NodeError, UsageError
from broker.kafka.jars import KAFKA_VERSION
from broker.kafka.node_folder import FolderHeld, NodeFolder
from broker.kafka.tls import TlsFiles, librdkafka_settings, ssl_context
from tests.support.certificates import CertificateAuthority


def made(path: Path) -> NodeFolder:
    """A folder as a first start makes it."""
    folder = NodeFolder(path / "kafka")
    os.close(folder.lock())
    return folder


def test_the_identity_is_made_once(tmp_path: Path) -> None:
    """Address, cluster and version stay; two nodes get different ones; ports lie below those of outgoing connections."""
    first = made(tmp_path / "one").identity()
    assert NodeFolder(tmp_path / "one" / "kafka").identity() == first
    assert first.kafka == KAFKA_VERSION
    assert len(first.cluster_id) == 22
    assert first.client_port != first.controller_port
    assert all(20_000 <= port < 32_000 for port in (first.client_port, first.controller_port))
    assert made(tmp_path / "two").identity().cluster_id != first.cluster_id


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kafka": "4.4.0"}', '"text"'])
def test_a_damaged_version_file_is_not_guessed_at(tmp_path: Path, content: str) -> None:
    """A new cluster id over old data would lose it: the error names the file."""
    folder = made(tmp_path)
    (folder.path / "version.json").write_text(content)
    with pytest.raises(NodeError, match=r"version\.json"):
        folder.identity()


async def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """The second is told who holds the folder; once it is let go, the next one has it."""
    folder = made(tmp_path)
    held = folder.lock()
    with pytest.raises(FolderHeld, match=f"process {os.getpid()}"):
        await folder.lock_soon()
    os.close(held)
    os.close(await folder.lock_soon())


def test_the_private_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """The key store holds the key: 0600, also where an older file was open to all. Settings name no absolute path."""
    folder = made(tmp_path)
    tls = CertificateAuthority(tmp_path / "tls").issue("node", server=True)
    (folder.path / "keystore.pem").touch(mode=0o644)
    folder.write_settings(folder.identity(), tls)
    assert stat.S_IMODE((folder.path / "keystore.pem").stat().st_mode) == 0o600
    assert (folder.path / "keystore.pem").read_bytes().startswith(tls.key.read_bytes())
    assert str(tmp_path) not in (folder.path / "server.properties").read_text()


def test_last_words_are_of_this_run_and_without_stack_frames(tmp_path: Path) -> None:
    """An earlier run's lines are not taken for this one's, frames do not push out the reason, the JVM's own words come last."""
    made(tmp_path).log.write_text("old line\n" * 50)
    folder = NodeFolder(tmp_path / "kafka")
    with folder.log.open("a") as log:
        log.write("the reason\n" + "\tat some.Frame(File.java:1)\n" * 60 + "\t... 9 more\n")
    folder.output.write_text("what the JVM says\n")
    assert folder.last_words() == "the reason\nwhat the JVM says"
    folder.output.write_text("".join(f"line {number}\n" for number in range(100)))
    assert folder.last_words().splitlines() == [f"line {number}" for number in range(80, 100)]


def test_last_words_after_the_log_was_rotated(tmp_path: Path) -> None:
    """A log that became shorter than it was is a new one and is read from its beginning."""
    made(tmp_path).log.write_text("old line\n" * 50)
    folder = NodeFolder(tmp_path / "kafka")
    folder.log.write_text("new\n")
    assert folder.last_words() == "new"


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    """A file stands where the folder should be: NodeError, not a traceback."""
    (tmp_path / "kafka").write_text("in the way")
    with pytest.raises(NodeError, match="cannot write"):
        NodeFolder(tmp_path / "kafka").lock()


def test_tls_files_are_checked_before_use(tmp_path: Path) -> None:
    """A missing file and a key of another certificate are the caller's mistakes, named; the context takes TLS 1.3 only."""
    authority = CertificateAuthority(tmp_path)
    one, two = authority.issue("relay"), authority.issue("SG-CUSTOMS#1")
    assert ssl_context(one).minimum_version.name == "TLSv1_3"
    assert librdkafka_settings(one)["security.protocol"] == "ssl"
    with pytest.raises(UsageError, match="do not fit together"):
        ssl_context(TlsFiles(one.ca, one.certificate, two.key))
    two.key.unlink()
    for use in (ssl_context, librdkafka_settings):
        with pytest.raises(UsageError, match="is missing"):
            use(two)
