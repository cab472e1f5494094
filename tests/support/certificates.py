"""A certificate authority for tests: one CA, and a certificate for any principal, in files as the clients want them."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.kafka.tls import TlsFiles

_DAY = dt.timedelta(days=1)


class CertificateAuthority:
    """A CA (ECDSA P-256) whose ``ca.pem`` and ``ca.key`` are in ``folder``; made there where the folder has none."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = folder / "ca.pem"
        kept = folder / "ca.key"
        if not kept.exists():
            _write_private(kept, ec.generate_private_key(ec.SECP256R1()))
        key = serialization.load_pem_private_key(kept.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        if not self.ca.exists():
            self._write_own_certificate()
        self._name = x509.load_pem_x509_certificate(self.ca.read_bytes()).subject

    def _write_own_certificate(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test exchange")])
        now = dt.datetime.now(dt.UTC)
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, principal: str, *, server: bool = False, lasts: dt.timedelta = 30 * _DAY) -> TlsFiles:
        """Certificate and key for a principal (``CN=<principal>``); ``server`` adds the loopback names a node answers under.

        A negative ``lasts`` makes one that expired already. The same principal's second certificate replaces the first.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if server else [])]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, principal)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 60 * _DAY)
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if server:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        files = TlsFiles(self.ca, self._folder / f"{principal}.pem", self._folder / f"{principal}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_private(files.key, key)
        return files

    def of(self, principal: str) -> TlsFiles:
        """The principal's certificate in the folder, issued where it is not there yet."""
        files = TlsFiles(self.ca, self._folder / f"{principal}.pem", self._folder / f"{principal}.key")
        return files if files.certificate.exists() and files.key.exists() else self.issue(principal)


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
