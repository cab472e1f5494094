"""Private keys as files: PKCS#8 PEM, readable by their owner alone, made once and never overwritten.

A file that group or others can read is not used: a key that somebody may have copied is worse than no key. Keys are not
encrypted on disk; a hardware token takes this file's place behind :class:`broker.ports.Signer`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from broker.envelope.cose import ED25519
from broker.errors import StoreError, UsageError
from broker.storage import atomic
from broker.trust.keys import key_id, spki_of

KEY_LIMIT: Final = 16 << 10
"""Longest key file read, in bytes."""


class FileSigner:
    """An Ed25519 key from a file, as a :class:`broker.ports.Signer`. Signing takes some 35 µs and no waiting."""

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self._spki = spki_of(key.public_key())
        self._kid = key_id(self._spki)

    @property
    def alg(self) -> int:
        """-19: Ed25519."""
        return ED25519

    @property
    def kid(self) -> bytes:
        """First 16 bytes of SHA-256 of the SubjectPublicKeyInfo."""
        return self._kid

    @property
    def spki(self) -> bytes:
        """The public key as DER SubjectPublicKeyInfo."""
        return self._spki

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """One signature for each message, in order."""
        return [self._key.sign(message) for message in messages]

    def sign_now(self, message: bytes) -> bytes:
        """One signature, for callers without an event loop."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"FileSigner({self._kid.hex()})"


def new_signer(path: Path) -> FileSigner:
    """Make an Ed25519 key and store it. Raises StoreError, also where there is a file already."""
    key = ed25519.Ed25519PrivateKey.generate()
    _store(path, key)
    return FileSigner(key)


def load_signer(path: Path) -> FileSigner:
    """Load an Ed25519 key. Raises UsageError where there is none, StoreError where it is open to others or is no such key."""
    key = _load(path)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise StoreError(f"`{path}` is no Ed25519 key", advice="restore the file from your backup")
    return FileSigner(key)


def ensure_signer(path: Path) -> FileSigner:
    """Load the Ed25519 key, or make it where there is none."""
    return load_signer(path) if path.exists() else new_signer(path)


def new_tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Make an EC P-256 key for TLS and store it. Raises StoreError, also where there is a file already."""
    key = ec.generate_private_key(ec.SECP256R1())
    _store(path, key)
    return key


def load_tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Load an EC P-256 key. Raises UsageError where there is none, StoreError where it is open to others or is no such key."""
    key = _load(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StoreError(f"`{path}` is no EC P-256 key", advice="restore the file from your backup")
    return key


def ensure_tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Load the EC P-256 key, or make it where there is none."""
    return load_tls_key(path) if path.exists() else new_tls_key(path)


def _store(path: Path, key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        atomic.create(path, content, atomic.OWNER_ONLY)
    except FileExistsError as error:
        raise StoreError(f"there is a key at `{path}` already", advice="keys are never overwritten: move the file away first") from error


def _load(path: Path) -> object:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(KEY_LIMIT + 1)
    except FileNotFoundError as error:
        raise UsageError(f"there is no key at `{path}`", advice="check --home, or restore the file from your backup") from error
    except OSError as error:
        raise StoreError(f"`{path}` cannot be read: {error.strerror}", advice="run as the owner of the keys") from error
    if mode & 0o077:
        raise StoreError(
            f"`{path}` can be read by other users (mode {mode:04o})",
            advice=f"run `chmod 600 {path}`, and if others may have copied the key, make a new one and revoke it",
        )
    try:
        return load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StoreError(f"`{path}` is no unencrypted PKCS#8 key", advice="restore the file from your backup") from error
