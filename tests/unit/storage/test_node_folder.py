"""The node's folder: its authority and certificate, and who is let in."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from broker.errors import UsageError
from broker.storage.node_folder import NodeFolder

NOW = 1_795_478_400_000
DAY = 86_400_000


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    """An empty one."""
    return NodeFolder(tmp_path / "node", "SG-CUSTOMS")


def der(file: Path) -> bytes:
    """The certificate in a file."""
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)


def test_made_once_and_renewed(folder: NodeFolder) -> None:
    """The authority stays; the node's certificate is made anew for another host name, and before it ends."""
    folder.prepare(NOW)
    ca, server = folder.ca.read_bytes(), folder.server.read_bytes()
    folder.prepare(NOW + DAY)
    assert (folder.ca.read_bytes(), folder.server.read_bytes()) == (ca, server)
    folder.prepare(NOW, ("node.customs.example",))
    named = folder.server.read_bytes()
    assert named != server
    folder.prepare(NOW + 2000 * DAY, ("node.customs.example",))
    assert folder.server.read_bytes() != named
    assert folder.ca.read_bytes() == ca
    names = x509.load_pem_x509_certificate(folder.server.read_bytes()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "node.customs.example" in names.value.get_values_for_type(x509.DNSName)


def test_users_come_and_go(folder: NodeFolder) -> None:
    """Who was added is known by the certificate at once, and unknown at once when removed; files are for their owner alone."""
    user, file = folder.add("targeting", "integrator", ("TUAS", "CHANGI"), NOW)
    assert file is not None
    assert folder.user_of(der(file)) == user
    assert folder.user_of(b"another") is None
    assert user.sha256 == hashlib.sha256(der(file)).hexdigest()
    for each in (file, folder.users_file, folder.path / "ca-key.pem", folder.server_key):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
    assert [each.name for each in (folder.path / "users").iterdir()] == ["targeting.pem"]
    folder.add("a-officer", "officer", ("TUAS",), NOW)
    assert [each.name for each in folder.users()] == ["a-officer", "targeting"]
    folder.remove("targeting")
    assert folder.user_of(der(folder.path / "users" / "a-officer.pem")) is not None
    assert not file.exists()
    with pytest.raises(UsageError, match="no user"):
        folder.remove("targeting")


def test_a_file_for_a_browser(folder: NodeFolder) -> None:
    """It holds the same certificate and key and the node's authority, opens with its password alone, is for its owner alone, goes with
    the user, and is made of keys that were made here only."""
    _, file = folder.add("alice", "officer", ("TUAS",), NOW)
    assert file is not None
    browser = folder.for_browser("alice", "a password")
    assert stat.S_IMODE(browser.stat().st_mode) == 0o600
    key, certificate, others = load_key_and_certificates(browser.read_bytes(), b"a password")
    assert certificate is not None
    assert certificate.public_bytes(Encoding.DER) == der(file)
    assert isinstance(key, EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()
    assert [each.public_bytes(Encoding.PEM).decode() for each in others] == [folder.ca.read_text()]
    with pytest.raises(ValueError, match="password"):
        load_key_and_certificates(browser.read_bytes(), b"another")
    with pytest.raises(UsageError, match="was not made here"):
        folder.for_browser("bob", "a password")
    folder.remove("alice")
    assert not browser.exists()


def test_a_certificate_of_another_authority(folder: NodeFolder, tmp_path: Path) -> None:
    """It is kept as an anchor of its own, beside the node's authority; nothing of a key is asked for."""
    _, file = NodeFolder(tmp_path / "other", "MY-CUSTOMS").add("partner", "officer", ("X",), NOW)
    assert file is not None
    text = file.read_text()
    certificate = text[: text.index("-----BEGIN PRIVATE")]
    user, none = folder.add("partner", "auditor", ("TUAS",), NOW, certificate)
    assert none is None
    assert folder.user_of(der(file)) == user
    assert folder.anchors().count("BEGIN CERTIFICATE") == 2
    with pytest.raises(UsageError, match="no certificate"):
        folder.add("nothing", "auditor", ("TUAS",), NOW, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("name", "role", "units"),
    [
        ("", "officer", ("A",)), ("../x", "officer", ("A",)), ("A", "officer", ("A",)), ("x" * 64, "officer", ("A",)),
        ("a", "admin", ("A",)), ("a", "officer", ()), ("a", "officer", ("a b",)), ("a\n", "officer", ("A",)),
    ],
)  # fmt: skip
def test_bad_users(folder: NodeFolder, name: str, role: str, units: tuple[str, ...]) -> None:
    """No path leads out of the folder, and a role that there is not opens nothing."""
    with pytest.raises(UsageError):
        folder.add(name, role, units, NOW)
    assert folder.users() == []


def test_a_list_that_was_spoilt(folder: NodeFolder) -> None:
    """A wrong role, a further field, half a file: an error with the file's name, and nobody is let in by it."""
    user, file = folder.add("targeting", "integrator", ("TUAS",), NOW)
    assert file is not None
    good = json.loads(folder.users_file.read_text())
    for spoilt in ("{", json.dumps({"users": [{**good["users"][0], "role": "root"}]}), json.dumps({**good, "more": 1})):
        folder.users_file.write_text(spoilt)
        with pytest.raises(UsageError):
            folder.user_of(der(file))
    folder.users_file.write_text(json.dumps(good))
    assert folder.user_of(der(file)) == user
    with pytest.raises(UsageError, match="already"):
        folder.add("targeting", "officer", ("TUAS",), NOW)
