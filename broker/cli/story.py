"""A run of a scenario told to a person: step by step as it happens, and at the end who got what.

Agencies that got the same by the same rule are told of together, and the reasons stand beneath, each in full once. A terminal is
used up to 100 columns; where there is none, there are neither colours nor bars.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from broker.app.scenario.events import Began, Ended, Event, Line, Summary
from broker.app.scenario.script import Actor, Script, Step
from broker.cli.screen import printable
from broker.errors import STEPS
from broker.policy.model import DEFAULT_DENY

WIDTH: Final = 100
_WOULD_TAKE: Final = "; it would take: "
_KIND: Final = re.compile(r"^no rule lets an? .+? (read the|receive this)")
_TIMES: Final = re.compile(r"\{ms ([A-Z0-9-]+)\}")
MESSAGE: Final = "nothing at all"
"""Stands for the whole message in the reasons."""
_FAMILIES: Final = {"alert": "alert", "licence": "licence decision", "seizure": "seizure report"}


class Story:
    """Tells events on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._actors: tuple[Actor, ...] = ()
        self._lines: list[Line] = []
        self._number = 0
        self._told: dict[str, int] = {}
        self._messages: list[list[Line]] = []
        self._turned_away: list[tuple[Step, Line]] = []

    @classmethod
    def on_terminal(cls) -> Story:
        """On standard output: as wide as the terminal, at most 100 columns; 100 where there is no terminal."""
        found = Console(file=sys.stdout, highlight=False)
        width = min(found.width, WIDTH) if found.is_terminal else WIDTH
        return cls(Console(file=sys.stdout, highlight=False, width=width))

    def opening(self, script: Script) -> None:
        """What will be played, and by whom."""
        self._actors = script.actors
        self._say(Text(_clean(script.title), style="bold"))
        self._say(Text(_clean(script.about)))
        table = Table.grid(padding=(0, 2))
        for actor in script.actors:
            communities = f" (community {', '.join(actor.communities)})" if actor.communities else ""
            table.add_row(Text(actor.agency, style="bold"), Text(_clean(actor.called) + communities))
        self._say(table, above=1, indent=2)
        self._say(Text("Starting Apache Kafka on this machine, in a temporary folder ...", style="dim"), above=1)

    def started(self, bootstrap: str) -> None:
        """Kafka answers."""
        self._say(Text(f"Kafka answers at {bootstrap} {self._clock()}. Admitting the agencies, starting the relay ...", style="dim"))

    def enrolled(self) -> None:
        """Everybody is in."""
        text = f"{len(self._actors)} agencies admitted {self._clock()}; each made its own keys, and nobody else has them."
        self._say(Text(text, style="dim"))

    def tell(self, event: Event) -> None:
        """One event of the run."""
        match event:
            case Began(number, step):
                self._lines, self._number = [], number
                head = Text.assemble((f"{number:>2}  {_clean(step.title)}", "bold"))
                self._say(head, above=1)
                self._say(Text(_clean(step.about)), indent=4)
            case Line():
                self._lines.append(event)
            case Ended(step, differences):
                self._ended(step, differences)
            case Summary():
                self._sum_up(event)

    def _ended(self, step: Step, differences: tuple[str, ...]) -> None:
        first, *others = self._lines
        if step.do == "preview":
            self._shares([line for line in self._lines if line.outcome != "refused"], would=True)
        elif step.do == "check":
            self._checked(first)
        elif first.outcome == "accepted" and step.do == "publish":
            self._messages.append(self._lines)
            what = f"{_FAMILIES.get(first.family, first.family)} {first.subject}, revision {first.revision}"
            self._say(_marked(first.agency, f" publishes {what}: ", ("accepted", "green"), f" after {_ms(first)}."), 4, 1)
            self._shares(others, would=False)
            self._legend(others)
        if first.outcome in ("refused", "duplicate"):
            self._turned_away.append((step, first))
            self._away(step, first)
        if step.so and not differences:
            self._say(Text(_clean(_TIMES.sub(self._time, step.so)), style="italic"), 4, int(step.do == "publish"))
        for line in differences:
            self._say(Text(f"NOT AS EXPECTED: {_clean(line)}", style="bold red"), 4)

    def _time(self, found: re.Match[str]) -> str:
        """The time that a sentence of the script asks for."""
        return next((_ms(line) for line in self._lines if line.agency == found[1]), "?")

    def _checked(self, line: Line) -> None:
        """An exit office's answer."""
        good = line.outcome == "valid"
        verdict = "the licence is valid" if good else f"STOP, instruction {line.instruction}"
        source = f" ({line.subject}, revision {line.revision})" if line.subject else ""
        self._say(_marked(f"{line.agency} finds: ", (verdict, "green" if good else "bold red"), f"{source}: {line.reason}."), 4, 1)

    def _away(self, step: Step, line: Line) -> None:
        """Something that got nowhere."""
        if line.outcome == "duplicate":
            text = " as a duplicate, answers with the very same receipt as before, and gives it to nobody a second time."
            self._say(_marked("The relay ", ("recognises it", "green"), text), 4, 1)
            return
        who = line.agency if step.do == "tamper" else "The relay"
        text = f" (check {line.admission_step}, {STEPS[line.admission_step]}): {line.reason}."
        self._say(_marked(f"{who} ", ("refuses it", "red"), ": ", (line.code, "bold"), text), 4, 1)
        if line.place:
            self._say(Text(f"Nobody gets it. Its bytes are kept in quarantine as {line.place}."), 4)

    def _shares(self, lines: list[Line], *, would: bool) -> None:
        """Who gets what: agencies with the same answer side by side."""
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        if not would:
            table.add_column(no_wrap=True, justify="right", style="dim")
        table.add_column(ratio=1)
        for group in _groups(lines):
            names = Text("\n").join(Text(line.agency, style="bold") for line in group)
            times = [] if would else [Text("\n").join(Text(_ms(line)) for line in group)]
            table.add_row(names, *times, _share(group[0], "would get" if would else "gets" if len(group) == 1 else "get"))
        self._say(table, 4, 1)

    def _legend(self, lines: list[Line]) -> None:
        """Why: a sentence for each rule by which somebody receives, and for whatever was kept back."""
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for rule, reason in {line.rule: line.reason for line in lines if line.sections}.items():
            table.add_row(Text(rule, style="dim"), Text(_clean(_lower(reason))))
        for sections, rule, agencies, reason in _kept_back(lines):
            text = f"not to {_and(agencies)}: {self._why(reason)}"
            table.add_row(Text(_and(sections), style="yellow"), Text(text if rule == DEFAULT_DENY else f"{text} ({rule})"))
        if self._number == 1:
            table.add_row(Text(DEFAULT_DENY, style="dim"), Text("what no rule allows is not disclosed"))
        self._say(Text("Why", style="bold"), 4, 1)
        self._say(table, 4)

    def _why(self, reason: str) -> str:
        """A reason; the rules that would have allowed it are told in full once."""
        denied, found, needed = _clean(reason).partition(_WOULD_TAKE)
        if not found:
            return _lower(denied)
        number = self._told.setdefault(needed, self._number)
        if number != self._number:
            return f"{denied}. What the rules allow: see {number}"
        return f"{denied}. What the rules allow: {'; '.join(_lower(each) for each in needed.split('; or: '))}"

    def _sum_up(self, summary: Summary) -> None:
        """Who got what of each message, what was turned away, the counts."""
        self._say(Text("Who got what", style="bold"), above=1)
        self._say(self._matrix(), above=1)
        if self._turned_away:
            self._say(Text("What was turned away", style="bold"), above=1)
            self._say(self._list_turned_away(), above=1)
        counts = (
            f"{summary.published} messages published, {summary.delivered} deliveries, {summary.withheld} sections not disclosed, "
            f"{summary.refused} refused, {summary.duplicates} duplicate, {summary.lost} lost."
        )
        self._say(Text(counts), above=1)
        if summary.ok:
            self._say(_marked(("As expected", "green"), f": all {summary.expectations} things that were compared. {self._clock('Took')}."))
        else:
            self._say(Text(f"{len(summary.differences)} things were NOT as expected:", style="bold red"))
            for line in summary.differences:
                self._say(Text(_clean(line), style="red"), 2)

    def _matrix(self) -> Table:
        """Messages down, agencies across; sections one below the other, so that it fits."""
        narrow = self._console.width < WIDTH
        table = Table(padding=(0, 1, 0, 0) if narrow else (0, 1), show_edge=False, show_lines=True, pad_edge=False)
        table.add_column("message")
        for actor in self._actors:
            table.add_column(actor.agency.replace("-", "-\n") if narrow else actor.agency, no_wrap=True)
        for lines in self._messages:
            by_agency = {line.agency: line for line in lines}
            head = lines[0]
            name = Text(f"{_FAMILIES.get(head.family, head.family)}\nrevision {head.revision}")
            table.add_row(name, *(_cell(by_agency.get(actor.agency)) for actor in self._actors))
        return table

    def _list_turned_away(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for step, line in self._turned_away:
            where = line.place or ("answered as before" if line.outcome == "duplicate" else "kept at the agency")
            code = line.code or "duplicate"
            table.add_row(Text(_clean(step.title)), Text(line.agency, style="bold"), Text(code), Text(where, style="dim"))
        return table

    def _clock(self, word: str = "after") -> str:
        return f"{word} {time.monotonic() - self._began:.1f} s"

    def _say(self, what: Text | Table, indent: int = 0, above: int = 0) -> None:
        """Print, without the blanks with which the console fills lines up: they only spoil a copy or a file."""
        with self._console.capture() as captured:
            self._console.print(Padding(what, (0, 0, 0, indent), expand=False))
        lines = [line.rstrip() for line in captured.get().splitlines()]
        self._console.file.write("\n" * above + "\n".join(lines) + "\n")
        self._console.file.flush()


def _groups(lines: Iterable[Line]) -> list[list[Line]]:
    """Lines with the same answer together, in order of their first."""
    found: dict[object, list[Line]] = {}
    for line in lines:
        found.setdefault((line.sections, line.withheld, line.rule), []).append(line)
    return list(found.values())


def _share(line: Line, verb: str) -> Text:
    """What one agency gets, what not, and by which rules."""
    if not line.sections:
        return Text.assemble(f"{verb} ", ("nothing", "yellow"), (f" ({line.rule})", "dim"))
    text = Text.assemble(f"{verb} ", (_and(line.sections), "green"), (f" ({line.rule})", "dim"))
    by_rule: dict[str, list[str]] = {}
    for section in line.withheld:
        by_rule.setdefault(line.rules.get(section, ""), []).append(section)
    for rule, sections in by_rule.items():
        text.append("\nnot disclosed: ").append(_and(sections), style="yellow").append(f" ({rule})", style="dim")
    return text


def _kept_back(lines: Iterable[Line]) -> list[tuple[tuple[str, ...], str, tuple[str, ...], str]]:
    """What was kept back: sections, the rule, from which agencies, and a reason that speaks of all these; whole messages last."""
    reasons: dict[tuple[str, str, str], tuple[list[str], str]] = {}
    for line in sorted(lines, key=lambda line: not line.sections):
        each = line.reasons if line.sections else {MESSAGE: line.reason}
        for section in line.withheld if line.sections else (MESSAGE,):
            reason, rule = each.get(section, ""), line.rules.get(section, line.rule)
            same = (section, rule, reason.partition(_WOULD_TAKE)[2] or reason)
            reasons.setdefault(same, ([], reason))[0].append(line.agency)
    merged: dict[tuple[str, str, tuple[str, ...]], tuple[list[str], str]] = {}
    for (section, rule, needed), (agencies, reason) in reasons.items():
        merged.setdefault((rule, needed, tuple(agencies)), ([], reason))[0].append(section)
    rows: list[tuple[tuple[str, ...], str, tuple[str, ...], str]] = []
    for (rule, _needed, agencies), (sections, reason) in merged.items():
        said = _KIND.sub(f"no rule lets {'them' if len(agencies) > 1 else 'it'} \\1", reason)
        rows.append((tuple(sections), rule, agencies, said.replace(f"read the {sections[0]} of", f"read the {_and(sections)} of")))
    return rows


def _cell(line: Line | None) -> Text:
    if line is None:
        return Text("")
    if line.outcome == "accepted":
        return Text("sent it", style="dim")
    if not line.sections:
        return Text("nothing\n", style="yellow").append(line.rule.replace("-", "-\n", 1), style="dim")
    return Text("\n".join(line.sections), style="green")


def _marked(*parts: str | tuple[str, str]) -> Text:
    """Text of plain and styled parts, unprintable characters escaped."""
    return Text.assemble(*(_clean(part) if isinstance(part, str) else (_clean(part[0]), part[1]) for part in parts))


def _clean(text: str) -> str:
    return printable(text)


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _lower(sentence: str) -> str:
    """A sentence as it stands after a colon: names in capitals such as TLP stay."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def _ms(line: Line) -> str:
    return "" if line.elapsed_ms is None else f"{line.elapsed_ms:.0f} ms"
