"""X.509 for transport only (RFC 5280): the exchange's certificate authority and what it issues to agencies and services.

Kafka takes its principal from the subject, so a subject is one common name and nothing else: ``SG-CUSTOMS#1`` (agency and
generation), ``relay``, ``registrar`` or ``node``. No agency id can equal a service's name. All keys are EC P-256, all
signatures ECDSA with SHA-256 in the deterministic form of RFC 6979: keys, serials and times are given, nothing is drawn here.

Authorship of messages never rests on these certificates; see :mod:`broker.trust.directory`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker import ids
from broker.errors import UsageError
from broker.trust.canonical import Flaw
from broker.trust.keys import spki_of

NODE: Final = "node"
"""Common name, and so Kafka principal, of the Kafka nodes: the only one that may serve as well as connect."""
SERVICES: Final = ("relay", "registrar")
"""Common names of the operator's services."""
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
"""Names every Kafka node is reachable by on its own machine."""
DAY_MS: Final = 86_400_000
LEEWAY_MS: Final = 3_600_000
"""Certificates begin one hour early: clocks of agencies differ."""


class Validity(NamedTuple):
    """When a certificate holds, in Unix milliseconds (X.509 keeps whole seconds)."""

    from_ms: int
    until_ms: int

    @classmethod
    def days(cls, now_ms: int, days: int) -> Validity:
        """From now (an hour early) for so many days."""
        return cls(now_ms - LEEWAY_MS, now_ms + days * DAY_MS)


@dataclass(frozen=True, slots=True)
class Authority:
    """The exchange's certificate authority: its certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, ca_pem: str, key: ec.EllipticCurvePrivateKey) -> Authority:
        """Join a stored certificate and its key. Raises UsageError where they do not belong together."""
        try:
            certificate = read_certificate(ca_pem)
        except Flaw as error:
            raise UsageError(f"the exchange's CA: {error}", advice="restore ca.pem from the operator's backup") from error
        if _certificate_spki(certificate) != spki_of(key.public_key()):
            raise UsageError("the exchange's CA key is not the one of its certificate", advice="restore both from one backup")
        return cls(certificate, key)

    def agency(self, spki: bytes, agency: str, generation: int, *, serial: int, validity: Validity) -> str:
        """A client certificate for one generation of an agency, as PEM. ``spki`` is the TLS key of its request."""
        urn = f"urn:xb:agency:{ids.agency_id(agency)}"
        return self._issue(spki, ids.principal(agency, generation), [x509.UniformResourceIdentifier(urn)], serial, validity)

    def service(self, spki: bytes, name: str, *, serial: int, validity: Validity) -> str:
        """A client certificate for one of SERVICES, as PEM. Raises UsageError for another name."""
        if name not in SERVICES:
            raise UsageError(f"`{name}` is no service of an exchange", advice=f"use one of {', '.join(SERVICES)}")
        return self._issue(spki, name, [x509.UniformResourceIdentifier(f"urn:xb:service:{name}")], serial, validity)

    def node(self, spki: bytes, hosts: Sequence[str], *, serial: int, validity: Validity) -> str:
        """A certificate for Kafka nodes as PEM: for LOCAL_HOSTS and the host names and addresses given."""
        names = [_host(host) for host in dict.fromkeys([*LOCAL_HOSTS, *hosts])]
        return self._issue(spki, NODE, names, serial, validity, serves=True)

    def user(self, spki: bytes, holder: str, name: str, *, serial: int, validity: Validity) -> str:
        """A client certificate for a user of an agency's own node, or of the operator's pages, as PEM. What the user may do is kept there,
        not in here."""
        urn = f"urn:xb:user:{_holder(holder)}:{name}"
        return self._issue(spki, name, [x509.UniformResourceIdentifier(urn)], serial, validity)

    def holds(self, certificate_pem: str, spki: bytes, *, at_ms: int, hosts: Sequence[str] = ()) -> bool:
        """Whether a stored certificate is this authority's, for this key and these hosts, and lasts beyond ``at_ms``."""
        try:
            certificate = read_certificate(certificate_pem)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (Flaw, x509.ExtensionNotFound):
            return False
        lasts = certificate.not_valid_after_utc.timestamp() * 1000 > at_ms
        issued = _is_issued_by(certificate, self.certificate) and _certificate_spki(certificate) == spki
        return lasts and issued and all(_host(host) in names for host in hosts)

    def _issue(
        self, spki: bytes, name: str, alternatives: Sequence[x509.GeneralName], serial: int, validity: Validity, *, serves: bool = False
    ) -> str:  # fmt: skip
        public = tls_key(spki)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if serves else [])
        issuer_id = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(x509.Name([_common_name(name)]), self.certificate.subject, public, serial, validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
        )
        return pem(builder.sign(self.key, hashes.SHA256(), ecdsa_deterministic=True))


def exchange_ca(key: ec.EllipticCurvePrivateKey, exchange_id: str, *, serial: int, validity: Validity) -> str:
    """The self-signed certificate of an exchange's authority as PEM: CA:TRUE with path length 0, so it issues no further CA."""
    return _authority(key, "exchange authority", ids.exchange_id(exchange_id), serial, validity)


def node_ca(key: ec.EllipticCurvePrivateKey, holder: str, *, serial: int, validity: Validity) -> str:
    """The same for the node of an agency, or for the pages of an exchange's operator: it issues its own users' certificates with it. The
    exchange knows nothing of it."""
    return _authority(key, "node authority", _holder(holder), serial, validity)


def _holder(name: str) -> str:
    """An agency, or an exchange, whose id is in lower case. Raises InvalidId."""
    return ids.exchange_id(name) if name == name.lower() else ids.agency_id(name)


def _authority(key: ec.EllipticCurvePrivateKey, organisation: str, common_name: str, serial: int, validity: Validity) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), _common_name(common_name)])
    public = key.public_key()
    builder = (
        _builder(name, name, public, serial, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return pem(builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True))


def signing_request(key: ec.EllipticCurvePrivateKey, agency: str) -> str:
    """A PKCS#10 request (RFC 2986) for the agency's TLS key as PEM; its subject is the agency's id alone."""
    name = x509.Name([_common_name(ids.agency_id(agency))])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM).decode("ascii")


def read_signing_request(text: str, agency: str) -> bytes:
    """Check a request made for this agency and return its TLS key's SPKI. Raises Flaw: broken, not self-signed, another's."""
    try:
        request = x509.load_pem_x509_csr(text.encode())
        signed, public = request.is_signature_valid, request.public_key()
        subject = [(name.oid, name.value) for name in request.subject]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Flaw("the certificate request cannot be read") from error
    if not signed:
        raise Flaw("the certificate request is not signed by its own key")
    if subject != [(NameOID.COMMON_NAME, agency)]:
        raise Flaw(f"the certificate request is not for `{agency}` alone")
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise Flaw("the TLS key must be EC P-256")
    return spki_of(public)


def check_client(certificate_pem: str, ca_pem: str, *, agency: str, generation: int, tls_spki: bytes) -> None:
    """Check that a certificate is this agency's, for its own TLS key, and by this authority. Raises Flaw with the rule.

    Times are not judged: the TLS handshake does that with its own clock.
    """
    authority, certificate = read_certificate(ca_pem), read_certificate(certificate_pem)
    if not _is_issued_by(authority, authority) or not _is_authority(authority):
        raise Flaw("the exchange's certificate is no certificate authority signed by itself")
    if not _is_issued_by(certificate, authority):
        raise Flaw("the certificate is not issued by the exchange's authority in the same reply")
    if _certificate_spki(certificate) != tls_spki:
        raise Flaw("the certificate is for a key that is not this agency's TLS key")
    if [(name.oid, name.value) for name in certificate.subject] != [(NameOID.COMMON_NAME, ids.principal(agency, generation))]:
        raise Flaw(f"the certificate does not name `{ids.principal(agency, generation)}`")
    if _is_authority(certificate) or not _is_client(certificate):
        raise Flaw("the certificate is not one for a client")


def read_certificate(text: str) -> x509.Certificate:
    """Parse exactly one PEM certificate. Raises Flaw."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        if len(found) == 1:
            _ = found[0].extensions
            return found[0]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Flaw("a certificate cannot be read") from error
    raise Flaw("there must be exactly one certificate")


def tls_key(spki: bytes) -> ec.EllipticCurvePublicKey:
    """Load a TLS public key. Raises UsageError unless it is EC P-256."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise UsageError("a TLS key must be EC P-256", advice="make the key with `broker agency init`")


def pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _common_name(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, serial: int, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=public, serial_number=serial)
        .not_valid_before(datetime.fromtimestamp(validity.from_ms // 1000, UTC))
        .not_valid_after(datetime.fromtimestamp(validity.until_ms // 1000, UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not host.isascii() or not host.replace("-", "").replace(".", "").isalnum() or len(host) > 253:
        raise UsageError(f"`{ascii(host)[1:-1]}` is no host name", advice="use an ASCII host name or an IP address")
    return x509.DNSName(host)


def _certificate_spki(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return spki_of(key) if isinstance(key, ec.EllipticCurvePublicKey) else b""


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _is_client(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in cast("list[x509.ObjectIdentifier]", list(usages))
