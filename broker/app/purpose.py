"""A register's answers for a purpose: what the agency may not use for it is taken out, and remembered to be told. Without a purpose only
what the owner's consent binds to some is taken out.

An answer joins several messages: a licence is shown with what others wrote off it and who cites it in vain, an alert with the answers to
it, a flag follows from two or more. Each of these messages is asked for; what follows from one that is withheld is withheld too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Final

from broker.exchange.trace import Trace
from broker.exchange.use import BOUND, Withheld, bound_kept, closed, labels_kept, usable
from broker.policy.decide import Decider
from broker.policy.model import CORE, Verdict
from broker.register import keys
from broker.register.answers import LicenceAnswer, SubjectAnswer
from broker.register.rows import Flag
from broker.storage.register_reader import RegisterReader

_NAMES: Final = frozenset({keys.NAME, keys.LATIN, keys.BARE, keys.PARTY_ID})
KEYS_OF: Final[Mapping[str, frozenset[str]]] = {
    "core": frozenset({keys.DOCUMENT, keys.LICENCE}), "identity": _NAMES | {keys.CONVEYANCE}, "parties": _NAMES, "tenants": _NAMES,
    "equipment": frozenset({keys.CONTAINER, keys.DOCUMENT, keys.CONVEYANCE}), "route": frozenset({keys.CONVEYANCE}),
    "movements": frozenset({keys.CONTAINER, keys.DOCUMENT}), "goods": frozenset({keys.HS, keys.CONTROL}),
}  # fmt: skip
"""What a subject can be found by, by the section that it comes of. One that is not shown is not found by that either, and what another
section says of the same kind is hidden with it."""


class Purposed:
    """What may be shown of one agency's register for ``purpose`` at ``now_ms`` (Unix ms); ``decider`` None: the rules are not known, so
    nothing where there is a purpose. ``withheld`` holds what was asked for and not shown, by subject, each once; ``shut`` the sections that
    were taken out of what is shown, with the rule."""

    def __init__(self, reader: RegisterReader, agency: str, decider: Decider | None, purpose: str | None, now_ms: int) -> None:
        self._reader, self._agency, self._decider = reader, agency, decider
        self._purpose, self._now_ms = purpose, now_ms
        self._usable: dict[str, bool] = {}
        self.withheld: dict[str, Withheld] = {}
        self.shut: dict[tuple[str, str], str] = {}

    @property
    def looked_at(self) -> int:
        """How many messages were asked for, shown or not."""
        return len(self._usable)

    def may(self, subject: str) -> bool:
        """Whether the message about a subject may be searched. For a purpose, what is not there any more may not, and is not told."""
        known = self._usable.get(subject)
        if known is not None:
            return known
        row = self._reader.row(subject)
        if row is None:
            return self._purpose is None
        labels = labels_kept(row, self._agency)
        verdict = usable(self._decider, self._agency, "search", labels, self._now_ms, self._purpose, bound_kept(row))
        self._usable[subject] = verdict.allowed
        if not verdict.allowed:
            self.withheld[subject] = Withheld.of_row(row, verdict)
        return verdict.allowed

    def _may_all(self, subjects: Iterable[str]) -> bool:
        """Whether each of them may; all are asked, so that all that are withheld are told."""
        asked = [self.may(subject) for subject in subjects]
        return all(asked)

    def licence(self, answer: LicenceAnswer) -> LicenceAnswer | None:
        """A licence with what may be shown of it; without its items, where a message that wrote something off is withheld: what is left
        would tell what that message says."""
        if not self.may(answer.subject):
            return None
        row = answer.licence
        counted = self._may_all(self._reader.write_offs(row.number, row.authority))
        if answer.items is not None:
            shut = self._shut(answer.subject, ("items",))
            self._remember(answer.subject, shut)
            counted = counted and "items" not in shut
        return answer._replace(items=answer.items if counted else None, flags=self.flags(answer.flags))

    def _shut(self, subject: str, sections: Iterable[str]) -> dict[str, str]:
        """Which of these sections of a subject are not shown, with the rule."""
        row = self._reader.row(subject)
        if row is None:
            return {}
        return closed(self._decider, self._agency, labels_kept(row, self._agency), sections, self._now_ms, self._purpose, bound_kept(row))

    def _remember(self, subject: str, shut: Mapping[str, str]) -> None:
        self.shut.update({(subject, section): rule for section, rule in shut.items()})

    def subject(self, answer: SubjectAnswer, *, found_by: Set[str] = frozenset()) -> SubjectAnswer | None:
        """A subject with the flags, links and sections that may be shown: what the rules of now withhold is withheld, and what it could be
        found by that comes of it.

        ``found_by``: the kinds of keys that were looked for. Where such a key is withheld, that it was found would tell it.
        """
        row = answer.row
        if not self.may(row.subject):
            return None
        shut = self._shut(row.subject, answer.content)
        hidden = frozenset(kind for section in shut for kind in KEYS_OF.get(section, ()))
        if not hidden.isdisjoint(found_by):
            rule = next(shut[section] for section in sorted(shut) if not KEYS_OF.get(section, frozenset[str]()).isdisjoint(found_by))
            self.withheld[row.subject] = Withheld.of_row(row, Verdict(False, (rule,), (), "what was looked for in it is withheld"))
            return None
        self._remember(row.subject, shut)
        links = tuple(link for link in answer.links if self.may(link[1]))
        return replace(
            answer,
            row=replace(row, withheld=" ".join((*row.withheld.split(), *sorted(shut)))),
            content={name: value for name, value in answer.content.items() if name not in shut},
            keys=tuple(key for key in answer.keys if key.kind not in hidden),
            flags=self.flags(answer.flags),
            links=links,
        )

    def trace(self, trace: Trace) -> Trace:
        """What one recipient of an own subject got, with those of its answers that may be shown."""
        return replace(trace, said=tuple(said for said in trace.said if self.says(said.subject)))

    def flags(self, flags: Iterable[Flag]) -> tuple[Flag, ...]:
        """Those whose whole cause may be used: what is bound to another purpose in one of the messages would show in the flag."""
        return tuple(flag for flag in flags if self._may_wholly(self._causes(flag)))

    def _may_wholly(self, subjects: Iterable[str]) -> bool:
        """Whether each of them may, with all that is in it; all are asked, so that all that are withheld are told."""
        asked = [self._may_whole(subject) for subject in subjects]
        return all(asked)

    def counts(self, subject: str) -> bool:
        """Whether a message may be counted in a figure: it may be searched with its core, and nothing in it is bound to another purpose."""
        return self._may_whole(subject)

    def says(self, subject: str) -> bool:
        """Whether what a message says in its core may be told: it may be searched, and its core is not closed. Found for the purpose of
        another section alone, a message tells that section and nothing of its core."""
        if not self.may(subject):
            return False
        shut = self._shut(subject, (CORE,))
        row = self._reader.row(subject) if shut else None
        if row is not None:
            self.withheld[subject] = Withheld.of_row(row, Verdict(False, (shut[CORE],), (), "its core is withheld"))
        return not shut

    def _may_whole(self, subject: str) -> bool:
        """Whether a message may be searched with its core, and nothing in it is bound to another purpose."""
        if not self.says(subject):
            return False
        row = self._reader.row(subject)
        if row is None or all(self._purpose in purposes for purposes in bound_kept(row).values()):
            return True
        self.withheld[subject] = Withheld.of_row(row, Verdict(False, (BOUND,), (), "some of it is consented to for other purposes"))
        return False

    def _causes(self, flag: Flag) -> list[str]:
        """The subjects a flag follows from; for quantities also the write-offs, which it does not name."""
        causes = [flag.subject, *flag.others]
        if flag.code in ("QUANTITY_OVERDRAWN", "USAGE_UNMATCHED"):
            for authority in flag.addressees:
                causes += self._reader.write_offs(flag.about, authority)
        return causes
