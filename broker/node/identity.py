"""Who a request comes from: by its client certificate, by a bearer token, or by both where both name one user. Anything else is nobody, and
credentials that cannot be checked are refused rather than passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from broker.errors import UsageError
from broker.node.problems import NotDone
from broker.node.scope import certificate_of
from broker.node.tokens import TokenFault, Tokens, bearer_of
from broker.storage.node_folder import NodeFolder, User

CERTIFICATE: Final = "certificate"
TOKEN: Final = "token"  # noqa: S105 - the name of a way
_log = structlog.get_logger("request")


class Identities:
    """The users of a node, and how they show that they are it."""

    def __init__(self, folder: NodeFolder, tokens: Tokens | None = None) -> None:
        self._folder, self._tokens = folder, tokens

    @property
    def challenge(self) -> str | None:
        """What ``WWW-Authenticate`` says to somebody who did not say who it is; None where only certificates are taken:
        HTTP has no scheme for them."""
        return None if self._tokens is None else f'Bearer realm="{self._folder.agency}"'

    def identify(self, scope: dict[str, Any], authorization: Sequence[bytes]) -> tuple[User | None, str | None]:
        """The user of a request and how it is known; None for somebody unknown. Raises NotDone where a token is given that is not good."""
        certificate = certificate_of(scope)
        by_certificate = None if certificate is None else self._user(lambda: self._folder.user_of(certificate))
        try:
            token = bearer_of(authorization)
            if token is None:
                return by_certificate, CERTIFICATE if by_certificate else None
            by_token = self._named(token, certificate)
            _same(by_token, by_certificate, certificate)
        except TokenFault as fault:
            _log.info("a token is not taken", code=fault.code, reason=fault.reason)
            raise NotDone(fault.code, fault.reason, {"www-authenticate": fault.challenge}) from None
        return by_token, CERTIFICATE if by_certificate else TOKEN

    def still(self, scope: dict[str, Any], authorization: Sequence[bytes], user: User | None) -> bool:
        """Whether a request that was this user's would be so now."""
        try:
            return self.identify(scope, authorization)[0] == user
        except NotDone:
            return False

    def _named(self, token: str, certificate: bytes | None) -> User:
        """The user whom a token names. Raises TokenFault."""
        if self._tokens is None:
            raise TokenFault("TOKENS_NOT_TAKEN", "this node takes no tokens", "invalid_request")
        bearer = self._tokens.read(token, certificate)
        found = self._user(lambda: self._folder.user_of_subject(bearer.issuer, bearer.subject))
        if found is None:
            raise TokenFault("TOKEN_SUBJECT_UNKNOWN", "the subject of this token is no user of this node")
        return found

    def _user(self, find: Callable[[], User | None]) -> User | None:
        try:
            return find()
        except UsageError as error:
            _log.error("the list of users cannot be read: nobody is let in", reason=str(error))
            return None


def _same(by_token: User, by_certificate: User | None, certificate: bytes | None) -> None:
    """A certificate beside a token is of the same user. Raises TokenFault."""
    if certificate is not None and by_certificate != by_token:
        raise TokenFault("TOKEN_OF_ANOTHER", "the token and the client certificate are not of one user")
