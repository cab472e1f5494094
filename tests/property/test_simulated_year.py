"""A year of an exchange, day by day and in seconds: each duty rises once and is then met, replaced or escalated once a rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from broker.families.clocks.arising import withdrawal_duty
from broker.families.clocks.dates import DAY_MS, HOUR_MS
from broker.families.clocks.duty import KINDS, Chain, Contact, Duty, Escalation, escalations, overdue
from broker.families.clocks.settling import take
from broker.families.message import URGENCIES
from broker.values import Correlation
from tests.support.headings import Signed, at

START = at("2027-10-01")
DAYS = 366
HOLDERS = ("MY-CUSTOMS", "AE-CUSTOMS", "DE-BAFA")
CHAIN: Chain = (Contact("duty desk"), Contact("head of desk", 12 * HOUR_MS))
ANSWERS = {
    "FEEDBACK": "feedback",
    "ANSWER_RFI": "rfi_reply",
    "ANSWER_CONSENT": "consent_reply",
    "ANSWER_REACHBACK": "reachback_reply",
    "ANSWER_RECALL": "recall_reply",
    "ANSWER_WITHDRAWAL": "recall_reply",
    "ACKNOWLEDGE": "ack",
}
KEPT = ("R30D", "R1Y", "CASE")


def day_of(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def core_of(family: str, now: int, random: Random) -> dict[str, Any]:
    """A core section as far as clocks read it."""
    due = now + random.randint(1, 20) * DAY_MS
    match family:
        case "alert":
            return {"decision_deadline": random.choice([None, due])}
        case "licence":
            decision = random.choice(["GRANT", "DENY", "SUSPEND"])
            effective = now - random.randint(0, 3 * 365) * DAY_MS
            return {"decision_type": decision, "effective_at": effective, "expires_at": random.choice([None, due])}
        case "entity_watch":
            return {"entity_kind": random.choice(["PERSON", "VESSEL"]), "review_date": day_of(now) + timedelta(days=random.randint(1, 500))}
        case "consent_reply":
            return {"decision": "GRANT", "period_until": due}
        case "licit_movement":
            return {"objection_until": due}
        case "fz_warning":
            return {"transport_mode": random.choice(["SEA", "AIR"])}
        case _:
            return {"due": random.choice([None, due])}


@dataclass
class Year:
    """What one node keeps for every agency together, and a diary of all that happened to each duty."""

    random: Random
    now: int = START
    open: tuple[Duty, ...] = ()
    told: set[Escalation] = field(default_factory=set[Escalation])
    rose: Counter[Duty] = field(default_factory=Counter[Duty])
    rose_at: dict[Duty, int] = field(default_factory=dict[Duty, int])
    met: Counter[Duty] = field(default_factory=Counter[Duty])
    met_at: dict[Duty, int] = field(default_factory=dict[Duty, int])
    dated: dict[Duty, int] = field(default_factory=dict[Duty, int])
    steps: list[tuple[int, Escalation]] = field(default_factory=list[tuple[int, Escalation]])
    newest: dict[str, int] = field(default_factory=dict[str, int])
    families: dict[str, str] = field(default_factory=dict[str, str])

    def deliver(self, header: Signed, sections: dict[str, Any], recipients: Iterable[str]) -> None:
        """A message reaches its recipients."""
        self.newest[header.subject] = max(self.newest.get(header.subject, 0), header.revision)
        for recipient in recipients:
            before = set(self.open)
            settled = take(self.open, header, sections, recipient, self.now, newest=self.newest[header.subject])
            self.rose.update(set(settled.open) - before)
            self.rose_at.update(dict.fromkeys(set(settled.open) - before, self.now))
            self.met.update(settled.discharged)
            self.met_at.update(dict.fromkeys(settled.discharged, self.now))
            self.open = settled.open

    def withdraw(self, subject: str, recipient: str) -> None:
        """The next revision comes to this one without a section: what it owed of the subject is over, and it owes one answer."""
        over = [duty for duty in self.open if (duty.subject, duty.debtor) == (subject, recipient)]
        owed = withdrawal_duty(subject, self.newest[subject] + 1, recipient, self.now)
        self.met.update(over)
        self.met_at.update(dict.fromkeys(over, self.now))
        self.rose[owed] += 1
        self.rose_at[owed] = self.now
        self.open = (*(duty for duty in self.open if duty not in over), owed)

    def publish(self, subject: str, family: str, holders: Iterable[str] = HOLDERS) -> None:
        """The next revision of a subject, complete, to these."""
        revision = self.newest.get(subject, 0) + 1
        sections: dict[str, Any] = {"core": core_of(family, self.now, self.random)}
        if family == "fz_warning":
            left: dict[str, Any] | None = None if revision == 1 else {"moved_at": self.now, "units": []}
            sections["movements"] = {"pairs": [{"inbound": {"moved_at": self.now, "units": [{"id": subject}]}, "outbound": left}]}
        urgency, retention = self.random.choice(URGENCIES), self.random.choice(KEPT)
        header = Signed(family, revision, subject, issued_at=self.now, urgency=urgency, retention=retention)
        self.families[subject] = family
        self.deliver(header, sections, holders)

    def answer(self, duty: Duty) -> None:
        """Its debtor does what it owes."""
        family = ANSWERS[duty.kind]
        links = Correlation(target=duty.subject, target_revision=duty.revision)
        subject = f"{duty.debtor}/A/{len(self.families)}-{len(self.met)}"
        header = Signed(family, 1, subject, duty.debtor, issued_at=self.now, correlation=links)
        core: dict[str, Any] = {"level": "L3", "result": "NO_MATCH", "status": "FULL", "decision": "REFUSE", "answer": "DELETED"}
        self.deliver(header, {"core": core}, ["SG-CUSTOMS"])

    def look(self) -> None:
        """The clock of the day, asked twice: the second time there is nothing new."""
        for step in escalations(self.open, self.now, CHAIN, self.told):
            self.told.add(step)
            self.steps.append((self.now, step))
        assert escalations(self.open, self.now, CHAIN, self.told) == []
        dates = [duty for duty in overdue(self.open, self.now) if duty.escalate_ms is None]
        for duty in dates:
            assert duty not in self.dated
            self.dated[duty] = self.now
        self.open = tuple(duty for duty in self.open if duty not in self.dated)


FAMILIES = (
    "alert", "licence", "rfi", "consent_request", "consent_reply", "reachback", "licit_movement", "entity_watch", "fz_warning", "seizure",
)  # fmt: skip


def lived(subjects: int, seed: int) -> Year:
    """A year in which subjects come on random days, some are revised or recalled, and agencies answer late, early or never."""
    year = Year(Random(seed))
    random = year.random
    births: dict[int, list[str]] = {}
    for number in range(subjects):
        births.setdefault(random.randrange(DAYS - 60), []).append(f"SG-CUSTOMS/{number}")
    silent: set[Duty] = set()
    gone: set[str] = set()
    for day in range(DAYS):
        year.now = START + day * DAY_MS + 8 * HOUR_MS
        for subject in births.get(day, []):
            year.publish(subject, random.choice(FAMILIES))
        for subject, family in list(year.families.items()):
            chance = random.random()
            if subject in gone or chance > 0.006:
                continue
            if chance < 0.001:
                gone.add(subject)
                header = Signed("recall", year.newest[subject] + 1, subject, issued_at=year.now)
                year.deliver(header, {"core": {"due": year.now + 5 * DAY_MS}}, HOLDERS)
            elif chance < 0.002:
                dropped = random.choice(HOLDERS)
                year.withdraw(subject, dropped)
                year.publish(subject, family, [holder for holder in HOLDERS if holder != dropped])
            else:
                year.publish(subject, family)
        for duty in sorted((each for each in year.open if each.kind in ANSWERS and each not in silent), key=lambda each: each.due_ms):
            chance = random.random()
            if duty not in year.open or chance > 0.4:
                continue
            if chance < 0.1:
                silent.add(duty)
            else:
                year.answer(duty)
        year.now += 12 * HOUR_MS
        year.look()
    return year


def look_after(at_ms: int) -> int:
    """The first look at the clock from a time on: each day at 20:00."""
    days = -(-(at_ms - START - 20 * HOUR_MS) // DAY_MS)
    return START + days * DAY_MS + 20 * HOUR_MS


@pytest.mark.parametrize("subjects", [pytest.param(300, id="short"), pytest.param(1000, id="long", marks=pytest.mark.soak)])
def test_a_year_of_duties(subjects: int) -> None:
    """Every duty rises once; it is met, comes as a date, or stays open, and no two of these. Silence is told to the originator when
    due and to each contact at its time, once each and in that order, and to nobody where the duty was met in time."""
    year = lived(subjects, 20271001)
    assert set(year.rose.values()) == {1}
    assert set(year.met.values()) == {1}
    fates = [set(year.met), set(year.dated), set(year.open)]
    assert set().union(*fates) == set(year.rose)
    assert sum(len(fate) for fate in fates) == len(year.rose)
    assert set(KINDS) == {duty.kind for duty in year.rose}

    climbed: dict[Duty, list[tuple[int, int]]] = {}
    for now, step in year.steps:
        climbed.setdefault(step.duty, []).append((step.rung, now))
    ends = year.now
    for duty in year.rose:
        if duty.escalate_ms is None:
            assert duty not in climbed
            assert duty in year.met or (duty in year.dated) == (duty.due_ms <= ends)
            continue
        times = [duty.due_ms, *(duty.escalate_ms + contact.after_ms for contact in CHAIN)]
        looks = [max(look_after(at_ms), look_after(year.rose_at[duty])) for at_ms in times]
        assert climbed.get(duty, []) == [(rung, look) for rung, look in enumerate(looks) if look < year.met_at.get(duty, ends + 1)]
    outcomes = Counter(duty.kind for duty in climbed)
    assert min(outcomes[kind] for kind in ("ACKNOWLEDGE", "FEEDBACK", "ANSWER_RFI", "ANSWER_RECALL", "REVIEW_DENIAL", "LEAVE_ZONE")) > 0
