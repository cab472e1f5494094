"""The options of ``broker node`` for bearer tokens: whose are taken, for which audience, and where the issuer's keys are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from broker.errors import UsageError

if TYPE_CHECKING:
    from broker.node.tokens import Tokens


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class TokenOptions:
    """Whose bearer tokens a node takes; nobody's by default."""

    oidc: str | None = None
    """The issuer whose bearer tokens are taken, as their `iss` has it; needs --audience, and --oidc-keys or --oidc-ca."""
    audience: str | None = None
    """What the tokens' `aud` has to name: this node."""
    oidc_keys: Annotated[Path | None, Parameter(name="--oidc-keys")] = None
    """The issuer's public keys, a JSON Web Key Set; read again when the file changes."""
    oidc_ca: Annotated[Path | None, Parameter(name="--oidc-ca")] = None
    """Read the keys from the issuer over HTTPS (OpenID Connect Discovery), believing certificates of this authority (PEM) alone."""


NO_TOKENS = TokenOptions()


def tokens_of(options: TokenOptions) -> Tokens | None:
    """What these options say. Raises UsageError where they do not go together."""
    given = (options.audience, options.oidc_keys, options.oidc_ca)
    if options.oidc is None:
        if any(each is not None for each in given):
            raise UsageError("tokens are taken of one issuer", advice="name it: --oidc ISSUER")
        return None
    if not options.audience or (options.oidc_keys is None) == (options.oidc_ca is None):
        raise UsageError(
            "--oidc says neither for whom its tokens are, or where its keys",
            advice="give --audience, and one of --oidc-keys FILE and --oidc-ca FILE",
        )
    from broker.node.issuer_keys import DiscoveredKeys, FileKeys
    from broker.node.tokens import Tokens

    keys = FileKeys(options.oidc_keys) if options.oidc_keys is not None else DiscoveredKeys(options.oidc, options.oidc_ca or Path())
    return Tokens(options.oidc, options.audience, keys)
