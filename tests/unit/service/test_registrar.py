"""The registrar: every operation may die anywhere and be repeated; nobody gets rights that the directory does not give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.app.parties import shipped_bundle
from broker.errors import BrokerError, ExchangeUnreachable, RefusedError, UsageError
from broker.exchange.topology import DIRECTORY, POLICY, SCHEMAS, Grant, Quota, agency_grants
from broker.ports import Outgoing
from broker.storage import enrol
from broker.storage.home import AgencyHome
from broker.storage.schemas import schema_texts
from broker.testing.exchange import Attempt, Fault
from broker.testing.local import LocalAgency
from broker.trust.directory import Directory, unsigned_agency
from broker.trust.readmission import Readmission, propose
from tests.support.officers import NO_PARTIES, change, masters, shipped_files
from tests.support.parcels import key
from tests.support.standing import approval, approved_by, reinstate, suspend
from tests.unit.service.world import NOW, World


def entries(world: World) -> list[bytes | None]:
    """Keys of the directory's records, in order."""
    return [record.key for record in world.memory.records(DIRECTORY)]


def request(world: World, agency: str, *, home: str = "", kind: str = "customs") -> str:
    """A request file made at an agency's own home."""
    return enrol.init_agency(world.exchange.home / home, agency, kind, NOW)


def away(_attempt: Attempt) -> Fault:
    """Kafka takes nothing."""
    return Fault.LOSE


async def test_admission_is_complete(world: World) -> None:
    """After one admission there are topics, rights, a quota, an agency entry, a key entry, and a reply that the agency can join with."""
    operator = world.exchange.operator
    admission = await operator.admit(request(world, "TH-CUSTOMS"), ["STCE-ASEAN"])
    assert {"out.TH-CUSTOMS", "in.TH-CUSTOMS"} <= set(world.memory.specs)
    assert world.memory.grants["TH-CUSTOMS#1"] == frozenset(agency_grants("TH-CUSTOMS", 1))
    assert world.memory.quotas["TH-CUSTOMS#1"] == Quota()
    assert entries(world)[-2] == b"agency/TH-CUSTOMS"
    assert (entries(world)[-1] or b"").startswith(b"key/TH-CUSTOMS/")
    assert (admission.entry.kind, admission.entry.communities, admission.entry.status) == ("customs", ("STCE-ASEAN",), "active")
    enrol.join_agency(world.exchange.home, admission.reply)
    settings = AgencyHome(world.exchange.home, "TH-CUSTOMS").settings()
    assert (settings.exchange_id, settings.environment, settings.shards) == ("local.test", "test", 1)
    assert settings.directory_version == (await world.learn()).directory.version


async def test_admitting_again_writes_nothing_new(world: World) -> None:
    """The same request twice: no new directory entry, the same rights, and a reply that says the same."""
    operator = world.exchange.operator
    first = await operator.admit(request(world, "TH-CUSTOMS"), ["STCE-ASEAN"])
    before = entries(world)
    second = await operator.admit(request(world, "TH-CUSTOMS"))
    assert entries(world) == before
    assert second.entry == first.entry
    enrol.join_agency(world.exchange.home, second.reply)


async def test_communities_can_be_changed_by_admitting_again(world: World) -> None:
    """An admission with other communities writes the agency's next entry, and leaves its key alone."""
    before = len(entries(world))
    admission = await world.exchange.operator.admit(request(world, "AE-CUSTOMS"), ["GULF", "STCE-ASEAN"])
    assert entries(world)[before:] == [b"agency/AE-CUSTOMS"]
    assert admission.entry.communities == ("GULF", "STCE-ASEAN")


@pytest.mark.parametrize("fails_at", [1, 2])
@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.KEEP])
async def test_half_done_admission_is_finished_by_repeating_it(world: World, fails_at: int, fault: Fault) -> None:
    """An admission that dies at its first or second directory record, stored or not, is completed by the same call again: no
    entry twice, and the agency works."""
    count = 0

    def faults(attempt: Attempt) -> Fault:
        nonlocal count
        count += attempt.kind == "send" and attempt.records[0].topic == DIRECTORY
        return fault if count == fails_at and attempt.kind == "send" else Fault.APPLY

    operator, before = world.exchange.operator, len(entries(world))
    world.memory.faults = faults
    with pytest.raises(ExchangeUnreachable):
        await operator.admit(request(world, "TH-CUSTOMS"), ["STCE-ASEAN"])
    assert "out.TH-CUSTOMS" in world.memory.specs
    world.memory.faults = None
    admission = await operator.admit(request(world, "TH-CUSTOMS"), ["STCE-ASEAN"])
    new = entries(world)[before:]
    assert new[0] == b"agency/TH-CUSTOMS"
    assert len(new) == len(set(new)) == 2
    enrol.join_agency(world.exchange.home, admission.reply)
    assert AgencyHome(world.exchange.home, "TH-CUSTOMS").settings().agency == "TH-CUSTOMS"
    assert not (await world.learn()).directory.waiting


async def test_admission_that_dies_before_the_directory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics are there and rights are not: nobody is listed, and the repetition does the rest."""
    operator = world.exchange.operator
    admin = type(operator.admin())

    async def dies(*_: object) -> None:
        raise ExchangeUnreachable("the cluster went away")

    with monkeypatch.context() as patch:
        patch.setattr(admin, "ensure_grants", dies)
        with pytest.raises(ExchangeUnreachable):
            await operator.admit(request(world, "TH-CUSTOMS"))
    assert "TH-CUSTOMS" not in (await world.learn()).directory.agencies
    assert "TH-CUSTOMS#1" not in world.memory.grants
    await operator.admit(request(world, "TH-CUSTOMS"))
    assert "TH-CUSTOMS" in (await world.learn()).directory.agencies


async def test_second_holder_of_an_id_is_refused(world: World) -> None:
    """Somebody else who asks under a member's id gets nothing: no entry, no right, no certificate."""
    grants, before = dict(world.memory.grants), entries(world)
    stranger = request(world, "SG-CUSTOMS", home="elsewhere")
    with pytest.raises(UsageError, match="another master key"):
        await world.exchange.operator.admit(stranger)
    assert entries(world) == before
    assert world.memory.grants == grants


async def test_altered_request_is_refused(world: World) -> None:
    """A request that was changed on its way is refused before anything is made."""
    text = request(world, "TH-CUSTOMS")
    at = len(text) // 2
    text = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    with pytest.raises(RefusedError) as caught:
        await world.exchange.operator.admit(text)
    assert caught.value.refusal.code == "BAD_REQUEST"
    assert "out.TH-CUSTOMS" not in world.memory.specs


async def test_suspension_takes_the_rights_first(world: World) -> None:
    """Where the directory cannot be written the rights are gone already; the call is repeated and then the entry says so, once."""
    world.memory.faults = away
    async with world.exchange.operator.registrar() as registrar:
        with pytest.raises(ExchangeUnreachable):
            await registrar.suspend("MY-CUSTOMS", "assurances broken")
        assert world.memory.grants["MY-CUSTOMS#1"] == frozenset()
        world.memory.faults = None
        entry = await registrar.suspend("MY-CUSTOMS", "assurances broken")
        assert (entry.status, entry.reason, entry.suspension) == ("suspended", "assurances broken", entry.version)
        assert await registrar.suspend("MY-CUSTOMS", "once more") == entry


async def test_what_was_asked_for_before_ends_too(world: World) -> None:
    """A suspended agency has next to no quota, so that a fetch that waits at Kafka brings nothing; nobody else is silenced."""
    async with world.exchange.operator.registrar() as registrar:
        with pytest.raises(UsageError, match="not suspended"):
            await registrar.silence("MY-CUSTOMS")
        assert world.memory.quotas["MY-CUSTOMS#1"] == Quota()
        await registrar.suspend("MY-CUSTOMS", "x")
        await registrar.silence("MY-CUSTOMS")
        assert world.memory.quotas["MY-CUSTOMS#1"] == Quota(fetch_bytes=64)


async def test_readmission_gives_the_rights_last(world: World) -> None:
    """Two officers approve; where the directory cannot be written no right is given, and the same file finishes it when it can. The
    entry carries the statement, also after the agency was admitted again into another community."""
    operator = world.exchange.operator
    suspended = await suspend(operator, "MY-CUSTOMS")
    async with operator.registrar() as registrar:
        await registrar.silence("MY-CUSTOMS")
    file = await approval(operator, "MY-CUSTOMS", "mended")
    world.memory.faults = away
    async with operator.registrar() as registrar:
        with pytest.raises(ExchangeUnreachable):
            await registrar.readmit(file)
        assert world.memory.grants["MY-CUSTOMS#1"] == frozenset()
        world.memory.faults = None
        back = await registrar.readmit(file)
        assert (back.status, back.version, back.reason, back.readmission) == ("active", suspended.version + 1, "mended", file)
        assert world.memory.grants["MY-CUSTOMS#1"] == frozenset(agency_grants("MY-CUSTOMS", 1))
        assert world.memory.quotas["MY-CUSTOMS#1"] == Quota()
        before = len(entries(world))
        assert await registrar.readmit(file) == back
        assert len(entries(world)) == before
    entry = (await operator.admit(request(world, "MY-CUSTOMS"), ["GULF"])).entry
    assert (entry.communities, entry.readmission, entry.suspension) == (("GULF",), file, suspended.version)
    assert (await world.learn()).directory.agencies["MY-CUSTOMS"] == entry


async def readmission_refused(world: World, file: Readmission) -> str:
    """The code; nothing is written, and no right is given."""
    before = entries(world)
    async with world.exchange.operator.registrar() as registrar:
        with pytest.raises(RefusedError) as caught:
            await registrar.readmit(file)
    assert entries(world) == before
    assert world.memory.grants[f"{file.agency}#1"] == frozenset()
    assert caught.value.refusal.advice
    return caught.value.refusal.code


async def test_nobody_comes_back_without_two_officers(world: World) -> None:
    """No officer, one, the suspended agency's own, a suspended one's, a statement that was altered after it was signed, one for another
    exchange, and the approval of an earlier suspension: each is refused, and the agency stays out."""
    operator = world.exchange.operator
    await world.exchange.join("TH-CUSTOMS", "customs")
    await suspend(operator, "MY-CUSTOMS")
    old = await approval(operator, "MY-CUSTOMS")
    await reinstate(operator, "MY-CUSTOMS")
    await suspend(operator, "MY-CUSTOMS")
    assert await readmission_refused(world, old) == "OTHER_SUSPENSION"
    for by in ([], ["SG-CUSTOMS"], ["SG-CUSTOMS", "MY-CUSTOMS"]):
        assert await readmission_refused(world, await approval(operator, "MY-CUSTOMS", by=by)) == "TOO_FEW_OFFICERS"
    good = await approval(operator, "MY-CUSTOMS", by=["SG-CUSTOMS", "TH-CUSTOMS"])
    assert await readmission_refused(world, replace(good, reason="whatever the operator likes")) == "BAD_SIGNATURE"
    directory = Directory.trusting((await world.learn()).directory.registrar.spki, "other.exchange", "test")
    elsewhere = approved_by(replace(good, signatures=()), directory, *masters(operator, "SG-CUSTOMS", "TH-CUSTOMS"))
    assert await readmission_refused(world, elsewhere) == "BAD_SIGNATURE"
    await suspend(operator, "TH-CUSTOMS")
    assert await readmission_refused(world, good) == "TOO_FEW_OFFICERS"
    await reinstate(operator, "TH-CUSTOMS")  # by AE-CUSTOMS and SG-CUSTOMS
    async with operator.registrar() as registrar:
        assert (await registrar.readmit(good)).status == "active"


async def test_only_the_bundle_s_officers_readmit(world: World) -> None:
    """Where the bundle in force names officers, the registrar carries no approval of anybody else."""
    operator = world.exchange.operator
    await world.exchange.join("TH-CUSTOMS", "customs")
    await change(operator, shipped_files(stop=NO_PARTIES))  # its officers are SG-CUSTOMS and MY-CUSTOMS
    await suspend(operator, "AE-CUSTOMS")
    other = await approval(operator, "AE-CUSTOMS", by=["SG-CUSTOMS", "TH-CUSTOMS"])
    assert await readmission_refused(world, other) == "TOO_FEW_OFFICERS"
    async with operator.registrar() as registrar:
        assert (await registrar.readmit(await approval(operator, "AE-CUSTOMS", by=["SG-CUSTOMS", "MY-CUSTOMS"]))).status == "active"


async def test_who_is_not_suspended_is_not_readmitted(world: World) -> None:
    """A file about a member that is active, and an agency that is none, are errors that change nothing."""
    before = entries(world)
    async with world.exchange.operator.registrar() as registrar:
        with pytest.raises(UsageError, match="not suspended"):
            await registrar.readmit(propose("MY-CUSTOMS", 3, NOW, "x"))
        with pytest.raises(UsageError, match="not a member"):
            await registrar.readmit(propose("FR-CUSTOMS", 3, NOW, "x"))
        with pytest.raises(UsageError, match="not a member"):
            await registrar.suspend("FR-CUSTOMS", "x")
    assert entries(world) == before


async def test_suspended_agency_gets_no_rights_by_a_new_admission(world: World) -> None:
    """Repeating the admission of a suspended agency leaves it suspended, at Kafka too; into another community as well, and an approval
    that was signed before still ends this suspension."""
    operator = world.exchange.operator
    suspended = await suspend(operator, "MY-CUSTOMS")
    file = await approval(operator, "MY-CUSTOMS")
    admission = await operator.admit(request(world, "MY-CUSTOMS"), ["GULF"])
    assert (admission.entry.status, admission.entry.suspension) == ("suspended", suspended.version)
    assert world.memory.grants["MY-CUSTOMS#1"] == frozenset()
    assert world.memory.quotas["MY-CUSTOMS#1"] == Quota(fetch_bytes=64)
    async with operator.registrar() as registrar:
        assert (await registrar.readmit(file)).communities == ("GULF",)


async def test_a_suspension_by_an_earlier_program_gets_its_number(world: World) -> None:
    """An entry without a number is read as ever; suspended once more, the agency needs two officers from then on."""
    operator = world.exchange.operator
    known = (await world.learn()).directory
    entry = replace(known.agencies["MY-CUSTOMS"], status="suspended", reason="long ago", version=known.version + 1)
    signer = operator.files.registrar()
    unsigned = unsigned_agency(entry, signer, known.exchange_id, known.environment)
    outlet = await operator.transport("registrar").outlet()
    await (await outlet.send(Outgoing(DIRECTORY, b"agency/MY-CUSTOMS", unsigned.signed(signer.sign_now(unsigned.to_be_signed)))))
    again = await suspend(operator, "MY-CUSTOMS")
    assert (again.suspension, again.since_ms) == (entry.version + 1, entry.since_ms)
    assert (await reinstate(operator, "MY-CUSTOMS")).status == "active"


async def test_creating_again_changes_nothing(world: World) -> None:
    """The exchange's own records are written once; rights that somebody added to the relay are taken away again."""
    before = [len(world.memory.records(topic)) for topic in (DIRECTORY, POLICY, SCHEMAS)]
    world.memory.grant([Grant("relay", "WRITE", "TOPIC", DIRECTORY)])
    await world.exchange.operator.create()
    assert [len(world.memory.records(topic)) for topic in (DIRECTORY, POLICY, SCHEMAS)] == before
    assert Grant("relay", "WRITE", "TOPIC", DIRECTORY) not in world.memory.grants["relay"]


async def test_other_number_of_shards_is_refused(world: World) -> None:
    """The number of shards never changes."""
    operator = world.exchange.operator
    async with operator.registrar() as registrar:
        with pytest.raises(UsageError):
            await registrar.create(
                shards=2, relay_spkis=[operator.files.relay().spki], bundle=shipped_bundle(), schemas=schema_texts()
            )  # fmt: skip


async def test_new_relay_key_is_announced(world: World) -> None:
    """Another relay key makes the exchange's next entry; both keys then sign slips that readers believe."""
    operator = world.exchange.operator
    keys = [operator.files.relay().spki, key("second relay").spki]
    async with operator.registrar() as registrar:
        directory = await registrar.create(shards=1, relay_spkis=keys, bundle=shipped_bundle(), schemas=schema_texts())
    assert directory.relay_key(key("second relay").kid) is not None
    assert directory.relay_key(operator.files.relay().kid) is not None


async def test_registrar_stops_at_a_bad_directory(world: World) -> None:
    """A directory with a record that nobody signed is a case for an auditor: the registrar writes nothing on top of it."""
    await world.slip_in("SG-CUSTOMS", b"x")
    world.memory.log((DIRECTORY, 0)).entries.append(world.memory.log(("in.SG-CUSTOMS", 0)).entries[-1])
    before = entries(world)
    with pytest.raises(BrokerError, match="bad entry"):
        await world.exchange.operator.admit(request(world, "TH-CUSTOMS"))
    assert entries(world) == before


async def test_bad_community_is_refused_first(world: World) -> None:
    """A community's name is checked before anything is made."""
    with pytest.raises(UsageError):
        await world.exchange.operator.admit(request(world, "TH-CUSTOMS"), ["stce asean"])
    assert "out.TH-CUSTOMS" not in world.memory.specs


async def test_joined_agency_works(world: World) -> None:
    """Admission, joining and publishing, end to end, with the rights that the admission gave and no others."""
    made: LocalAgency = await world.exchange.join("TH-CUSTOMS", "customs", ["STCE-ASEAN"])
    assert (await made.publish(world.alert(1, owner="TH-CUSTOMS"))).outcome == "ACCEPTED"
