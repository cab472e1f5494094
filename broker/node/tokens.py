"""Bearer tokens (RFC 6750) of an OpenID Connect issuer that the operator of the node names: JSON Web Tokens as RFC 9068 has them.

A token says who somebody is at the issuer: ``iss`` and ``sub``. What that person or system may do here is in the node's own list of users
(:class:`broker.storage.node_folder.NodeFolder`), never in the token: an issuer cannot make a supervisor. A token that is bound to a client
certificate (``cnf``, RFC 8705) is good over that certificate's connections alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

import jwt

from broker.errors import UsageError
from broker.node.issuer_keys import ALGORITHMS, IssuerKeys

TOKEN_LIMIT: Final = 8 << 10
"""Most bytes of a token."""
LEEWAY_S: Final = 30
"""How far the issuer's clock and ours may differ, in seconds."""
LIFE_S: Final = 86_400
"""Longest time between a token's ``iat`` and ``exp``: it cannot be taken back meanwhile."""
TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What a token may call itself (RFC 9068, section 2.1), where it says: not one for logging out, say."""
SUBJECT_LIMIT: Final = 255
"""Longest ``sub`` (OpenID Connect Core 1.0, section 2)."""
_REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat")


class Bearer(NamedTuple):
    """Who a token names."""

    issuer: str
    subject: str


class TokenFault(Exception):
    """Why a token is not taken: ``code`` of ours, ``error`` of RFC 6750 (section 3.1)."""

    def __init__(self, code: str, reason: str, error: str = "invalid_token") -> None:
        super().__init__(reason)
        self.code, self.reason, self.error = code, reason, error

    @property
    def challenge(self) -> str:
        """The value of ``WWW-Authenticate``."""
        return f'Bearer error="{self.error}", error_description="{self.reason}"'


def bearer_of(values: Sequence[bytes]) -> str | None:
    """The token of a request's ``Authorization`` headers; None where there is none. Raises TokenFault."""
    if not values:
        return None
    if len(values) > 1:
        raise TokenFault("TOKEN_MALFORMED", "there is more than one Authorization header", "invalid_request")
    scheme, _, token = values[0].partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise TokenFault("TOKEN_MALFORMED", "the Authorization header is not a bearer token", "invalid_request")
    if len(token) > TOKEN_LIMIT:
        raise TokenFault("TOKEN_MALFORMED", f"the token has more than {TOKEN_LIMIT} bytes", "invalid_request")
    if not token.isascii():
        raise TokenFault("TOKEN_MALFORMED", "the token is no JSON Web Token", "invalid_request")
    return token.decode("ascii")


class Tokens:
    """Tokens of one issuer for one audience."""

    def __init__(self, issuer: str, audience: str, keys: IssuerKeys) -> None:
        """Raises UsageError for a name that is none."""
        if not issuer or not audience:
            raise UsageError("tokens need an issuer and an audience", advice="give --oidc ISSUER and --audience AUDIENCE")
        self.issuer, self._audience, self.keys = issuer, audience, keys

    def read(self, token: str, certificate: bytes | None) -> Bearer:
        """Who a token names, over a connection with this client certificate (DER). Raises TokenFault."""
        key = self._key(token)
        try:
            claims = jwt.decode(
                token, key, algorithms=[key.algorithm_name], audience=self._audience, issuer=self.issuer, leeway=LEEWAY_S,
                options={"require": list(_REQUIRED), "verify_signature": True},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise TokenFault("TOKEN_EXPIRED", "the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenFault("TOKEN_INVALID", "the token is of the future") from None
        except jwt.InvalidAudienceError:
            raise TokenFault("TOKEN_INVALID", "the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise TokenFault("TOKEN_INVALID", "the token is of another issuer") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenFault("TOKEN_INVALID", f"the token lacks the claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenFault("TOKEN_INVALID", "the token is not what its issuer signed") from None
        _check_claims(claims)
        _check_binding(claims, certificate)
        return Bearer(self.issuer, claims["sub"])

    def _key(self, token: str) -> jwt.PyJWK:
        """The key that a token's header names, for its algorithm. Keys that a token brings along (``jwk``, ``jku``, ``x5c``, ``x5u``) are
        not looked at."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenFault("TOKEN_MALFORMED", "the token is no JSON Web Token", "invalid_request") from None
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if algorithm not in ALGORITHMS:
            raise TokenFault("TOKEN_INVALID", "the token is not signed as this node takes it")
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise TokenFault("TOKEN_INVALID", "the token is of another kind")
        if "crit" in header or "b64" in header:
            raise TokenFault("TOKEN_INVALID", "the token asks for what this node does not know")
        found = self.keys.find(kid, cast("str", algorithm)) if isinstance(kid, str) and kid else None
        if found is None:
            raise TokenFault("TOKEN_KEY_UNKNOWN", "the key that the token names is not known here")
        return found


def _check_claims(claims: dict[str, Any]) -> None:
    """What the library leaves open: the forms of the claims, and how long the token lives."""
    for name in ("exp", "iat", "nbf"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise TokenFault("TOKEN_INVALID", f"the claim {name} is no time")
    if int(claims["exp"]) - int(claims["iat"]) > LIFE_S:  # whole ones, as they were judged: a fraction holds no number of any length
        raise TokenFault("TOKEN_INVALID", f"the token lives for more than {LIFE_S} seconds")
    if not 0 < len(claims["sub"]) <= SUBJECT_LIMIT:
        raise TokenFault("TOKEN_INVALID", "the claim sub is no name")


def _check_binding(claims: dict[str, Any], certificate: bytes | None) -> None:
    """Where a token is bound to a certificate, that the connection has it (RFC 8705, section 3). Bound otherwise it is no good."""
    bound = claims.get("cnf")
    if bound is None and "cnf" not in claims:
        return
    thumbprint = cast("dict[str, object]", bound).get("x5t#S256") if isinstance(bound, dict) else None
    if not isinstance(thumbprint, str) or set(cast("dict[str, object]", bound)) != {"x5t#S256"} or not thumbprint.isascii():
        raise TokenFault("TOKEN_INVALID", "the token is bound to a key in a way that this node does not know")
    own = None if certificate is None else base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()
    if own is None or not hmac.compare_digest(own, thumbprint):
        raise TokenFault("TOKEN_INVALID", "the token is bound to another client certificate")
