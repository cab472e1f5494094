"""What a replica holds true: newest revision first, dates only say from when, nothing old overwrites."""

from __future__ import annotations

import pytest

from broker.families.lifecycles.history import Revision, Standing, SubjectHistory, revision_of, status_at
from tests.support.headings import Signed, at


def decision(number: int, kind: str, effective: str, expires: str | None = None, *, retroactive: bool = False) -> Revision:
    core = {
        "decision_type": kind,
        "effective_at": at(effective),
        "expires_at": at(expires) if expires else None,
        "retroactive": retroactive,
    }
    return revision_of(Signed("licence", number), core, bytes([number]))


def recall(number: int) -> Revision:
    return revision_of(Signed("recall", number), {}, bytes([number]))


GRANT = decision(1, "GRANT", "2026-01-01", "2028-01-01")
REVOKE = decision(3, "REVOKE", "2026-04-01")


def test_a_grant_of_lower_revision_never_overwrites_a_revocation() -> None:
    """However late the grant comes, and whatever date it bears."""
    late = decision(2, "AMEND", "2027-06-01")
    for history in (
        SubjectHistory().merge(GRANT, REVOKE),
        SubjectHistory().merge(REVOKE, GRANT),
        SubjectHistory().merge(REVOKE, late, GRANT),
    ):
        assert history.state == "REVOKED"
        assert status_at(history, at("2027-07-01")) == Standing("REVOKED", 3, standing=False)


def test_a_decision_holds_from_its_date() -> None:
    """Before it takes effect the one before it stands; from that moment on it does."""
    history = SubjectHistory().merge(GRANT, REVOKE)
    assert status_at(history, at("2025-12-31")) == Standing("UNPUBLISHED", 0, standing=False)
    assert status_at(history, at("2026-01-01")) == Standing("GRANTED", 1, standing=True)
    assert status_at(history, at("2026-04-01") - 1) == Standing("GRANTED", 1, standing=True)
    assert status_at(history, at("2026-04-01")) == Standing("REVOKED", 3, standing=False)


def test_a_newer_decision_overtakes_one_that_was_still_to_come() -> None:
    """A revocation announced for April, taken back by an amendment in March, never takes effect: the issuer's revision orders."""
    history = SubjectHistory().merge(GRANT, decision(2, "REVOKE", "2026-04-01"), decision(3, "AMEND", "2026-03-10", "2028-01-01"))
    assert status_at(history, at("2026-03-01")).state == "GRANTED"
    assert status_at(history, at("2026-05-01")) == Standing("AMENDED", 3, standing=True)


def test_backdated_and_retroactive() -> None:
    """A revocation may take effect before it was published; an annulment holds from the beginning."""
    backdated = SubjectHistory().merge(GRANT, decision(2, "REVOKE", "2026-02-01"))
    assert status_at(backdated, at("2026-02-15")).state == "REVOKED"
    annulled = SubjectHistory().merge(GRANT, decision(2, "ANNUL", "2026-05-01", retroactive=True))
    assert status_at(annulled, at("2026-01-02")) == Standing("ANNULLED", 2, standing=False)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("GRANT", "GRANTED", "EXPIRED"),
        ("SUSPEND", "SUSPENDED", "EXPIRED"),
        ("REVOKE", "REVOKED", "REVOKED"),
        ("DENY", "DENIED", "DENIAL_LAPSED"),
    ],
)
def test_what_ends_by_itself(kind: str, before: str, after: str) -> None:
    """A licence expires at its expires_at, also a suspended one; what was ended before stays as it was."""
    history = SubjectHistory().merge(decision(1, kind, "2026-01-01", "2026-07-01"))
    assert status_at(history, at("2026-07-01") - 1).state == before
    found = status_at(history, at("2026-07-01"))
    assert (found.state, found.standing) == (after, False)


@pytest.mark.parametrize(
    ("effective", "last"), [("2024-02-29", "2027-02-28"), ("2026-03-01", "2029-03-01"), ("2025-03-01", "2028-03-01")],
)  # fmt: skip
def test_a_denial_lapses_after_three_years_of_the_calendar(effective: str, last: str) -> None:
    """Over leap years too, unless it was renewed, and then three years after that."""
    history = SubjectHistory().merge(decision(1, "DENY", effective))
    assert status_at(history, at(last) - 1).state == "DENIED"
    assert status_at(history, at(last)).state == "DENIAL_LAPSED"
    renewed = history.merge(decision(2, "DENY_REVIEW", "2026-12-01"))
    assert status_at(renewed, at(last)).state == "DENIAL_RENEWED"
    assert status_at(renewed, at("2029-12-01")).state == "DENIAL_LAPSED"


def test_a_recall_is_the_last_word() -> None:
    """Seen first, last or in between, and even against a revision that claims to be newer: content that was recalled is not used."""
    for order in ((GRANT, REVOKE, recall(4)), (recall(4), GRANT, REVOKE), (recall(4),), (recall(2), GRANT, REVOKE)):
        history = SubjectHistory().merge(*order)
        assert history.state == "RECALLED"
        assert status_at(history, at("2026-06-01")).standing is False
    assert SubjectHistory().merge(recall(4)).family == "recall"
    assert SubjectHistory().merge(recall(4), GRANT).family == "licence"


def test_seizures_have_two_states() -> None:
    """Report and goods are both read off the set, and both are recalled."""
    cores = [("PRELIMINARY", "DETENTION"), ("CONFIRMED", "SEIZURE"), ("FINAL", "FORFEITURE")]
    seen = [
        revision_of(Signed("seizure", number), {"stage": stage, "event_type": event}, bytes([number]))
        for number, (stage, event) in enumerate(cores, 1)
    ]
    assert SubjectHistory().merge(*reversed(seen)).state == "FINAL+FORFEITED"
    assert SubjectHistory().merge(seen[2]).state == "FINAL+FORFEITED"
    assert SubjectHistory().merge(*seen, recall(4)).state == "RECALLED+RECALLED"


def test_an_alert_ends_with_its_validity() -> None:
    """Past valid_until it does not stand."""
    alert = revision_of(Signed("alert", 1, valid_until=at("2026-05-01")), {}, b"a")
    history = SubjectHistory().merge(alert)
    assert status_at(history, at("2026-04-30")) == Standing("ISSUED", 1, standing=True)
    assert status_at(history, at("2026-05-01")) == Standing("EXPIRED", 1, standing=False)


def test_two_messages_of_one_revision_are_noticed_and_the_stricter_holds() -> None:
    """The relay lets no such pair pass. Who sees one nevertheless holds the one that allows less, whichever came first."""
    grant, revoke = decision(2, "AMEND", "2026-01-01"), Revision(2, "licence", b"\xff", "REVOKE")
    for history in (SubjectHistory().merge(grant, revoke), SubjectHistory().merge(revoke, grant)):
        assert history.disputed
        assert history.state == "REVOKED"
        assert status_at(history, at("2026-06-01")).state == "REVOKED"
    assert not SubjectHistory().merge(GRANT, REVOKE).disputed
    for leaf in range(1, 200):
        one, other = Revision(2, "licence", bytes([leaf]), "SUSPEND"), Revision(2, "licence", bytes([200 - leaf, 0]), "EXPIRE")
        last = max(one, other, key=lambda each: each.leaf)
        assert SubjectHistory().merge(one, other).state == {"SUSPEND": "SUSPENDED", "EXPIRE": "EXPIRED"}[last.move]
    assert SubjectHistory().newest() is None
