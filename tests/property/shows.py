"""State machines and identifiers as tables: ``python -m tests.property.shows histories|identifiers [--long]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from string import digits
from typing import Final

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from broker.families.identifiers.kinds import ALL, KINDS
from tests.e2e.report import Report
from tests.property.test_histories import random_lives
from tests.property.test_identifiers import DRAWN
from tests.property.test_register_machine import random_registers
from tests.unit.families.identifiers.test_detection import SCHEMES, numbers, slips
from tests.unit.families.identifiers.test_examples import DICTIONARY, WRONG

FINDS_ALL: Final = frozenset(name for name, kind in KINDS.items() if kind.single == ALL) | {"legal_entity"}
"""Schemes that find every digit that stands for another digit. An LEI's misses some digits that stand for letters."""


def show_histories(report: Report, *, long: bool) -> None:
    """Random lives over replicas of their state, and random deliveries over whole registers."""
    count = 10_000 if long else 1_000
    report.title(f"State machines: {count:,} random lives of subjects, and {count // (1 if long else 10):,} random histories of a register")
    began = time.monotonic()
    lives = random_lives(count)
    head = ("replicas of", "histories", "revisions", "replicas", "arrivals", "duplicates", "reorderings", "ends", "compared", "disagree")
    seen = (lives.histories, lives.revisions, lives.replicas, lives.arrivals, lives.duplicates, lives.reorderings)
    report.table(head, [("the state", *seen, len(lives.ends), lives.compared, lives.disagreements)])
    report.say("the most frequent ends: " + ", ".join(f"{state} {times:,}" for state, times in lives.ends.most_common(8)))
    report.say(f"{time.monotonic() - began:.0f} s", "")
    began = time.monotonic()
    registers = random_registers(count // (1 if long else 10))
    report.table(
        ("replicas of", "histories", "deliveries", "duplicates", "reorderings", "distinct sets", "disagree"),
        [("the register", *registers)],
    )
    report.say(f"{time.monotonic() - began:.0f} s")
    report.check("every replica that saw the same set ends in the same state, at every time that was asked about",
                 holds=lives.disagreements == registers.disagreements == 0)  # fmt: skip


def show_identifiers(report: Report, *, long: bool) -> None:
    """Each kind: its examples, and what its check digit finds."""
    report.title("Identifiers: examples of the dictionary and of the documents, and one wrong digit")
    rows: list[tuple[object, ...]] = []
    wrong: list[str] = []
    for name, kind in KINDS.items():
        valid = {value for of, value, _ in DICTIONARY if of == name} | set(kind.valid)
        invalid = {value for of, value, *_ in WRONG if of == name} | set(kind.invalid)
        verified, refused = sum(kind.judge(value).valid for value in valid), sum(not kind.judge(value).valid for value in invalid)
        wrong += [name] if verified != len(valid) or refused != len(invalid) else []
        tried, found, fed = single_digits(name) if name in SCHEMES else (0, 0, 0)
        if name in SCHEMES and (name in FINDS_ALL) != (tried == found):
            wrong.append(f"{name}: {tried - found} slips pass")
        share = f"{100 * found / tried:.2f}" if tried else "-"
        rows.append((name, kind.scheme, f"{verified} of {len(valid)}", f"{refused} of {len(invalid)}", fed or "-", tried or "-",
                     tried - found if tried else "-", share, "yes" if name in FINDS_ALL else "no" if tried else "-"))  # fmt: skip
    head = ("kind", "scheme", "valid verified", "invalid refused", "numbers", "digits changed", "passed", "% found", "finds all")
    report.table(head, rows)
    report.say("digits changed: every digit of each number to each of the other nine; passed: the altered number is valid too")
    report.check("examples are as the dictionary says; no wrong digit passes where the scheme finds all", holds=not wrong)
    report.say(*wrong)
    show_exhaustive(report, 1 if long else 20)
    show_drawn(report, 10_000 if long else 500)


def single_digits(name: str) -> tuple[int, int, int]:
    """Altered numbers with one digit changed, how many of them are found, and from how many numbers."""
    tried = found = fed = 0
    for number in numbers(name):
        fed += 1
        for slip, signs, altered in slips(name, number):
            if slip == "single" and signs.isdigit():
                tried += 1
                found += not KINDS[name].judge(altered).valid
    return tried, found, fed


def show_exhaustive(report: Report, stride: int) -> None:
    """Whole number spaces where they are small, or every so-manieth of them."""
    report.say(
        "", "every number there is, where that is few:" if stride == 1 else f"of the numbers there are, where that is few, each {stride}th:"
    )
    cas = [f"{body // 100}-{body % 100:02d}-" for body in range(1_000, 10_000, stride)]
    spaces = {"cas": cas, "ship": [f"{body:06d}" for body in range(0, 1_000_000, 25 * stride)]}
    rows: list[tuple[object, ...]] = []
    for name, stems in spaces.items():
        judge = KINDS[name].judge
        fitting = [[f"{stem}{digit}" for digit in digits if judge(f"{stem}{digit}").valid] for stem in stems]
        right = [each[0] for each in fitting if len(each) == 1]
        tried = found = 0
        for number in right:
            for place in (at for at, sign in enumerate(number) if sign.isdigit()):
                for digit in digits.replace(number[place], ""):
                    tried += 1
                    found += not judge(f"{number[:place]}{digit}{number[place + 1 :]}").valid
        rows.append((name, len(stems), len(right), tried, tried - found, f"{100 * found / tried:.2f}"))
        report.check(f"{name}: each has exactly one check digit", holds=len(right) == len(stems))
    report.table(("kind", "numbers", "with exactly one digit that fits", "digits changed", "passed", "% found"), rows)


def show_drawn(report: Report, examples: int) -> None:
    """What hypothesis finds where the scheme finds all single digits."""
    rows: list[tuple[object, ...]] = []
    for name in sorted(FINDS_ALL):
        counted, passed = _hypothesis(name, examples)
        rows.append((name, counted, passed))
    report.say("")
    report.table(("hypothesis, schemes that find every digit", "examples", "wrong digits accepted"), rows)
    report.check("hypothesis finds no accepted single-digit error where the scheme finds them all", holds=not any(row[2] for row in rows))


def _hypothesis(name: str, examples: int) -> tuple[int, int]:
    counted = passed = 0

    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate])
    @given(st.data())
    def slip(data: st.DataObject) -> None:
        nonlocal counted, passed
        value = data.draw(DRAWN[name])
        right = KINDS[name].judge(value).right or value
        place = data.draw(st.sampled_from([at for at, sign in enumerate(right) if sign.isdigit()]))
        other = data.draw(st.sampled_from([sign for sign in digits if sign != right[place]]))
        counted += 1
        passed += KINDS[name].judge(right[:place] + other + right[place + 1 :]).valid

    slip()
    return counted, passed


SHOWS: Final[Mapping[str, Callable[..., None]]] = {"histories": show_histories, "identifiers": show_identifiers}


def main(arguments: list[str]) -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.property.shows", description="state machines and identifiers as tables")
    parser.add_argument("show", choices=sorted(SHOWS))
    parser.add_argument("--long", action="store_true", help="10,000 histories, and 10,000 examples for each scheme")
    given_ = parser.parse_args(arguments)
    report, begun = Report(), time.monotonic()
    SHOWS[given_.show](report, long=given_.long)
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
