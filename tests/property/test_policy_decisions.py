"""Properties of decisions over random members and messages, under the policies that ship and under hostile ones."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ids import KINDS
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.entities import ROLES
from broker.policy.model import AUDIENCE, Distribution, Labels, Member
from tests.unit.policy.shipped import NOW_MS, SECTIONS, bundle, policy_texts, schema_text

COUNTRIES = ("TH", "SG", "AE", "DE")
COMMUNITIES = ("STCE-ASEAN", "EU-LICENSING", "OTHER")
AGENCIES = tuple(f"{country}-A{number}" for country in COUNTRIES for number in range(4))

NAMING = """
@id("names-things") @title("Reads everything that can be read") @basis("test")
forbid (principal, action in Action::"disclose", resource)
when {
  principal in Country::"DE" && resource.originator in Community::"OTHER" && principal.country != resource.originator.country ||
  principal == Agency::"TH-A1" && resource.place.contains(Country::"SG") ||
  Agency::"SG-A2" in principal.country && resource.hsChapters.contains("93") ||
  resource.audienceAgencies.contains(Agency::"AE-A3") && principal in Community::"EU-LICENSING" ||
  resource has validUntil && resource.validUntil <= context.now
};
@id("wide-open") @title("Everybody reads everything") @basis("test")
permit (principal, action in Action::"read", resource);
@id("wide-receive") @title("Everybody receives everything") @basis("test")
permit (principal, action == Action::"receive", resource);
"""
"""Rules that compare in every way Cedar knows, and permits as wide as they can be."""
WIDE = Bundle.from_texts(2, schema_text(), {**policy_texts(), "naming.cedar": NAMING})

lists = st.lists(st.sampled_from(COUNTRIES), max_size=2, unique=True).map(tuple)
groups = st.lists(st.sampled_from(COMMUNITIES), max_size=2, unique=True).map(lambda each: tuple(sorted(each)))
dates = st.none() | st.integers(NOW_MS - 2, NOW_MS + 2)


@st.composite
def exchanges(draw: st.DrawFn) -> dict[str, Member]:
    chosen = draw(st.lists(st.sampled_from(AGENCIES), min_size=2, max_size=12, unique=True))
    return {
        agency: Member(agency, agency[:2], draw(st.sampled_from(KINDS)), draw(groups), draw(st.integers(0, 5)) == 0) for agency in chosen
    }


@st.composite
def messages(draw: st.DrawFn) -> Labels:
    family = draw(st.sampled_from(sorted(SECTIONS)))
    return Labels(
        family=family,
        originator=draw(st.sampled_from(AGENCIES)),
        tlp=draw(st.sampled_from(("CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED"))),
        handling=draw(st.sampled_from(("H0", "H3"))),
        pap=draw(st.sampled_from((None, "RED"))),
        urgency="FLASH",
        onward="NONE",
        purposes=("STC_ENFORCEMENT",),
        legal_basis="NATIONAL",
        countries=tuple(draw(st.lists(st.tuples(st.sampled_from(COUNTRIES), st.sampled_from(sorted(ROLES))), max_size=3))),
        hs_chapters=draw(st.sampled_from(((), ("93",)))),
        category=None,
        free_zone=None,
        sections=(AUDIENCE, *draw(st.lists(st.sampled_from(SECTIONS[family]), unique=True))),
        audience_agencies=tuple(draw(st.lists(st.sampled_from(AGENCIES), max_size=3, unique=True))),
        audience_communities=draw(groups),
        audience_countries=draw(lists),
        valid_until_ms=draw(dates),
        embargo_until_ms=draw(dates),
    )


def _got(distribution: Distribution) -> dict[str, set[str]]:
    return {release.agency: {section for section, _ in release.given} for release in distribution.releases}


@settings(max_examples=60, deadline=None)
@given(exchanges(), messages(), st.sampled_from((bundle(), WIDE)))
def test_answers_shared_between_alike_members_are_their_own(members: dict[str, Member], labels: Labels, by: Bundle) -> None:
    """Asking one of each set of alike members gives what asking Cedar for every member and section gives."""
    originator = Member(labels.originator, labels.originator[:2], "customs", ("OTHER",), False)
    members = {labels.originator: originator, **members}
    decider = Decider(by, members)
    distribution = decider.distribute(labels, NOW_MS)
    answered = [each.agency for each in (*distribution.releases, *distribution.denials)]
    assert sorted(answered) == sorted(agency for agency in members if agency != labels.originator)
    got = _got(distribution)
    wanted = [section for section in labels.sections if section != AUDIENCE]
    for agency in answered:
        readable = {section for section in wanted if decider.explain(agency, f"read:{section}", labels, NOW_MS).allowed}
        receive = decider.explain(agency, "receive", labels, NOW_MS)
        gets = receive.allowed and (not wanted or bool(readable)) and ("core" not in wanted or "core" in readable)
        assert (agency in got) == gets
        if gets:
            assert got[agency] == readable
    for denial in distribution.denials:
        if not decider.explain(denial.agency, "receive", labels, NOW_MS).allowed:
            verdict = decider.explain(denial.agency, "receive", labels, NOW_MS)
            assert (denial.rule, denial.reason) == (verdict.rules[0], verdict.reason)
    assert decider.error_count == 0


@settings(max_examples=60, deadline=None)
@given(exchanges(), messages())
def test_hard_limits_hold_whatever_is_permitted(members: dict[str, Member], labels: Labels) -> None:
    """Even with permits for everything: no audience, nothing to suspended agencies and auditors, RED and STRICT only to the named."""
    distribution = Decider(WIDE, members).distribute(labels, NOW_MS)
    for release in distribution.releases:
        member = members[release.agency]
        assert AUDIENCE not in {section for section, _ in (*release.given, *release.withheld)}
        assert not member.suspended
        assert member.kind != "auditor"
        assert release.agency != labels.originator
        assert labels.tlp not in ("RED", "AMBER_STRICT") or release.agency in labels.audience_agencies
        assert labels.embargo_until_ms is None or labels.embargo_until_ms <= NOW_MS
        if labels.handling == "H3" and release.agency not in labels.audience_agencies:
            assert {"parties", "source"}.isdisjoint(section for section, _ in release.given)


@settings(max_examples=60, deadline=None)
@given(exchanges(), messages(), st.lists(st.integers(NOW_MS - 4, NOW_MS + 4), min_size=1, max_size=8))
def test_memory_never_changes_an_answer(members: dict[str, Member], labels: Labels, moments: list[int]) -> None:
    """At any moments in any order, a decider that remembers answers as a fresh one does."""
    remembering = Decider(WIDE, members)
    for now_ms in moments:
        fresh = Decider(WIDE, members)
        assert remembering.distribute(labels, now_ms) == fresh.distribute(labels, now_ms)
        assert remembering.may_publish(labels, now_ms) == fresh.may_publish(labels, now_ms)


@settings(max_examples=40, deadline=None)
@given(exchanges(), messages())
def test_order_of_members_is_irrelevant(members: dict[str, Member], labels: Labels) -> None:
    """The same members in another order get the same answers in the same order."""
    turned = dict(reversed(members.items()))
    assert Decider(bundle(), turned).distribute(labels, NOW_MS) == Decider(bundle(), members).distribute(labels, NOW_MS)
