"""What is said of one identifier: right, written oddly, a wrong check digit, or not of its scheme at all.

A verdict is a value and never a repair: ``value`` is what was given, ``right`` and ``normal`` only say what would be expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from broker.values import immutable

Fault = Literal["FORM", "SPELLING", "CHECK"]
"""FORM: not of the scheme. SPELLING: of the scheme, in another way of writing than its normal form. CHECK: the check digit differs."""

SHOWN: Final = 40
"""Most characters of a value that are quoted in a reason."""


@immutable
class Verdict:
    """The verdict on ``value``; ``fault`` is None where it is right.

    ``reason`` says what is wrong; ``right`` is the value with the check digit that would fit, ``normal`` the scheme's normal form,
    each only where it differs from what was given. ``caution``: valid, and discouraged by the scheme. ``notes`` are what a reader
    of the number can tell from it.
    """

    value: str
    fault: Fault | None = None
    reason: str = ""
    right: str | None = None
    normal: str | None = None
    caution: str = ""
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.fault is None


Judge = Callable[[str], Verdict]
"""Judges any text as an identifier of one kind. Never raises."""


def quoted(text: str) -> str:
    """A value as reasons quote it: printable, and not long."""
    sound = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[:SHOWN])
    return f"`{sound}{'…' if len(text) > SHOWN else ''}`"


def malformed(value: str, form: str, *, right: str | None = None) -> Verdict:
    """The verdict FORM; ``form`` says what the scheme wants."""
    return Verdict(value, "FORM", f"{quoted(value)} is not {form}", right=right)


def tidy(text: str, drop: str = " -./") -> str:
    """ASCII text in capitals without separators; any other text as it is. Only to compare with: nothing is stored in this form."""
    return text.translate({ord(sign): None for sign in drop}).upper() if text.isascii() and len(text) <= 2 * SHOWN else text


def plain_form(pattern: str, form: str, *, tidied: Callable[[str], str] = tidy) -> Judge:
    """The judge of a scheme without check digit: a pattern, in words ``form`` ("a UN/LOCODE: ...")."""
    compiled = re.compile(pattern)

    def judge(value: str) -> Verdict:
        if compiled.fullmatch(value):
            return Verdict(value)
        normal = tidied(value)
        if compiled.fullmatch(normal):
            return spelled(Verdict(normal), value)
        return malformed(value, form)

    return judge


@dataclass(frozen=True, slots=True)
class Checked:
    """A scheme with check characters at its end.

    ``pattern`` is the normal form, check characters included; ``right`` gives a text of that form with the check characters that
    fit; ``tidied`` brings other ways of writing to the normal form, so far as that is certain.
    """

    pattern: re.Pattern[str]
    form: str
    right: Callable[[str], str]
    tidied: Callable[[str], str] = tidy
    check_length: int = 1

    def judge(self, value: str) -> Verdict:
        """The verdict on a text."""
        normal = value if self.pattern.fullmatch(value) else self.tidied(value)
        if not self.pattern.fullmatch(normal):
            return malformed(value, self.form)
        verdict = self._checked(normal)
        return verdict if normal == value else spelled(verdict, value)

    def _checked(self, normal: str) -> Verdict:
        right = self.right(normal)
        if right == normal:
            return Verdict(normal)
        given, fits = normal[-self.check_length :], right[-self.check_length :]
        word = "digit" if self.check_length == 1 else "digits"
        reason = f"the check {word} {given} of {quoted(normal)} should be {fits}: {right}"
        return Verdict(normal, "CHECK", reason, right=right)


def spelled(verdict: Verdict, value: str) -> Verdict:
    """The verdict on the normal form, for a value that was written in another way."""
    if verdict.fault is None:
        reason = f"{quoted(value)} is written {verdict.value} in its normal form"
        return replace(verdict, value=value, fault="SPELLING", reason=reason, normal=verdict.value)
    return replace(verdict, value=value, normal=verdict.value)
