"""Key files: closed to others, never overwritten, never used once open to others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from broker.errors import StoreError, UsageError
from broker.ports import Signer
from broker.storage.keys import ensure_signer, ensure_tls_key, load_signer, load_tls_key, new_signer, new_tls_key
from broker.trust.keys import VerifyKey, key_id, spki_of


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_key_is_stored_and_signs(tmp_path: Path) -> None:
    """What a stored key signs, its public key verifies, in order; the loaded key is the same as the made one."""
    made = new_signer(tmp_path / "keys" / "message.pem")
    loaded: Signer = load_signer(tmp_path / "keys" / "message.pem")
    assert (loaded.alg, loaded.kid) == (-19, key_id(made.spki))
    key = VerifyKey.from_spki(made.spki)
    assert isinstance(key, VerifyKey)
    signatures = await loaded.sign([b"one", b"two"])
    assert [key.verify(s, m) for s, m in zip(signatures, [b"one", b"two"], strict=True)] == [True, True]
    assert key.verify(made.sign_now(b"three"), b"three")
    assert await loaded.sign([]) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Keys are 0600 and the folders made for them 0700, also under a careless umask; no temporary file stays."""
    before = os.umask(umask)
    try:
        new_signer(tmp_path / "home" / "agencies" / "a.pem")
        new_tls_key(tmp_path / "home" / "agencies" / "b.pem")
    finally:
        os.umask(before)
    folder = tmp_path / "home" / "agencies"
    assert [_mode(folder / name) for name in ("a.pem", "b.pem")] == [0o600, 0o600]
    assert [_mode(folder), _mode(folder.parent)] == [0o700, 0o700]
    assert sorted(path.name for path in folder.iterdir()) == ["a.pem", "b.pem"]
    assert (folder / "a.pem").read_text().startswith("-----BEGIN PRIVATE KEY-----")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Making a key where a file is leaves the file as it was."""
    path = tmp_path / "key.pem"
    made = new_signer(path)
    for make in (new_signer, new_tls_key):
        with pytest.raises(StoreError, match="already") as caught:
            make(path)
        assert "never overwritten" in caught.value.advice
    assert load_signer(path).spki == made.spki
    assert ensure_signer(path).spki == made.spki
    assert [p.name for p in tmp_path.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_open_to_others_is_not_used(tmp_path: Path, mode: int) -> None:
    """A key that group or others may touch is refused, with the command that closes it."""
    new_signer(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(StoreError, match="can be read by other users") as caught:
        load_signer(tmp_path / "key.pem")
    assert "chmod 600" in caught.value.advice
    with pytest.raises(StoreError):
        ensure_signer(tmp_path / "key.pem")


def test_missing_and_wrong_files(tmp_path: Path) -> None:
    """No file is the caller's mistake; a file of another kind, or junk, is a damaged store; neither shows key material."""
    with pytest.raises(UsageError, match="there is no key"):
        load_signer(tmp_path / "none.pem")
    new_signer(tmp_path / "ed.pem")
    tls = new_tls_key(tmp_path / "ec.pem")
    with pytest.raises(StoreError, match="no Ed25519 key"):
        load_signer(tmp_path / "ec.pem")
    with pytest.raises(StoreError, match=r"no EC P-256 key"):
        load_tls_key(tmp_path / "ed.pem")
    (tmp_path / "junk.pem").touch(0o600)
    (tmp_path / "junk.pem").write_bytes(b"\x00secret")
    with pytest.raises(StoreError, match="no unencrypted PKCS#8 key") as caught:
        load_tls_key(tmp_path / "junk.pem")
    assert "secret" not in str(caught.value)
    assert isinstance(tls.curve, ec.SECP256R1)
    assert spki_of(ensure_tls_key(tmp_path / "ec.pem").public_key()) == spki_of(tls.public_key())


def test_a_signer_does_not_show_its_key(tmp_path: Path) -> None:
    """In logs a signer is its public name."""
    signer = new_signer(tmp_path / "key.pem")
    assert repr(signer) == f"FileSigner({signer.kid.hex()})"
