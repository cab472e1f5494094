"""The public keys of whoever issues bearer tokens: a JSON Web Key Set (RFC 7517), from a file or from the issuer itself.

Only what can verify is taken from a set, each key for the algorithms of its own kind (:data:`ALGORITHMS`), so that no token chooses how
its key is used. Nothing is ever fetched while a request waits: who needs a key that is not here is refused, and the set is read
again behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from broker.errors import UsageError

ALGORITHMS: Final = ("EdDSA", "ES256", "PS256", "RS256")
"""Signatures that are taken (RFC 7518, RFC 8037): never ``none``, nothing with a shared secret."""
_KINDS: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("OKP", "Ed25519"): ("EdDSA",), ("EC", "P-256"): ("ES256",), ("RSA", None): ("PS256", "RS256"),
}  # fmt: skip
RSA_BITS: Final = (2048, 8192)
"""Fewest and most bits of an RSA key."""
SET_LIMIT: Final = 256 << 10
"""Most bytes of a set, or of the issuer's description of itself."""
KEYS: Final = 64
"""Most keys of a set."""
AGAIN_S: Final = 60.0
"""How long after one reading from the issuer the next may begin, whatever is asked for meanwhile."""
REFRESH_S: Final = 600.0
"""How often they are read where nobody asks: a key that the issuer took back is known no longer after this."""
KEPT_S: Final = 86_400.0
"""How long keys are believed while the issuer cannot be reached."""
TAKE_S: Final = 10.0
"""How long one reading may take."""

KeySet = Mapping[tuple[str, str], jwt.PyJWK]
"""Keys by id and algorithm."""
_log = structlog.get_logger("tokens")


def read_keys(data: bytes) -> KeySet:
    """The keys of a set that can verify a token; others in it are passed over, as RFC 7517 (section 5) has it. Raises UsageError for what
    is no set, is too big, or holds no such key."""
    try:
        found = msgspec.json.decode(data) if len(data) <= SET_LIMIT else None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {error}", advice="give a JSON Web Key Set, as the issuer's jwks_uri answers") from error
    keys = cast("dict[str, Any]", found).get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or len(cast("list[object]", keys)) > KEYS:
        raise UsageError(f"this is no set of at most {KEYS} keys", advice="give a JSON Web Key Set, as the issuer's jwks_uri answers")
    taken: dict[tuple[str, str], jwt.PyJWK] = {}
    for each in cast("list[object]", keys):
        if isinstance(each, dict):
            _take(cast("dict[str, Any]", each), taken)
    if not taken:
        raise UsageError(
            "no key of this set can verify a token", advice=f"each needs a `kid`, and to be for one of {', '.join(ALGORITHMS)}"
        )
    return taken


def _take(key: dict[str, Any], taken: dict[tuple[str, str], jwt.PyJWK]) -> None:
    """One key, under each algorithm that it is for. The first of two with one name counts."""
    kid, kty, crv, alg = key.get("kid"), key.get("kty"), key.get("crv"), key.get("alg")
    operations = key.get("key_ops", ["verify"])
    if not isinstance(kid, str) or not isinstance(kty, str) or key.get("use", "sig") != "sig":
        return
    if not isinstance(operations, list) or "verify" not in cast("list[object]", operations) or not isinstance(crv, str | None):
        return
    for algorithm in _KINDS.get((kty, None if kty == "RSA" else crv), ()):
        if alg not in (None, algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm):
            continue
        public = {name: value for name, value in key.items() if name in ("kty", "crv", "x", "y", "n", "e")}
        try:
            made = jwt.PyJWK(public, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _log.warning("a key of the issuer's cannot be used", kid=kid[:64], reason=str(error)[:200])
            continue
        if isinstance(made.key, RSAPublicKey) and not RSA_BITS[0] <= made.key.key_size <= RSA_BITS[1]:
            _log.warning("a key of the issuer's is too short or too long", kid=kid[:64], bits=made.key.key_size)
            continue
        taken.setdefault((kid, algorithm), made)


class IssuerKeys(Protocol):
    """Where the keys come from."""

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key of this name for this algorithm, of what is known now; never waits."""
        ...

    def kept(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Keeps them up to date for as long as the block lasts."""
        ...


class FileKeys:
    """Keys of a file that the operator puts there. It is read again when it changes; one that cannot be read opens nothing."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError where it holds no keys."""
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: KeySet = {}
        self._look()

    def _look(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            self._seen, self._keys = seen, {}
            with self._path.open("rb") as file:
                self._keys = read_keys(file.read(SET_LIMIT + 1))
        except OSError as error:
            self._seen, self._keys = None, {}
            raise UsageError(f"`{self._path}` cannot be read: {error.strerror}", advice="give the issuer's JSON Web Key Set") from error

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """See :class:`IssuerKeys`."""
        try:
            self._look()
        except UsageError as error:
            _log.error("the issuer's keys cannot be read: no token is taken", reason=str(error))
        return self._keys.get((kid, algorithm))

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """See :class:`IssuerKeys`."""
        yield


class DiscoveredKeys:
    """Keys that the issuer publishes (OpenID Connect Discovery 1.0, section 4), over HTTPS, trusting one authority alone."""

    def __init__(self, issuer: str, authority: Path) -> None:
        """``authority``: certificates (PEM) that may have issued the issuer's. Raises UsageError where they cannot be used."""
        self._issuer = issuer
        https(issuer)
        try:
            self._tls = ssl.create_default_context(cafile=str(authority))
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"`{authority}` cannot be used: {error}", advice="give the authority of the issuer's certificate, as PEM"
            ) from error
        self._keys: KeySet = {}
        self._read_at = -KEPT_S
        self._wanted = asyncio.Event()

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """See :class:`IssuerKeys`."""
        old = time.monotonic() - self._read_at > KEPT_S
        found = None if old else self._keys.get((kid, algorithm))
        if found is None:
            self._wanted.set()
        return found

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """See :class:`IssuerKeys`."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        """Read them at once, then whenever one is wanted, and now and then."""
        while True:
            self._wanted.clear()
            try:
                self._keys = await self._read()
                self._read_at = time.monotonic()
            except (UsageError, OSError, HTTPException, TimeoutError, ValueError) as error:  # ValueError: a host that is no name
                _log.warning("the issuer's keys cannot be read", issuer=self._issuer, reason=f"{type(error).__name__}: {error}"[:300])
            await asyncio.sleep(AGAIN_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), max(0.0, REFRESH_S - AGAIN_S))

    async def _read(self) -> KeySet:
        described = await self._got(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        try:
            about = msgspec.json.decode(described, type=_Described)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UsageError(f"the issuer's description is none: {error}") from error
        if about.issuer != self._issuer:
            raise UsageError(f"the issuer calls itself `{about.issuer[:200]}`")
        return read_keys(await self._got(about.jwks_uri))

    async def _got(self, url: str) -> bytes:
        """What is there; in a thread, whose connection is cut where it takes too long. No redirects, no proxies."""
        host, port, path = https(url)
        connection = HTTPSConnection(host, port, timeout=TAKE_S, context=self._tls)
        try:
            async with asyncio.timeout(TAKE_S):
                return await asyncio.to_thread(_ask, connection, path)
        finally:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(2)
            connection.close()


class _Described(msgspec.Struct):
    issuer: str
    jwks_uri: str


def https(url: str) -> tuple[str, int, str]:
    """Host, port and path of an address. Raises UsageError for one that is not plain HTTPS."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        parts, host, port = urlsplit(""), None, 0
    if parts.scheme != "https" or not host or parts.username is not None or parts.query or parts.fragment or not url.isascii():
        raise UsageError(f"`{ascii(url)[1:-1]}` is no HTTPS address", advice="name the issuer as its tokens do: https://login.example.org")
    return host, port, parts.path or "/"


def _ask(connection: HTTPSConnection, path: str) -> bytes:
    connection.request("GET", path, headers={"accept": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise UsageError(f"it answered {response.status}")
    data = response.read(SET_LIMIT + 1)
    if len(data) > SET_LIMIT:
        raise UsageError(f"its answer has more than {SET_LIMIT:,} bytes")
    return data
