"""One client's mutual TLS as files, and what each Kafka client wants to see of them.

The private key never enters this process as text: OpenSSL reads the file. TLS 1.3 only (RFC 8446).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from broker.errors import UsageError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the exchange's CA, this principal's certificate (chain), its private key (PKCS #8, mode 0600)."""

    ca: Path
    certificate: Path
    key: Path

    def checked(self) -> TlsFiles:
        """These files, all there. Raises UsageError naming the one that is missing."""
        for path in (self.ca, self.certificate, self.key):
            if not path.is_file():
                raise UsageError(
                    f"the TLS file `{path}` is missing",
                    advice="name the home that `broker agency join` or `broker up` wrote, with --home or BROKER_HOME",
                )
        return self


def ssl_context(files: TlsFiles) -> ssl.SSLContext:
    """A fresh client context for aiokafka: TLS 1.3, own certificate, the exchange's CA and no other.

    Raises UsageError where a file is missing or is not what it should be.
    """
    files.checked()
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(files.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(str(files.certificate), str(files.key))
    except ssl.SSLError as error:
        raise UsageError(
            f"the TLS files beside `{files.certificate}` do not fit together: {error.reason or error}",
            advice="certificate and key must belong together and be PEM; take the agency's reply again with `broker agency join`",
        ) from error
    return context


def librdkafka_settings(files: TlsFiles) -> dict[str, str | int | float | bool]:
    """The same for confluent-kafka (librdkafka's configuration names)."""
    files.checked()
    return {
        "security.protocol": "ssl",
        "ssl.ca.location": str(files.ca),
        "ssl.certificate.location": str(files.certificate),
        "ssl.key.location": str(files.key),
        "ssl.endpoint.identification.algorithm": "https",
    }
