"""An issuer of bearer tokens for tests: keys of each kind, tokens right and wrong, and its own HTTPS server."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.storage.node_folder import NodeFolder

ISSUER: Final = "https://login.example.org"
AUDIENCE: Final = "node.example.org"
SUBJECT: Final = "7c1f"
Json = dict[str, Any]


class TokenIssuer:
    """Signs tokens; ``keys`` by algorithm, each under a kid that is the algorithm's name."""

    def __init__(self, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        rsa_key = rsa.generate_private_key(65537, 2048)
        self.keys: dict[str, Any] = {
            "EdDSA": ed25519.Ed25519PrivateKey.generate(), "ES256": ec.generate_private_key(ec.SECP256R1()),
            "RS256": rsa_key, "PS256": rsa_key,
        }  # fmt: skip

    def jwk(self, algorithm: str, **more: Any) -> Json:
        """The public key of an algorithm."""
        made = jwt.get_algorithm_by_name(algorithm).to_jwk(self.keys[algorithm].public_key(), as_dict=True)
        return {**made, "kid": algorithm, "use": "sig", "alg": algorithm, **more}

    def jwks(self, *algorithms: str) -> bytes:
        """The set of these keys, by default of all."""
        return json.dumps({"keys": [self.jwk(each) for each in algorithms or self.keys]}).encode()

    def spki(self, algorithm: str) -> bytes:
        """A public key as PEM: what a forger takes for a shared secret."""
        return self.keys[algorithm].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def claims(self, **changed: Any) -> Json:
        """Good claims of :data:`SUBJECT`, with changes; a claim that is None is left out."""
        now = int(time.time())
        made = {"iss": self.issuer, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 300, **changed}
        return {name: value for name, value in made.items() if value is not None}

    def token(self, algorithm: str = "EdDSA", *, headers: Mapping[str, Any] | None = None, key: Any = None, **changed: Any) -> str:
        """A token with these claims."""
        own = {"kid": algorithm, "typ": "at+jwt", **(headers or {})}
        return jwt.encode(self.claims(**changed), key or self.keys[algorithm], algorithm, headers=own)

    def signed(self, header: Json, payload: bytes) -> str:
        """A token of any bytes, rightly signed by the Ed25519 key."""
        text = b".".join(_text(each) for each in (json.dumps(header).encode(), payload))
        return (text + b"." + _text(self.keys["EdDSA"].sign(text))).decode()


def _text(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@contextmanager
def issuer_server(folder: Path, answers: dict[str, tuple[int, bytes]]) -> Generator[tuple[str, Path, list[str]]]:
    """An HTTPS server that gives these answers by path: its address, the authority of its certificate, and the paths asked for so far."""
    made = NodeFolder(folder, "XX-LOGIN")
    made.prepare(time.time_ns() // 1_000_000, ("127.0.0.1",))
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            if status == 302:
                self.send_header("location", body.decode())
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Says nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server, made.server_key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", made.ca, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
