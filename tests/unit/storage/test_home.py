"""Homes: what init, join and the making of an exchange leave on disk, run once, twice, and after a crash half-way."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from broker.errors import BrokerError, RefusedError, StoreError, UsageError
from broker.ids import InvalidId
from broker.storage.enrol import SERVICE_DAYS, create_exchange, init_agency, join_agency
from broker.storage.home import AgencyHome, ExchangeHome, agencies_in
from broker.trust.certificates import DAY_MS, Validity, read_certificate
from broker.trust.enrolment import Reply, Request, read_request, reply_text, unsigned_reply
from tests.unit.trust.actors import NOW, Pen

SG = "SG-CUSTOMS"


def _exchange(home: Path, *, hosts: tuple[str, ...] = (), now_ms: int = NOW) -> ExchangeHome:
    return create_exchange(home, "stce.asean", "test", 4, now_ms, hosts=hosts)


def _reply(operator: ExchangeHome, request: Request, *, generation: int = 1) -> Reply:
    """What the operator answers: certificate, names and addresses."""
    settings = operator.settings()
    certificate = operator.authority().agency(
        request.tls_spki, request.agency, generation, serial=x509.random_serial_number(), validity=Validity.days(NOW, 30)
    )
    return Reply(
        request.agency, generation, request.digest, certificate, operator.ca_pem(), settings.exchange_id, settings.environment,
        "localhost:9093", settings.shards, settings.registrar_spki, 7,
    )  # fmt: skip


def _text(operator: ExchangeHome, reply: Reply) -> str:
    registrar = operator.registrar()
    unsigned = unsigned_reply(reply, registrar)
    return reply_text(reply.agency, unsigned.signed(registrar.sign_now(unsigned.to_be_signed)))


def _request(text: str) -> Request:
    request = read_request(text)
    assert isinstance(request, Request)
    return request


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_enrolment_from_both_sides(tmp_path: Path) -> None:
    """Agency and operator in two homes: keys made at home, request, reply, and the agency knows its exchange."""
    operator = _exchange(tmp_path / "operator")
    text = init_agency(tmp_path / "agency", SG, "customs", NOW)
    reply = _reply(operator, _request(text))
    assert join_agency(tmp_path / "agency", _text(operator, reply)) == reply
    own = AgencyHome(tmp_path / "agency", SG)
    settings = own.settings()
    assert (settings.exchange_id, settings.environment, settings.shards) == ("stce.asean", "test", 4)
    assert (settings.agency, settings.generation, settings.directory_version) == (SG, 1, 7)
    assert settings.bootstrap == "localhost:9093"
    assert settings.directory().registrar.spki == operator.registrar().spki
    assert own.signer().spki == _request(text).key.spki
    assert own.tls().certificate.read_text() == reply.certificate_pem
    assert own.tls().ca.read_text() == operator.ca_pem()
    assert agencies_in(tmp_path / "agency") == (SG,)


def test_no_private_key_leaves_the_agency(tmp_path: Path) -> None:
    """The request holds no private key, and every file with one is closed to others."""
    text = init_agency(tmp_path, SG, "customs", NOW)
    assert "PRIVATE" not in text
    folder = tmp_path / "agencies" / SG
    private = [path for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert sorted(path.name for path in private) == ["master.pem", "message.pem", "tls.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_init_again_changes_nothing(tmp_path: Path) -> None:
    """The same request comes back later; another kind is refused; the files stay byte for byte."""
    text = init_agency(tmp_path, SG, "customs", NOW)
    before = _tree(tmp_path)
    assert init_agency(tmp_path, SG, "customs", NOW + DAY_MS) == text
    with pytest.raises(UsageError, match="as `customs` here already"):
        init_agency(tmp_path, SG, "police", NOW)
    assert _tree(tmp_path) == before


def test_init_after_a_crash_keeps_the_keys(tmp_path: Path) -> None:
    """Without its request file an unfinished init goes on with the keys it finds."""
    first = _request(init_agency(tmp_path, SG, "customs", NOW))
    own = AgencyHome(tmp_path, SG)
    own.request_file.unlink()
    own.tls_key.unlink()
    second = _request(init_agency(tmp_path, SG, "customs", NOW + 5))
    assert (second.master_spki, second.key.spki) == (first.master_spki, first.key.spki)
    assert second.tls_spki != first.tls_spki


@pytest.mark.parametrize("name", ["master.pem", "message.pem", "tls.pem"])
def test_a_lost_key_is_not_silently_replaced(tmp_path: Path, name: str) -> None:
    """Once a request was made, a missing key is an error for a person to solve."""
    init_agency(tmp_path, SG, "customs", NOW)
    (tmp_path / "agencies" / SG / name).unlink()
    with pytest.raises(UsageError, match="there is no key"):
        init_agency(tmp_path, SG, "customs", NOW)
    assert not (tmp_path / "agencies" / SG / name).exists()


@pytest.mark.parametrize("agency", ["sg customs", "..", "../../SG-CUSTOMS", "SG-СUSTOMS", "SG-CUSTOMS/x", ""])
def test_bad_ids_make_no_folder(tmp_path: Path, agency: str) -> None:
    """A name that is no agency id never becomes a path."""
    with pytest.raises(InvalidId):
        init_agency(tmp_path / "home", agency, "customs", NOW)
    with pytest.raises(InvalidId):
        AgencyHome(tmp_path, agency)
    assert list(tmp_path.iterdir()) == []


def test_bad_kind(tmp_path: Path) -> None:
    """An unknown kind is refused before any key is made."""
    with pytest.raises(InvalidId, match="kind"):
        init_agency(tmp_path / "home", SG, "army", NOW)
    assert list(tmp_path.iterdir()) == []


def test_before_init_and_join_people_are_told_what_to_run(tmp_path: Path) -> None:
    """Each missing step names the command."""
    own = AgencyHome(tmp_path, SG)
    for call in (own.settings, own.tls):
        with pytest.raises(UsageError, match="has not joined") as caught:
            call()
        assert "broker agency join" in caught.value.advice
    with pytest.raises(UsageError) as caught:
        own.request()
    assert "broker agency init SG-CUSTOMS" in caught.value.advice
    with pytest.raises(UsageError) as caught:
        ExchangeHome(tmp_path).settings()
    assert "broker up" in caught.value.advice
    with pytest.raises(UsageError):
        own.signer()
    assert agencies_in(tmp_path) == ()


def test_join_takes_only_its_own_reply(tmp_path: Path) -> None:
    """A reply for others, to an earlier request, altered, or by another registrar than told, changes no file."""
    operator = _exchange(tmp_path / "operator")
    home = tmp_path / "agency"
    request = _request(init_agency(home, SG, "customs", NOW))
    good = _reply(operator, request)
    before = _tree(home)
    altered = _text(operator, good)
    altered = altered.replace('"note":"W', '"note":"X')
    with pytest.raises(UsageError, match="has made no request here"):
        join_agency(home, _text(operator, replace(good, agency="DE-BAFA")))
    for text in (altered, _text(operator, replace(good, request_digest=bytes(32))), "junk", json.dumps({"type": "x"})):
        with pytest.raises(RefusedError) as caught:
            join_agency(home, text)
        assert caught.value.refusal.code == "BAD_REPLY"
    with pytest.raises(RefusedError, match="another registrar"):
        join_agency(home, _text(operator, good), registrar_spki=Pen("x").spki)
    assert _tree(home) == before


def test_joining_again(tmp_path: Path) -> None:
    """The same reply may be taken twice, a renewed certificate too; an older generation or another exchange may not."""
    operator, home = _exchange(tmp_path / "operator"), tmp_path / "agency"
    request = _request(init_agency(home, SG, "customs", NOW))
    first, second = (_text(operator, _reply(operator, request, generation=n)) for n in (1, 2))
    join_agency(home, first)
    once = _tree(home)
    join_agency(home, first)
    assert _tree(home) == once
    join_agency(home, second)
    assert AgencyHome(home, SG).settings().generation == 2
    with pytest.raises(UsageError, match="generation 2 is in use"):
        join_agency(home, first)
    other = create_exchange(tmp_path / "other", "other", "test", 4, NOW)
    with pytest.raises(RefusedError, match="another registrar"):
        join_agency(home, _text(other, _reply(other, request, generation=3)))
    moved = replace(_reply(operator, request, generation=3), shards=8)
    with pytest.raises(UsageError, match="belongs to the exchange"):
        join_agency(home, _text(operator, moved))


def test_the_address_can_be_kept(tmp_path: Path) -> None:
    """The operator's address becomes known when the node listens, and is stored with the rest."""
    operator = _exchange(tmp_path)
    assert operator.settings().bootstrap == ""
    operator.keep(replace(operator.settings(), bootstrap="localhost:40001"))
    assert operator.settings().bootstrap == "localhost:40001"
    assert _exchange(tmp_path).settings().bootstrap == "localhost:40001"


def test_an_exchange_is_made_once(tmp_path: Path) -> None:
    """Run again, the same exchange is found, byte for byte; another name, environment or count of shards is refused."""
    operator = _exchange(tmp_path)
    before = _tree(tmp_path)
    assert _exchange(tmp_path, now_ms=NOW + DAY_MS).settings() == operator.settings()
    assert _tree(tmp_path) == before
    for arguments in (("other", "test", 4), ("stce.asean", "production", 4), ("stce.asean", "test", 8)):
        with pytest.raises(UsageError, match="this home holds the exchange") as caught:
            create_exchange(tmp_path, *arguments, NOW)
        assert "--home" in caught.value.advice
    assert _tree(tmp_path) == before


def test_bad_exchanges(tmp_path: Path) -> None:
    """Arguments that make no sense leave nothing behind."""
    for arguments in (("STCE", "test", 4), ("stce", "prod", 4), ("stce", "test", 0), ("stce", "test", 1025)):
        with pytest.raises(UsageError):
            create_exchange(tmp_path / "home", *arguments, NOW)
    with pytest.raises(UsageError, match="no host name"):
        create_exchange(tmp_path / "home", "stce", "test", 4, NOW, hosts=["ka fka"])
    assert not ExchangeHome(tmp_path / "home").exists


def test_operator_files(tmp_path: Path) -> None:
    """Keys of the operator are closed to others, each service has its certificate, and nobody else has one."""
    operator = _exchange(tmp_path)
    for name, principal in (("node", "node"), ("relay", "relay"), ("registrar", "registrar")):
        files = operator.tls(name)
        certificate = read_certificate(files.certificate.read_text())
        assert certificate.subject.rfc4514_string() == f"CN={principal}"
        assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
        certificate.verify_directly_issued_by(operator.authority().certificate)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (operator.ca_key, operator.registrar_key, operator.relay_key)} == {0o600}
    assert operator.relay().kid != operator.registrar().kid
    with pytest.raises(UsageError, match="no service"):
        operator.tls("../relay")


def test_services_are_renewed_in_time(tmp_path: Path) -> None:
    """In its last 30 days, or for a new host, a certificate is made anew for the same key; else it stays."""
    operator = _exchange(tmp_path)
    before = _tree(tmp_path)
    _exchange(tmp_path, now_ms=NOW + (SERVICE_DAYS - 31) * DAY_MS)
    assert _tree(tmp_path) == before
    _exchange(tmp_path, hosts=("kafka.example",))
    changed = {name for name, content in _tree(tmp_path).items() if content != before[name]}
    assert changed == {"exchange/tls/node.pem"}
    _exchange(tmp_path, now_ms=NOW + (SERVICE_DAYS - 29) * DAY_MS)
    changed = {name for name, content in _tree(tmp_path).items() if content != before[name]}
    assert changed == {f"exchange/tls/{name}.pem" for name in ("node", "relay", "registrar")}
    operator.tls("relay")


def test_an_exchange_after_a_crash(tmp_path: Path) -> None:
    """Until its settings are written an exchange is unfinished: what was made is kept, the name may still change."""
    operator = create_exchange(tmp_path, "wrong.name", "test", 4, NOW)
    registrar = operator.registrar().spki
    operator.settings_file.unlink()
    operator.tls("relay").key.unlink()
    again = _exchange(tmp_path)
    assert again.settings().registrar_spki == registrar
    for name in ("node", "relay", "registrar"):
        certificate = read_certificate(again.tls(name).certificate.read_text())
        certificate.verify_directly_issued_by(again.authority().certificate)
    assert "stce.asean" in again.authority().certificate.subject.rfc4514_string()


@pytest.mark.parametrize("name", ["registrar.pem", "relay.pem", "ca-key.pem", "ca.pem"])
def test_a_lost_operator_key_is_not_silently_replaced(tmp_path: Path, name: str) -> None:
    """A registrar's, relay's or authority's key that is gone stops the operator instead of founding another exchange."""
    _exchange(tmp_path)
    (tmp_path / "exchange" / name).unlink()
    with pytest.raises(UsageError):
        _exchange(tmp_path)
    assert not (tmp_path / "exchange" / name).exists()


def test_another_registrar_key_is_seen(tmp_path: Path) -> None:
    """A registrar's key from elsewhere is not taken for this exchange's."""
    operator, other = _exchange(tmp_path / "a"), _exchange(tmp_path / "b")
    operator.registrar_key.write_bytes(other.registrar_key.read_bytes())
    with pytest.raises(StoreError, match="not this exchange's key"):
        _exchange(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"type":"broker member v1"}', b"x" * 70_000])
def test_damaged_files_are_told(tmp_path: Path, content: bytes) -> None:
    """A settings or request file that is not what it was says so, without a traceback's exception."""
    operator, home = _exchange(tmp_path), tmp_path
    request = _request(init_agency(home, SG, "customs", NOW))
    join_agency(home, _text(operator, _reply(operator, request)))
    own = AgencyHome(home, SG)
    for path, call in ((own.settings_file, own.settings), (own.request_file, own.request), (operator.settings_file, operator.settings)):
        path.write_bytes(content)
        with pytest.raises(StoreError, match="is damaged") as caught:
            call()
        assert isinstance(caught.value, BrokerError)
        assert caught.value.advice


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    """A home that is a file is told as such."""
    (tmp_path / "home").write_text("x")
    with pytest.raises(StoreError):
        init_agency(tmp_path / "home", SG, "customs", NOW)


def test_strangers_in_the_agencies_folder(tmp_path: Path) -> None:
    """Only folders named as agencies count as such."""
    for agency in ("SG-CUSTOMS", "DE-BAFA"):
        init_agency(tmp_path, agency, "customs", NOW)
    (tmp_path / "agencies" / "notes.txt").write_text("x")
    assert agencies_in(tmp_path) == ("DE-BAFA", "SG-CUSTOMS")
