"""Certificates: what OpenSSL accepts in its strict mode, names in the right place, and checks that see every wrong one."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.errors import UsageError
from broker.trust.canonical import Flaw
from broker.trust.certificates import (
    DAY_MS,
    Authority,
    Validity,
    check_client,
    exchange_ca,
    read_certificate,
    read_signing_request,
    signing_request,
)
from broker.trust.keys import spki_of
from tests.unit.trust.actors import EXCHANGE, NOW, tls_key

LONG = Validity.days(NOW, 3650)
AGENCY = "SG-CUSTOMS"


def _authority(seed: str = "ca", exchange_id: str = EXCHANGE) -> Authority:
    key = tls_key(seed)
    return Authority.load(exchange_ca(key, exchange_id, serial=1, validity=LONG), key)


def _spki(seed: str) -> bytes:
    return spki_of(tls_key(seed).public_key())


def _agency(authority: Authority, seed: str = "agency", name: str = AGENCY, generation: int = 1) -> str:
    return authority.agency(_spki(seed), name, generation, serial=7, validity=LONG)


def _context(folder: Path, side: ssl.Purpose, ca: str, certificate: str, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    files = {"ca": ca.encode(), "crt": certificate.encode(), "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    context = ssl.create_default_context(side, cafile=str(folder / "ca"))
    context.load_cert_chain(str(folder / "crt"), str(folder / "key"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """Both ends in memory; returns the server's end. Raises ssl.SSLError where one refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(b"x")
    assert ends[1].read(1) == b"x"
    return ends[1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "kafka.example", "10.1.2.3"])
def test_mutual_tls_in_strict_mode(tmp_path: Path, host: str) -> None:
    """OpenSSL with X509_STRICT completes a mutual TLS 1.3 handshake under every name of the node, and sees the principal."""
    authority = _authority()
    ca = authority.certificate.public_bytes(Encoding.PEM).decode()
    node = authority.node(_spki("node"), ["kafka.example", "10.1.2.3"], serial=2, validity=LONG)
    server = _context(tmp_path, ssl.Purpose.CLIENT_AUTH, ca, node, tls_key("node"))
    client = _context(tmp_path, ssl.Purpose.SERVER_AUTH, ca, _agency(authority), tls_key("agency"))
    peer = _handshake(client, server, host).getpeercert()
    assert peer is not None
    assert peer["subject"] == ((("commonName", "SG-CUSTOMS#1"),),)
    assert peer["subjectAltName"] == (("URI", "urn:xb:agency:SG-CUSTOMS"),)


def test_an_agency_cannot_serve_as_the_node(tmp_path: Path) -> None:
    """A member's certificate does not pass for a Kafka node, so no member can stand between another and the exchange."""
    authority = _authority()
    ca = authority.certificate.public_bytes(Encoding.PEM).decode()
    server = _context(tmp_path, ssl.Purpose.CLIENT_AUTH, ca, _agency(authority), tls_key("agency"))
    client = _context(tmp_path, ssl.Purpose.SERVER_AUTH, ca, _agency(authority, "other"), tls_key("other"))
    client.check_hostname = False
    with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
        _handshake(client, server, "localhost")


def test_another_hosts_name_is_refused(tmp_path: Path) -> None:
    """The node's certificate is for its names only."""
    authority = _authority()
    ca = authority.certificate.public_bytes(Encoding.PEM).decode()
    node = authority.node(_spki("node"), [], serial=2, validity=LONG)
    server = _context(tmp_path, ssl.Purpose.CLIENT_AUTH, ca, node, tls_key("node"))
    client = _context(tmp_path, ssl.Purpose.SERVER_AUTH, ca, _agency(authority), tls_key("agency"))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(client, server, "kafka.example")


def test_extensions() -> None:
    """RFC 5280 extensions of authority, service and node: path length 0, key identifiers, usages, no CA below."""
    authority = _authority()
    extensions = authority.certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    for text, name, usages in [
        (authority.service(_spki("r"), "relay", serial=3, validity=LONG), "relay", {ExtendedKeyUsageOID.CLIENT_AUTH}),
        (
            authority.node(_spki("n"), [], serial=4, validity=LONG),
            "node",
            {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH},
        ),
    ]:
        certificate = read_certificate(text)
        assert [(a.oid, a.value) for a in certificate.subject] == [(NameOID.COMMON_NAME, name)]
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == usages
        issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert issuer == extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.key_identifier
        assert certificate.not_valid_after_utc.timestamp() * 1000 == NOW + 3650 * DAY_MS


def test_same_input_same_certificate() -> None:
    """Nothing is drawn here: the same keys, serial and times give the same bytes."""
    assert _agency(_authority()) == _agency(_authority())


def test_bad_arguments() -> None:
    """Names and keys that an exchange does not have are the caller's mistake, told with advice."""
    authority = _authority()
    ed = spki_of(ed25519.Ed25519PrivateKey.generate().public_key())
    wrong: list[Callable[[], object]] = [
        lambda: authority.service(_spki("r"), "node", serial=3, validity=LONG),
        lambda: authority.agency(_spki("r"), "sg customs", 1, serial=3, validity=LONG),
        lambda: authority.agency(ed, AGENCY, 1, serial=3, validity=LONG),
        lambda: authority.node(_spki("r"), ["ka fka"], serial=3, validity=LONG),
        lambda: authority.node(_spki("r"), ["kаfka"], serial=3, validity=LONG),
        lambda: exchange_ca(tls_key("ca"), "STCE", serial=1, validity=LONG),
        lambda: Authority.load("", tls_key("ca")),
        lambda: Authority.load(exchange_ca(tls_key("ca"), EXCHANGE, serial=1, validity=LONG), tls_key("x")),
    ]
    for call in wrong:
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.advice


def test_signing_request() -> None:
    """A request comes back as the key it was made with, for its own agency only."""
    text = signing_request(tls_key("agency"), AGENCY)
    assert read_signing_request(text, AGENCY) == _spki("agency")
    with pytest.raises(Flaw, match="not for `SG-CUSTOM` alone"):
        read_signing_request(text, "SG-CUSTOM")
    with pytest.raises(Flaw, match="cannot be read"):
        read_signing_request("-----BEGIN NONSENSE-----", AGENCY)


def test_signing_request_with_another_key() -> None:
    """A request whose public key was exchanged is not signed by it; another kind of key is refused."""
    der = x509.load_pem_x509_csr(signing_request(tls_key("agency"), AGENCY).encode()).public_bytes(Encoding.DER)
    swapped = der.replace(_spki("agency"), _spki("thief"))
    assert swapped != der
    text = x509.load_der_x509_csr(swapped).public_bytes(Encoding.PEM).decode()
    with pytest.raises(Flaw, match="not signed by its own key"):
        read_signing_request(text, AGENCY)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AGENCY)])
    other = x509.CertificateSigningRequestBuilder().subject_name(name).sign(ed25519.Ed25519PrivateKey.generate(), None)
    with pytest.raises(Flaw, match="must be EC P-256"):
        read_signing_request(other.public_bytes(Encoding.PEM).decode(), AGENCY)


def test_client_check_sees_every_wrong_certificate() -> None:
    """A right certificate passes; another authority's, key's, agency's or generation's, and a CA's, does not."""
    authority, imposter = _authority(), _authority("imposter")
    ca = authority.certificate.public_bytes(Encoding.PEM).decode()
    own = _spki("agency")

    def check(certificate: str, ca_pem: str = ca) -> None:
        check_client(certificate, ca_pem, agency=AGENCY, generation=1, tls_spki=own)

    check(_agency(authority))
    for certificate, ca_pem, rule in [
        (_agency(imposter), ca, "not issued by"),
        (_agency(authority, "thief"), ca, "not this agency's TLS key"),
        (_agency(authority, name="DE-BAFA"), ca, "does not name"),
        (_agency(authority, generation=2), ca, "does not name"),
        (_agency(authority), _agency(authority), "no certificate authority"),
        (ca, ca, "not this agency's TLS key"),
        ("", ca, "cannot be read"),
        (_agency(authority) + ca, ca, "exactly one"),
    ]:
        with pytest.raises(Flaw, match=rule):
            check(certificate, ca_pem)


def test_client_check_of_a_tampered_authority_and_a_server_certificate() -> None:
    """An authority's certificate that was altered is not signed by itself; a certificate for servers is no member's."""
    authority = _authority()
    altered = bytearray(authority.certificate.public_bytes(Encoding.DER))
    altered[-1] ^= 1
    ca = x509.load_der_x509_certificate(bytes(altered)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(Flaw, match="signed by itself"):
        check_client(_agency(authority), ca, agency=AGENCY, generation=1, tls_spki=_spki("agency"))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SG-CUSTOMS#1")])
    builder = x509.CertificateBuilder(
        authority.certificate.subject, name, tls_key("agency").public_key(), 9,
        authority.certificate.not_valid_before_utc, authority.certificate.not_valid_after_utc,
    )  # fmt: skip
    server = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    below = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
    )
    for wrong in (builder, server, below):
        text = wrong.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        with pytest.raises(Flaw, match="not one for a client"):
            check_client(
                text,
                authority.certificate.public_bytes(Encoding.PEM).decode(),
                agency=AGENCY,
                generation=1,
                tls_spki=_spki("agency"),
            )


def test_holds() -> None:
    """A stored certificate is kept while it is this authority's, for the key and hosts asked, and not about to end."""
    authority = _authority()
    spki, end = _spki("node"), NOW + 3650 * DAY_MS
    text = authority.node(spki, ["kafka.example"], serial=2, validity=LONG)
    assert authority.holds(text, spki, at_ms=end - 1, hosts=["localhost", "::1", "kafka.example"])
    assert not authority.holds(text, spki, at_ms=end)
    assert not authority.holds(text, spki, at_ms=NOW, hosts=["other.example"])
    assert not authority.holds(text, _spki("x"), at_ms=NOW)
    assert not _authority("imposter").holds(text, spki, at_ms=NOW)
    assert not _authority(exchange_id="other").holds(text, spki, at_ms=NOW)
    assert not authority.holds("junk", spki, at_ms=NOW)
