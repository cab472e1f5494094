"""What an agency does with what it holds: whether it may read a message again, or find it in a search, for a purpose.

The relay decided that the agency received the message, from labels and audience. The agency does not know the audience; what it knows is
the signed header, and by the verified slip that it was entitled. So the action alone is asked, of labels that name the agency itself.

What the agency has by the owner's consent alone is bound to the purposes consented to; the slip says which sections, and for what. It is
shown for one of these purposes, and not at all where no purpose is given.

An embargo is no label here: before its end the relay delivers to nobody but members of an operation that is addressed, so whoever holds the
message has it in spite of the embargo, and which operation was addressed is in the audience.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, cast

from broker.envelope.header import Header
from broker.exchange.decide import labels_of
from broker.ids import uuid_text
from broker.policy.decide import Decider
from broker.policy.model import CORE, DEFAULT_DENY, Labels, Verdict
from broker.register.rows import SubjectRow

Use = Literal["search", "replay"]
"""Finding a message in the register, and reading what lies in the inbox."""

RULES_UNKNOWN: Final = "rules-not-known"
"""The rule of a no because the rules in force could not be read."""

BOUND: Final = "consented-for-its-purposes"
"""The rule of a no because the owner consented for other purposes."""
OTHER_PURPOSE: Final = "not-a-purpose-of-it"
"""The rule of a no because the signed header does not name the purpose."""
KEPT_BOUND: Final = "bound"
"""Where a register keeps, beside the labels, what is bound to purposes."""

Bound = Mapping[str, Sequence[str]]
"""Sections that are bound to purposes, with these."""

NOTHING_BOUND: Final[Bound] = {}

_NOBODYS: Final = Labels(
    family="", originator="", tlp="", handling="", pap=None, urgency="", onward="NONE", purposes=(), legal_basis="", countries=(),
    hs_chapters=(), category=None, free_zone=None, sections=(), audience_agencies=(), audience_communities=(), audience_countries=(),
    valid_until_ms=None, embargo_until_ms=None,
)  # fmt: skip
_ELSEWHERE: Final = frozenset({
    "family", "originator", "tlp", "handling", "urgency", "valid_until_ms",
    "audience_agencies", "audience_communities", "audience_countries", "embargo_until_ms", "consents",
})  # fmt: skip
"""Labels with a column of their own in a register, and those that a holder does not know."""
KEPT: Final = tuple(each.name for each in fields(Labels) if each.name not in _ELSEWHERE)
"""The labels that a register keeps beside its columns: all others."""
_NOT_KNOWN: Final = Verdict(
    False, (RULES_UNKNOWN,), (), "the rules in force could not be read, and without them nothing is shown for a purpose: "
    "try again when the exchange is up",
)  # fmt: skip
_NOT_ASKED: Final = Verdict(True, (), (), "no purpose was given, so no rule was asked")
_UNLABELLED: Final = Verdict(
    False, (DEFAULT_DENY,), (), "its purposes are not known here: it was kept by an earlier version of the program"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Withheld:
    """All that is told of a message that an agency holds and may not use for a purpose: that it is there, and why it is not shown.

    Times are Unix milliseconds; ``rule`` decided, ``reason`` is a sentence for people.
    """

    message_id: str
    family: str
    originator: str
    subject: str
    issued_at: int
    admitted_at: int
    valid_until: int | None
    rule: str
    reason: str

    @classmethod
    def of_row(cls, row: SubjectRow, verdict: Verdict) -> Withheld:
        """A subject of the register."""
        dates = row.issued_at, row.admitted_at, row.valid_until
        return cls(row.message_id, row.family, row.originator, row.subject, *dates, verdict.rules[0], verdict.reason)

    @classmethod
    def of_header(cls, header: Header, admitted_at: int, verdict: Verdict) -> Withheld:
        """A delivery; ``admitted_at`` is its slip's."""
        dates = header.issued_at, admitted_at, header.valid_until
        message_id = uuid_text(header.message_id)
        return cls(message_id, header.family, header.originator, header.subject, *dates, verdict.rules[0], verdict.reason)


def labels_held(header: Header, agency: str) -> Labels:
    """The labels of a message that ``agency`` holds, the agency itself being all that is known of the audience."""
    audience = {"agencies": [agency], "communities": [], "countries": []}
    return replace(labels_of(header, audience), embargo_until_ms=None)


def labels_text(header: Header, bound: Bound | None = None) -> str:
    """The labels that a register keeps of a message beside the columns it has anyway (JSON, without what is empty), and what is bound."""
    labels = labels_of(header, {"agencies": [], "communities": [], "countries": []})
    kept = {name: value for name in KEPT if (value := getattr(labels, name)) not in (None, (), "")}
    if bound:
        kept[KEPT_BOUND] = {section: list(purposes) for section, purposes in bound.items()}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def bound_kept(row: SubjectRow) -> Bound:
    """What is bound of a subject in a register."""
    return json.loads(row.labels).get(KEPT_BOUND, {}) if row.labels else {}


def labels_kept(row: SubjectRow, agency: str) -> Labels | None:
    """The labels of a subject in the agency's register, as :func:`labels_held` has them; None where they were not kept."""
    if not row.labels:
        return None
    kept: dict[str, Any] = json.loads(row.labels)
    return replace(
        _NOBODYS,
        **{name: _frozen(value) for name, value in kept.items() if name != KEPT_BOUND},
        family=row.family,
        originator=row.originator,
        tlp=row.tlp,
        handling=row.handling,
        urgency=row.urgency,
        valid_until_ms=row.valid_until,
        audience_agencies=(agency,),
    )


def _frozen(value: Any) -> Any:
    """Lists of a JSON value as tuples."""
    return tuple(_frozen(each) for each in cast("list[Any]", value)) if isinstance(value, list) else value


def usable(
    decider: Decider | None, agency: str, use: Use, labels: Labels | None, now_ms: int, purpose: str | None, bound: Bound = NOTHING_BOUND
) -> Verdict:  # fmt: skip
    """Whether ``agency`` may use a message for ``purpose`` (one of :data:`broker.families.message.PURPOSES`) at ``now_ms`` (Unix ms).

    No where the rules (``decider`` None) or the labels are not known: what cannot be asked is not allowed. Without a purpose no rule is
    asked, and only what is ``bound`` is not shown.
    """
    purposes = bound.get(CORE)
    if purposes and purpose not in purposes:
        reason = f"the owner consented to it for {_listed(purposes)} alone"
        return Verdict(False, (BOUND,), (), reason if purpose else f"{reason}: say what it is read for")
    if purpose is None:
        return _NOT_ASKED
    if decider is None:
        return _NOT_KNOWN
    if labels is None:
        return _UNLABELLED
    if purposes:
        labels = replace(labels, purposes=tuple(purposes))
    elif any(purpose in names for names in bound.values()):
        labels = replace(labels, purposes=(*labels.purposes, purpose))  # a section of it is for that, the others are closed
    return decider.may_use(agency, use, labels, now_ms, purpose)


def closed(
    decider: Decider | None, agency: str, labels: Labels | None, sections: Iterable[str], now_ms: int, purpose: str | None,
    bound: Bound = NOTHING_BOUND,
) -> dict[str, str]:  # fmt: skip
    """Which of these sections, which the agency holds, are not shown, with the rule: what is ``bound`` to other purposes; what is not
    bound, where the purpose is that of a bound section alone; and, where a purpose is given, what a prohibition of the rules in force
    withholds now: an agreement has ended, a denial is past its review. What no rule gives is not closed: that may hang on the audience,
    which the agency does not know.
    """
    sections = tuple(sections)
    shut = {section: BOUND for section in sections if bound.get(section) and purpose not in bound[section]}
    if bound and purpose is not None and labels is not None and CORE not in bound and purpose not in labels.purposes:
        shut |= {section: OTHER_PURPOSE for section in sections if section not in bound}
    if purpose is None or decider is None or labels is None or agency == labels.originator:
        return shut
    asked = [section for section in sections if section not in shut]
    verdicts = {section: decider.may_use(agency, f"read:{section}", labels, now_ms, None) for section in asked}
    return shut | {name: each.rules[0] for name, each in verdicts.items() if not each.allowed and each.rules[0] != DEFAULT_DENY}


def for_another_purpose(header: Header, sections: Iterable[str], purpose: str | None, bound: Bound = NOTHING_BOUND) -> dict[str, str]:
    """Which of these sections are not for ``purpose`` by what is signed alone, header and slip, where the rules in force are not to be had;
    with the rule."""
    core = bound.get(CORE)
    shut: dict[str, str] = {}
    for section in sections:
        purposes = bound.get(section) or core
        if purposes and purpose not in purposes:
            shut[section] = BOUND
        elif not purposes and purpose is not None and purpose not in header.purposes:
            shut[section] = OTHER_PURPOSE
    return shut


def _listed(purposes: Iterable[str]) -> str:
    return " and ".join(purposes)
