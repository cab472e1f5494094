"""Bearer tokens: who is let in by one, and that nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import get
from structlog.testing import capture_logs

from broker.errors import UsageError
from broker.node import issuer_keys
from broker.node.console.router import beside
from broker.node.gate import Rates
from broker.node.issuer_keys import ALGORITHMS, DiscoveredKeys, FileKeys, read_keys
from broker.node.tokens import TokenFault, Tokens, bearer_of
from broker.testing.clock import FixedClock
from broker.testing.local import LocalExchange
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, in_process
from tests.support.token_issuer import AUDIENCE, ISSUER, SUBJECT, TokenIssuer, issuer_server
from tests.unit.service.world import NOW

FOREIGN = TokenIssuer()
LOGIN = TokenIssuer()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[InProcess]:
    """A node that takes tokens of LOGIN; its user `by-token` has no certificate, `both` has one too."""
    keys = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys.write_bytes(LOGIN.jwks())
    folder = tmp_path_factory.mktemp("console")
    async with LocalExchange(clock=FixedClock(NOW)) as exchange:
        tokens = Tokens(ISSUER, AUDIENCE, FileKeys(keys))
        agency = await exchange.join("SG-CUSTOMS", "customs")
        async with in_process(agency, tokens=tokens, console=True, beside=beside(folder)) as made:
            made.folder.add("by-token", "officer", ("TUAS",), NOW, None, (ISSUER, SUBJECT))
            made.add("both", "supervisor")
            made.folder.bind("both", ISSUER, "both")
            yield made


async def asked(node: InProcess, token: str | None, *, user: str | None = None, path: str = "/inbox") -> Any:
    """The node's answer to a request with this token, over a connection with this user's certificate."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with node.client(user, headers=headers) as client:
        return await client.get(path)


def thumbprint(certificate: bytes) -> str:
    """A certificate's, as RFC 8705 has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


# -- who is let in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_is_its_user(node: InProcess, algorithm: str) -> None:
    """A token of each algorithm, without a client certificate, does what the user that the node binds to its subject may, and no more: the
    role is the node's word, whatever the token claims."""
    token = LOGIN.token(algorithm, role="supervisor", roles=["supervisor"], aud=["another", AUDIENCE])
    assert (await asked(node, token)).status_code == 200
    async with node.client(None, headers={"Authorization": f"bearer  {token}"}) as client:
        refused = await client.post("/recalls", json={"subject": "SG-CUSTOMS/1", "reason": "ERROR", "action": "DELETE"})
    assert (refused.status_code, "your role is officer" in refused.json()["detail"]) == (403, True)


async def test_without_credentials(node: InProcess) -> None:
    """401 names the scheme that would do; what is public stays so, and figures are for those who are known."""
    answer = await asked(node, None)
    assert (answer.status_code, answer.json()["code"]) == (401, "CERTIFICATE_NEEDED")
    assert answer.headers["www-authenticate"] == 'Bearer realm="SG-CUSTOMS"'
    assert "outbox" not in (await asked(node, None, path="/ready")).json()
    assert "outbox" in (await asked(node, LOGIN.token(), path="/ready")).json()


async def test_certificate_and_token(node: InProcess) -> None:
    """Both of one user are good; of two, or with a certificate that is nobody's, neither counts."""
    both = LOGIN.token(sub="both")
    assert (await asked(node, both, user="both")).status_code == 200
    for user in ("officer", "supervisor"):
        answer = await asked(node, both, user=user)
        assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_OF_ANOTHER")
    node.certificates["stranger"] = b"0\x00"
    assert (await asked(node, both, user="stranger")).json()["code"] == "TOKEN_OF_ANOTHER"


async def test_a_token_bound_to_a_certificate(node: InProcess) -> None:
    """RFC 8705: good over connections with that certificate alone; a binding that the node does not know is none that it passes over."""
    own = {"x5t#S256": thumbprint(node.certificates["both"])}
    assert (await asked(node, LOGIN.token(sub="both", cnf=own), user="both")).status_code == 200
    bindings: tuple[Any, ...] = (own, {"x5t#S256": "é"}, {"x5t#S256": ""}, {"jkt": "x"}, {**own, "jkt": "x"}, {}, [], "x", 0)
    for cnf in bindings:
        answer = await asked(node, LOGIN.token(sub="both", cnf=cnf))
        assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_INVALID"), cnf
    other = {"x5t#S256": thumbprint(node.certificates["officer"])}
    assert (await asked(node, LOGIN.token(sub="both", cnf=other), user="both")).status_code == 401


async def test_users_come_and_go(node: InProcess) -> None:
    """A subject is let in from the next request on, and let go so; it belongs to one user."""
    token = LOGIN.token(sub="short")
    assert (await asked(node, token)).json()["code"] == "TOKEN_SUBJECT_UNKNOWN"
    user, file = node.folder.add("short", "officer", ("TUAS",), NOW, None, (ISSUER, "short"))
    assert (file, user.sha256) == (None, "")
    assert (await asked(node, token)).status_code == 200
    for name, bind in (("other", False), ("officer", True)):
        with pytest.raises(UsageError, match="this is the user `short`"):
            if bind:
                node.folder.bind(name, ISSUER, "short")
            else:
                node.folder.add(name, "officer", ("TUAS",), NOW, None, (ISSUER, "short"))
    node.folder.remove("short")
    assert (await asked(node, token)).status_code == 401
    with pytest.raises(UsageError, match="no user"):
        node.folder.bind("short", ISSUER, "short")
    with pytest.raises(UsageError, match="no subject"):
        node.folder.bind("officer", ISSUER, "a\nb")


async def test_the_console_is_for_certificates(node: InProcess) -> None:
    """A token opens no page of it; the certificate of the same user does."""
    for path in ("/console/session", "/console/feed"):
        answer = await asked(node, LOGIN.token(), path=path)
        assert (answer.status_code, "CERTIFICATE_ONLY" in answer.text) == (403, True), path
    assert (await asked(node, None, user="both", path="/console/session")).status_code == 200


async def test_rates_are_the_users(node: InProcess) -> None:
    """A user's requests count together, however it shows who it is; bad tokens count for the address that sends them."""
    before = node.gate._rates  # pyright: ignore[reportPrivateUsage]
    node.gate._rates = Rates(1.0, 2)  # pyright: ignore[reportPrivateUsage]
    try:
        both = LOGIN.token(sub="both")
        ways = [(both, None), (None, "both"), (both, "both")]
        assert [(await asked(node, token, user=user)).status_code for token, user in ways] == [200, 200, 429]
        assert [(await asked(node, f"{both}x")).status_code for _ in range(3)] == [401, 401, 429]
        assert (await asked(node, None, user="officer")).status_code == 200
    finally:
        node.gate._rates = before  # pyright: ignore[reportPrivateUsage]


async def test_the_log_has_no_token(node: InProcess) -> None:
    """Neither of a good one nor of a bad one; it tells which user came, and by which way."""
    good, bad = LOGIN.token(), FOREIGN.token()
    with capture_logs() as lines:
        await asked(node, good)
        await asked(node, bad)
    one, two = (line for line in lines if line["event"] == "request")
    assert (one["user"], one["by"], two["user"]) == ("by-token", "token", None)
    for part in (*good.split("."), *bad.split(".")):
        assert part not in str(lines)


# -- who is not --------------------------------------------------------------------------------------------------------


def broken() -> dict[str, tuple[str, str]]:
    """A token of each wrong kind, and the code that it is refused with."""
    now = int(time.time())
    ahead: dict[str, Any] = {"iat": now + 600, "nbf": now + 600, "exp": now + 900}
    hmac_header = {"alg": "HS256", "kid": "RS256", "typ": "JWT"}
    mac_text = b".".join(
        base64.urlsafe_b64encode(each).rstrip(b"=") for each in (json.dumps(hmac_header).encode(), json.dumps(LOGIN.claims()).encode())
    )
    mac = base64.urlsafe_b64encode(hmac.new(LOGIN.spki("RS256"), mac_text, "sha256").digest()).rstrip(b"=")
    plain = jwt.encode(LOGIN.claims(), "", "none", headers={"kid": "EdDSA"})
    capitals = base64.urlsafe_b64encode(b'{"alg":"NONE","kid":"EdDSA"}').decode().rstrip("=")
    good = LOGIN.token()
    head, body, signature = good.split(".")
    brought = FOREIGN.jwk("EdDSA")
    urls = {"jku": "https://evil.example/jwks.json", "x5u": "https://evil.example/x.pem", "x5c": ["MIIB"], "jwk": brought}
    deep = LOGIN.signed({"alg": "EdDSA", "kid": "EdDSA"}, b"[" * 5000)
    return {
        "no base64": ("!!!.???.***", "TOKEN_MALFORMED"),
        "one part": ("x", "TOKEN_MALFORMED"),
        "no header": (f".{body}.{signature}", "TOKEN_MALFORMED"),
        "four parts": (good + ".x", "TOKEN_MALFORMED"),
        "no signature": (f"{head}.{body}.", "TOKEN_INVALID"),
        "no ascii": ("é.é.é", "TOKEN_MALFORMED"),
        "oversize": (LOGIN.token(padding="x" * 9000), "TOKEN_MALFORMED"),
        "none": (plain, "TOKEN_INVALID"),
        "none in capitals": (plain.replace(plain.split(".")[0], capitals), "TOKEN_INVALID"),
        "public key as secret": ((mac_text + b"." + mac).decode(), "TOKEN_INVALID"),
        "unknown kid": (LOGIN.token(headers={"kid": "x"}), "TOKEN_KEY_UNKNOWN"),
        "no kid": (LOGIN.token(headers={"kid": ""}), "TOKEN_KEY_UNKNOWN"),
        "kid of another kind": (LOGIN.token("RS256", headers={"kid": "ES256"}), "TOKEN_KEY_UNKNOWN"),
        "another issuer's key": (FOREIGN.token(), "TOKEN_INVALID"),
        "keys that it brings": (FOREIGN.token(headers=urls), "TOKEN_INVALID"),
        "expired": (LOGIN.token(iat=now - 600, exp=now - 31), "TOKEN_EXPIRED"),
        "future": (LOGIN.token("EdDSA", **ahead), "TOKEN_INVALID"),
        "issued in the future": (LOGIN.token(iat=now + 100), "TOKEN_INVALID"),
        "not before": (LOGIN.token(nbf=now + 100), "TOKEN_INVALID"),
        "audience": (LOGIN.token(aud="another"), "TOKEN_INVALID"),
        "no audience": (LOGIN.token(aud=None), "TOKEN_INVALID"),
        "issuer": (LOGIN.token(iss="https://evil.example"), "TOKEN_INVALID"),
        "issuer with a slash": (LOGIN.token(iss=ISSUER + "/"), "TOKEN_INVALID"),
        "no issuer": (LOGIN.token(iss=None), "TOKEN_INVALID"),
        "no subject": (LOGIN.token(sub=None), "TOKEN_INVALID"),
        "no end": (LOGIN.token(exp=None), "TOKEN_INVALID"),
        "no beginning": (LOGIN.token(iat=None), "TOKEN_INVALID"),
        "too long a life": (LOGIN.token(exp=now + 90_000), "TOKEN_INVALID"),
        "for ever": (LOGIN.token(exp=1e400), "TOKEN_INVALID"),
        "end as text": (LOGIN.token(exp=str(now + 300)), "TOKEN_INVALID"),
        "end as truth": (LOGIN.token(exp=True), "TOKEN_EXPIRED"),
        "empty subject": (LOGIN.token(sub=""), "TOKEN_INVALID"),
        "long subject": (LOGIN.token(sub="x" * 256), "TOKEN_INVALID"),
        "unknown subject": (LOGIN.token(sub="nobody"), "TOKEN_SUBJECT_UNKNOWN"),
        "for logging out": (LOGIN.token(headers={"typ": "logout+jwt"}), "TOKEN_INVALID"),
        "what is critical": (LOGIN.token(headers={"crit": ["exp"], "exp": 1}), "TOKEN_MALFORMED"),
        "nested": (deep, "TOKEN_INVALID"),
        "no object": (LOGIN.signed({"alg": "EdDSA", "kid": "EdDSA"}, b"[]"), "TOKEN_INVALID"),
    }


@pytest.mark.parametrize("kind", sorted(broken()))
async def test_a_broken_token_is_refused(node: InProcess, kind: str) -> None:
    """401, with the scheme and the error of RFC 6750 and problem details with our code; over a certificate that alone would do as well."""
    token, code = broken()[kind]
    for user in (None, "both"):
        headers = [(b"Authorization", b"Bearer " + token.encode())]
        async with node.client(user) as client:
            answer = await client.get("/inbox", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        error = "invalid_request" if code == "TOKEN_MALFORMED" else "invalid_token"
        assert answer.headers["www-authenticate"].startswith(f'Bearer error="{error}", error_description="')
        assert answer.headers["content-type"] == "application/problem+json"


async def test_other_authorization(node: InProcess, shared: InProcess) -> None:
    """Two headers, another scheme, none in it: 401 as well. A node that takes no tokens refuses one rather than pass it over."""
    token = LOGIN.token().encode()
    for values in ((b"Bearer " + token,) * 2, (b"Basic eDp5",), (b"Bearer",), (b"Bearer ",), (b"",), (token,)):
        async with node.client(None) as client:
            answer = await client.get("/inbox", headers=[(b"Authorization", each) for each in values])
        assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_MALFORMED"), values
    answer = await asked(shared, LOGIN.token(), user="officer")
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKENS_NOT_TAKEN")


class _Fixed:
    """Keys that do not change."""

    def __init__(self) -> None:
        self.keys = read_keys(LOGIN.jwks())

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        return self.keys.get((kid, algorithm))

    kept: Any = None


TOKENS = Tokens(ISSUER, AUDIENCE, _Fixed())
GOOD = {algorithm: LOGIN.token(algorithm, exp=int(time.time()) + 80_000) for algorithm in ALGORITHMS}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_token_never_passes(data: st.DataObject) -> None:
    """Bytes of a good token changed, left out, put in, or its parts exchanged with those of another: refused, and never anything but a
    refusal. What decodes to the very same bytes is the same token."""
    good = GOOD[data.draw(st.sampled_from(ALGORITHMS))]
    other = GOOD[data.draw(st.sampled_from(ALGORITHMS))]
    at = data.draw(st.integers(0, len(good) - 1))
    piece = data.draw(st.text(st.characters(max_codepoint=127), max_size=3))
    cut = data.draw(st.integers(0, 3))
    mutated = good[:at] + piece + good[at + cut :]
    parts = [data.draw(st.sampled_from((a, b))) for a, b in zip(good.split("."), other.split("."), strict=True)]
    for token in (mutated, ".".join(parts), data.draw(st.text(st.characters(max_codepoint=127), max_size=50))):
        if _decoded(token) in [_decoded(each) for each in GOOD.values()]:
            continue
        with pytest.raises(TokenFault):
            TOKENS.read(token, None)


def _decoded(token: str) -> list[bytes]:
    """What is signed of a token, and the bytes of its signature: base64 has several texts for one value."""
    head, _, signature = token.rpartition(".")
    try:
        return [head.encode(), base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))]
    except ValueError:
        return [token.encode()]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "cnf", "jti"]), ANYTHING))
def test_any_claims_are_read_or_refused(claims: dict[str, Any]) -> None:
    """Whatever an issuer signs, the answer is a user or a refusal, never an error of ours."""
    token = LOGIN.signed({"alg": "EdDSA", "kid": "EdDSA"}, json.dumps({**LOGIN.claims(), **claims}).encode())
    code, found = "", None
    try:
        found = TOKENS.read(token, None)
    except TokenFault as fault:
        code = fault.code
    assert code in ("TOKEN_INVALID", "TOKEN_EXPIRED") or found == (ISSUER, {**LOGIN.claims(), **claims}["sub"])


@pytest.mark.parametrize("claims", [{"exp": 10**400, "iat": 1.5}, {"exp": 1e308, "iat": -(10**400)}, {"exp": 10**400, "iat": 1}])
def test_times_beyond_all_numbers(claims: dict[str, Any]) -> None:
    """Whole numbers that no fraction can hold are refused like any other life that is too long."""
    token = LOGIN.signed({"alg": "EdDSA", "kid": "EdDSA"}, json.dumps({**LOGIN.claims(), **claims}).encode())
    with pytest.raises(TokenFault):
        TOKENS.read(token, None)


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_any_header_is_read_or_refused(values: list[bytes]) -> None:
    """Whatever stands in Authorization headers: a token, none, or a refusal."""
    code, found = "", None
    try:
        found = bearer_of(values)
    except TokenFault as fault:
        code = fault.code
    assert (code == "TOKEN_MALFORMED" and values) or (found is None) == (values == [])


# -- the issuer's keys -------------------------------------------------------------------------------------------------


def test_keys_of_a_set() -> None:
    """What can verify is taken, for the algorithm of its kind alone; shared secrets, keys to encrypt with, short and strange
    ones are not."""
    bare = {name: value for name, value in LOGIN.jwk("RS256").items() if name not in ("alg", "use")}
    found = read_keys(
        json.dumps({"keys": [{**bare, "kid": "r"}, LOGIN.jwk("ES256"), {"kty": "oct", "kid": "o", "k": "AA"}, 1, {}]}).encode()
    )
    assert set(found) == {("r", "PS256"), ("r", "RS256"), ("ES256", "ES256")}
    short = jwt.get_algorithm_by_name("RS256").to_jwk(_rsa(1024), as_dict=True)
    bad = (
        {**LOGIN.jwk("EdDSA"), "use": "enc"}, {**LOGIN.jwk("EdDSA"), "key_ops": ["sign"]}, {**LOGIN.jwk("EdDSA"), "key_ops": 1},
        {**LOGIN.jwk("EdDSA"), "alg": "HS256"}, {**LOGIN.jwk("EdDSA"), "crv": "Ed448"}, {**LOGIN.jwk("EdDSA"), "kid": 1},
        {**LOGIN.jwk("ES256"), "x": "AA"}, {**LOGIN.jwk("ES256"), "crv": "P-384"}, {**LOGIN.jwk("RS256"), "n": 5}, {**short, "kid": "s"},
    )  # fmt: skip
    for key in bad:
        with pytest.raises(UsageError, match="no key of this set"):
            read_keys(json.dumps({"keys": [key]}).encode())
    for text in (
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b"[" * 9999,
        b" " * (issuer_keys.SET_LIMIT + 1),
        json.dumps({"keys": [{}] * 65}).encode(),
    ):
        with pytest.raises(UsageError):
            read_keys(text)


def _rsa(bits: int) -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, bits).public_key()


def test_keys_of_a_file(tmp_path: Path) -> None:
    """Read again when it changes; gone or broken it opens nothing, and a node is not started with such a one."""
    path = tmp_path / "jwks.json"
    with pytest.raises(UsageError, match="cannot be read"):
        FileKeys(path)
    path.write_bytes(LOGIN.jwks("ES256"))
    keys = FileKeys(path)
    assert keys.find("ES256", "ES256") is not None
    assert keys.find("EdDSA", "EdDSA") is None
    path.write_bytes(LOGIN.jwks("EdDSA"))
    assert (keys.find("ES256", "ES256"), keys.find("EdDSA", "EdDSA") is not None) == (None, True)
    path.write_bytes(b"{")
    assert keys.find("EdDSA", "EdDSA") is None
    path.unlink()
    assert keys.find("EdDSA", "EdDSA") is None
    path.write_bytes(LOGIN.jwks())
    assert keys.find("EdDSA", "EdDSA") is not None


async def test_keys_of_the_issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by discovery at the start and behind a request that needs one that is not known, not oftener than its time, however many ask; a
    failed reading leaves what is known."""
    monkeypatch.setattr(issuer_keys, "AGAIN_S", 0.3)
    answers: dict[str, tuple[int, bytes]] = {"/keys": (200, LOGIN.jwks("ES256"))}
    well_known = "/.well-known/openid-configuration"
    with issuer_server(tmp_path / "login", answers) as (url, ca, asked_for):
        answers[well_known] = (200, json.dumps({"issuer": url, "jwks_uri": f"{url}/keys", "token_endpoint": "x"}).encode())
        keys = DiscoveredKeys(url, ca)
        assert keys.find("ES256", "ES256") is None
        async with keys.kept():
            await eventually(lambda: keys.find("ES256", "ES256") is not None, what="the issuer's keys")
            answers["/keys"] = (200, LOGIN.jwks("EdDSA"))
            began, before = time.monotonic(), len(asked_for)
            await eventually(lambda: keys.find("EdDSA", "EdDSA") is not None, what="the issuer's new key")
            readings = (len(asked_for) - before) / 2
            assert readings <= 1 + (time.monotonic() - began) / 0.3
            assert keys.find("ES256", "ES256") is None
            answers["/keys"] = (500, b"")
            before = len(asked_for)
            await eventually(lambda: keys.find("x", "EdDSA") is None and len(asked_for) >= before + 2, what="another reading")
            assert keys.find("EdDSA", "EdDSA") is not None
            described = answers[well_known]
            answers |= {well_known: (200, json.dumps({"issuer": url, "jwks_uri": "https://a..b/keys"}).encode())}
            before = len(asked_for)
            await eventually(lambda: keys.find("x", "EdDSA") is None and len(asked_for) > before, what="an address that is no name")
            answers |= {well_known: described, "/keys": (200, LOGIN.jwks("PS256", "EdDSA"))}
            await eventually(lambda: keys.find("PS256", "PS256") is not None, what="the keys after it")
            monkeypatch.setattr(issuer_keys, "KEPT_S", 0.0)
            assert keys.find("EdDSA", "EdDSA") is None


@pytest.mark.parametrize("case", ["redirect", "another issuer", "plain keys", "too long", "another authority", "nothing"])
async def test_what_is_not_the_issuer(tmp_path: Path, case: str) -> None:
    """Redirects, a description of another issuer, keys over plain HTTP, an answer without end, a certificate of another authority, no
    answer: no key comes of any of them, and nobody is let in."""
    answers: dict[str, tuple[int, bytes]] = {"/keys": (200, LOGIN.jwks())}
    with (
        issuer_server(tmp_path / "login", answers) as (url, ca, asked_for),
        issuer_server(tmp_path / "evil", {}) as (_, other_ca, _unused),
    ):
        described: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
        if case == "another issuer":
            described["issuer"] = f"{url}/"
        elif case == "plain keys":
            described["jwks_uri"] = url.replace("https", "http") + "/keys"
        elif case == "too long":
            answers["/keys"] = (200, b" " * (issuer_keys.SET_LIMIT + 1) + LOGIN.jwks())
        if case != "nothing":
            answers["/.well-known/openid-configuration"] = (200, json.dumps(described).encode())
        if case == "redirect":
            answers["/keys"] = (302, f"{url}/other".encode())
            answers["/other"] = (200, LOGIN.jwks())
        keys = DiscoveredKeys(url, other_ca if case == "another authority" else ca)
        with capture_logs() as lines:
            async with keys.kept():
                await eventually(lambda: any("cannot be read" in line["event"] for line in lines), what="a reading that failed")
        assert keys.find("EdDSA", "EdDSA") is None
        assert "/other" not in asked_for


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "a",
        "",
        "https://",
        "https://u:p@a.example",
        "https://a.example?x",
        "https://é.example",
        "https://[",
        "https://a:99999",
    ],
)
def test_an_issuer_is_an_https_address(url: str, tmp_path: Path) -> None:
    """Discovery goes to plain HTTPS addresses and to nothing else."""
    with pytest.raises(UsageError):
        issuer_keys.https(url)


async def test_roles_of_forgotten_routes(node: InProcess) -> None:
    """A route that names no roles is open to no token either."""

    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    node.gate.inner.register(forgotten)  # type: ignore[attr-defined]
    assert (await asked(node, LOGIN.token(), path="/forgotten")).status_code == 403
