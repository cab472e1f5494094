"""The node's own certificates and users: ``agencies/<ID>/node/``, and the same for the operator's pages: ``exchange/pages/``.

::

    ca.pem ca-key.pem            the authority that issues this node's users and the node itself; the exchange knows nothing of it
    server.pem server-key.pem    what the node shows to its clients
    users.json                   who may do what: name, role, units, the SHA-256 of the client certificate, issuer and subject of tokens
    users/<name>.pem             certificate and key of a user whose key was made here, to be handed over to a system
    users/<name>.p12             the same for a browser, under a password that is told once

A certificate alone opens nothing: its fingerprint has to be in ``users.json``, which is looked at for each request. So has the subject of a
bearer token.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from broker.errors import UsageError
from broker.storage import atomic
from broker.storage.home import ExchangeHome
from broker.storage.keys import ensure_tls_key, load_tls_key
from broker.trust.canonical import Flaw
from broker.trust.certificates import Authority, Validity, node_ca, pem, read_certificate
from broker.trust.keys import spki_of
from broker.values import iso

ROLES: Final = ("officer", "supervisor", "integrator", "auditor")
"""What a user can be: works the watch floor; answers for it as well; is a system of the agency's; looks afterwards."""
OPERATOR_ROLES: Final = ("operator", "auditor")
"""What somebody who sees the operator's pages can be: runs the exchange; looks afterwards."""
CA_DAYS: Final = 3650
SERVER_DAYS: Final = 825
USER_DAYS: Final = 365
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}", re.ASCII)
_UNIT: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}", re.ASCII)


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who may use the node. ``sha256`` is of the DER certificate, in hexadecimal digits, empty for who has none; ``certificate``
    is PEM where another authority issued it. ``issuer`` and ``subject``: whose bearer tokens are this user's, both or neither."""

    name: str
    role: str
    units: tuple[str, ...]
    sha256: str
    added: str
    certificate: str | None = None
    issuer: str | None = None
    subject: str | None = None


class _Users(msgspec.Struct, forbid_unknown_fields=True):
    users: list[User]


class NodeFolder:
    """The folder. Users are read again whenever the file changes."""

    def __init__(self, path: Path, agency: str, *, roles: tuple[str, ...] = ROLES, command: str = "broker node user") -> None:
        """``agency``: whose it is; the exchange's id where it is the operator's. ``roles`` its users can have, ``command`` lets them in."""
        self.path, self.agency, self.roles, self._command = path, agency, roles, command
        self.ca, self._ca_key = path / "ca.pem", path / "ca-key.pem"
        self.server, self.server_key = path / "server.pem", path / "server-key.pem"
        self.users_file = path / "users.json"
        self._seen: tuple[int, int] | None = None
        self._by_print: dict[str, User] = {}
        self._by_subject: dict[tuple[str, str], User] = {}

    def prepare(self, now_ms: int, hosts: tuple[str, ...] = ()) -> None:
        """Make the authority and the node's certificate where they are missing, or do not fit these host names. Raises StoreError."""
        atomic.private_folder(self.path)
        authority = self._authority(now_ms)
        key = ensure_tls_key(self.server_key)
        spki = spki_of(key.public_key())
        if self.server.exists() and authority.holds(self.server.read_text(), spki, at_ms=now_ms + 86_400_000, hosts=hosts):
            return
        validity = Validity.days(now_ms, SERVER_DAYS)
        issued = authority.node(spki, hosts, serial=x509.random_serial_number(), validity=validity)
        atomic.replace(self.server, issued.encode())

    def _authority(self, now_ms: int) -> Authority:
        key = ensure_tls_key(self._ca_key)
        if not self.ca.exists():
            text = node_ca(key, self.agency, serial=x509.random_serial_number(), validity=Validity.days(now_ms, CA_DAYS))
            atomic.replace(self.ca, text.encode())
        return Authority.load(self.ca.read_text(), load_tls_key(self._ca_key))

    def users(self) -> list[User]:
        """All users, by name. Raises UsageError for a file that is none."""
        if not self.users_file.exists():
            return []
        try:
            found = msgspec.json.decode(self.users_file.read_bytes(), type=_Users).users
        except (msgspec.MsgspecError, OSError) as error:
            raise UsageError(f"`{self.users_file}` is no list of users: {error}", advice="correct it, or restore it from a copy") from error
        for each in found:
            _check(each.name, each.role, each.units, self.roles)
        return sorted(found, key=lambda each: each.name)

    def user_of(self, certificate: bytes) -> User | None:
        """Whose certificate this is (DER); None for nobody's. Raises UsageError for a file that cannot be read: it lets nobody in."""
        return self._by_print.get(hashlib.sha256(certificate).hexdigest()) if self._look() else None

    def user_of_subject(self, issuer: str, subject: str) -> User | None:
        """Whose bearer tokens have this issuer and subject; None for nobody's. Raises UsageError as :meth:`user_of` does."""
        return self._by_subject.get((issuer, subject)) if self._look() else None

    def _look(self) -> bool:
        """Read the users where the file has changed; whether there is one."""
        try:
            status = self.users_file.stat()
        except OSError:
            return False
        seen = (status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            found = self.users()
            self._by_print = {each.sha256: each for each in found if each.sha256}
            self._by_subject = {(each.issuer, each.subject): each for each in found if each.issuer and each.subject}
            self._seen = seen
        return True

    def add(
        self,
        name: str,
        role: str,
        units: tuple[str, ...],
        now_ms: int,
        certificate_pem: str | None = None,
        bearer: tuple[str, str] | None = None,
    ) -> tuple[User, Path | None]:
        """Let somebody in: with a key and certificate made here, whose file is returned; with a certificate of another authority; with
        bearer tokens of this issuer and subject, for which no certificate is made; or with the last two.

        Raises UsageError for a name, certificate or subject that is taken, and for what is no name, role, unit, certificate or subject.
        """
        _check(name, role, units, self.roles)
        before = self.users()
        if any(each.name == name for each in before):
            raise UsageError(f"there is a user `{name}` already", advice=f"remove it first: {self._command} remove")
        if bearer is not None:
            _check_bearer(*bearer)
        self.prepare(now_ms)
        file, certificate = (None, None)
        if certificate_pem is not None:
            certificate = _read(certificate_pem)
        elif bearer is None:
            file, certificate = self._issue(name, now_ms)
        print_ = "" if certificate is None else hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        for each in before:
            if (print_ and each.sha256 == print_) or (bearer is not None and (each.issuer, each.subject) == bearer):
                raise UsageError(f"this is the user `{each.name}` already", advice=f"remove it first: {self._command} remove {each.name}")
        kept = pem(certificate) if certificate is not None and certificate_pem is not None else None
        user = User(name, role, units, print_, iso(now_ms) or "", kept, *(bearer or (None, None)))
        self._keep([*before, user])
        return user, file

    def for_browser(self, name: str, password: str) -> Path:
        """The file of a user whose key was made here, in the form that browsers take in (PKCS #12, RFC 7292), under a password.

        Raises UsageError where there is no such file: browsers have the certificates of other authorities already.
        """
        made = self.path / "users" / f"{name}.pem"
        if not made.exists():
            raise UsageError(f"the key of `{name}` was not made here", advice="take it to the browser from where it was made")
        text = made.read_bytes()
        key = load_pem_private_key(text, None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise UsageError(f"`{made}` holds no key that was made here", advice="remove the user and add it again")
        found, authority = (x509.load_pem_x509_certificate(each) for each in (text, self.ca.read_bytes()))
        packed = pkcs12.serialize_key_and_certificates(
            f"{name} ({self.agency})".encode(), key, found, [authority], BestAvailableEncryption(password.encode())
        )
        file = made.with_suffix(".p12")
        atomic.replace(file, packed, atomic.OWNER_ONLY)
        return file

    def _issue(self, name: str, now_ms: int) -> tuple[Path, x509.Certificate]:
        """A key and a certificate for a user, in one file to hand over."""
        file = self.path / "users" / f"{name}.pem"
        key = ensure_tls_key(self.path / "users" / f"{name}.key")
        text = self._authority(now_ms).user(
            spki_of(key.public_key()), self.agency, name, serial=x509.random_serial_number(), validity=Validity.days(now_ms, USER_DAYS)
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        atomic.replace(file, text.encode() + secret, atomic.OWNER_ONLY)
        (self.path / "users" / f"{name}.key").unlink()
        return file, read_certificate(text)

    def bind(self, name: str, issuer: str, subject: str) -> User:
        """Take bearer tokens of this issuer and subject as this user's too, from the next request on. Raises UsageError where there is no
        such user, it has tokens already, or another has these."""
        _check_bearer(issuer, subject)
        before = self.users()
        for each in before:
            if each.name == name and each.issuer is not None:
                raise UsageError(f"`{name}` has tokens already", advice=f"remove it first: {self._command} remove")
            if (each.issuer, each.subject) == (issuer, subject):
                raise UsageError(f"this is the user `{each.name}` already", advice=f"remove it first: {self._command} remove {each.name}")
        bound = [msgspec.structs.replace(each, issuer=issuer, subject=subject) if each.name == name else each for each in before]
        found = next((each for each in bound if each.name == name), None)
        if found is None:
            raise UsageError(f"there is no user `{name}`", advice=f"see `{self._command} list`")
        self._keep(bound)
        return found

    def remove(self, name: str) -> User:
        """Let a user in no longer, from the next request on. Raises UsageError where there is none."""
        before = self.users()
        gone = next((each for each in before if each.name == name), None)
        if gone is None:
            raise UsageError(f"there is no user `{name}`", advice=f"see `{self._command} list`")
        self._keep([each for each in before if each.name != name])
        for form in ("pem", "p12"):
            (self.path / "users" / f"{name}.{form}").unlink(missing_ok=True)
        return gone

    def anchors(self) -> str:
        """What client certificates are verified against: the node's authority, and each certificate of another that is let in. PEM."""
        return "".join([self.ca.read_text(), *(each.certificate for each in self.users() if each.certificate)])

    def _keep(self, users: list[User]) -> None:
        text = msgspec.json.format(msgspec.json.encode(_Users(sorted(users, key=lambda each: each.name))), indent=2)
        atomic.replace(self.users_file, text + b"\n", atomic.OWNER_ONLY)


def pages_of(home: Path) -> NodeFolder:
    """That of the operator's pages in the operator's home. Raises UsageError where there is no exchange."""
    files = ExchangeHome(home)
    return NodeFolder(files.pages_folder, files.settings().exchange_id, roles=OPERATOR_ROLES, command="broker operator user")


def _check(name: str, role: str, units: tuple[str, ...], roles: tuple[str, ...]) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"`{ascii(name)[1:-1]}` is no user name", advice="use lower case letters, digits, dot and hyphen")
    if role not in roles:
        raise UsageError(f"there is no role `{ascii(role)[1:-1]}`", advice=f"use one of {', '.join(roles)}")
    for unit in units:
        if not _UNIT.fullmatch(unit):
            raise UsageError(f"`{ascii(unit)[1:-1]}` is no unit", advice="use capitals, digits and hyphen: TUAS")
    if not units:
        raise UsageError("a user belongs to a unit", advice="give --unit TUAS")


def _check_bearer(issuer: str, subject: str) -> None:
    for name, text in (("issuer", issuer), ("subject", subject)):
        if not 0 < len(text) <= 255 or not text.isprintable():
            raise UsageError(
                f"this is no {name} of a token", advice=f"give its `{name[:3]}` as the token has it, in at most 255 characters"
            )


def _read(certificate_pem: str) -> x509.Certificate:
    try:
        return read_certificate(certificate_pem)
    except Flaw as flaw:
        raise UsageError(f"this is no certificate: {flaw}", advice="give one certificate as PEM") from flaw
