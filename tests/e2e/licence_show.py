"""A licence's life at three agencies: ``python -m tests.e2e.licence_show [--long]``.

Granted, suspended, reinstated, partly used, revoked; after each step `broker licence show` at two customs services and at the authority,
as they print it. Then how soon a live alert is flagged: from the relay's admission, by its clock, to the row in the recipient's register,
while `broker register follow` keeps that.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from broker.storage.home import AgencyHome
from tests.e2e.licence_life import NUMBER, READERS, Scene, alert, decision, licence_scene, licence_subject, usage
from tests.e2e.program import Json, write_jsonl
from tests.e2e.report import Report
from tests.support.records import container_number

WATCHER: Final = "MY-CUSTOMS"
RATE: Final = 4.0
"""Messages a second: far enough apart that each is seen by itself, unless the machine is very busy."""
LIMIT_MS: Final = 1000
_OTHER: Final = "0900"
_LOOK_S: Final = 0.001


@dataclass(frozen=True)
class Step:
    """What happens, and what each agency must then see."""

    what: str
    message: Json
    status: str
    remaining: str
    flags: tuple[str, ...]
    """Of the alert that cites the licence."""
    instruction: str | None = None


def steps() -> list[Step]:
    """The life of the licence."""
    hold, back = "HOLD", "RETURN"
    return [
        Step("granted: four presses", decision("GRANT", 1), "VALID", "4", ()),
        Step("suspended, shipments on their way are held",
             decision("SUSPEND", 2, shipments_in_transit_instruction=hold), "SUSPENDED", "4", ("LICENCE_SUSPENDED",), hold),
        Step("reinstated", decision("REINSTATE", 3, final_assessment="cleared"), "VALID", "4", ()),
        Step("partly used: Singapore's customs write off one and a half", usage("1.5"), "VALID", "2.5", ()),
        Step("revoked, shipments on their way go back",
             decision("REVOKE", 4, shipments_in_transit_instruction=back), "REVOKED", "2.5", ("LICENCE_REVOKED",), back),
    ]  # fmt: skip


def show_life(report: Report, scene: Scene, *, told: bool) -> None:
    """Each step at the three agencies; ``told``: also as people see it."""
    report.title("1. A licence's life at three agencies")
    for agency in READERS:  # from here on what an agency publishes comes into its own register too
        scene.licence(agency, code=1)
    scene.publish(alert())
    rows: list[tuple[object, ...]] = []
    revision = 0
    for step in steps():
        scene.publish(step.message)
        revision = step.message["revision"] if step.message["subject"] == licence_subject() else revision
        report.say("", f"-- {step.what}")
        seen: list[Any] = []
        fresh: list[bool] = []
        for agency in READERS:
            if told:
                report.say(f"$ broker licence show 2026-{NUMBER} --as {agency}", scene.shown(agency).rstrip())
            found = scene.licence(agency)
            seen.append((found["status"], found["items"][0]["remaining"], found["instruction"]))
            fresh.append(found["revision"] == revision and found["reachable"] is True and found["as_of"] >= found["admitted_at"])
        (standing,) = scene.alerts("--container", "CSQU3054383")
        flags = tuple(flag["code"] for flag in standing["flags"])
        rows.append((step.what, *(f"{status} {left}" for status, left, _ in seen), ", ".join(flags) or "-"))
        same = seen == [(step.status, step.remaining, step.instruction)] * len(READERS)
        report.check(f"all three say {step.status}, {step.remaining} left; the alert's flags are {', '.join(flags) or 'none'}",
                     holds=same and flags == step.flags)  # fmt: skip
        report.check(f"each answers from revision {revision}, as of a time after its admission, with Kafka reached", holds=all(fresh))
    for command in (("alert", "find", "--container", "CSQU3054383"), ("register", "flags")) if told else ():
        ran = scene.call(*command, "--as", WATCHER)
        report.say("", f"$ broker {' '.join(command)} --as {WATCHER}", (ran.out + ran.err).rstrip())
    report.say("")
    report.table(("step", *READERS, f"flags of the alert at {WATCHER}"), rows)


# ── how soon ────────────────────────────────────────────────────────────────────────────────────────────────────────────


OVERTAKEN: Final = -1
"""The next one was here before this one was seen: no time can be told."""
_DECIDED: Final = (
    "SELECT revision, admitted_at, (SELECT COUNT(*) FROM flag WHERE code = 'LICENCE_SUSPENDED' AND subject = ?) "
    "FROM licence WHERE licence_no = ?"
)
_ALERTED: Final = (
    "SELECT admitted_at, (SELECT COUNT(*) FROM flag WHERE code = 'LICENCE_SUSPENDED' AND flag.subject = subject.subject) "
    "FROM subject WHERE subject = ?"
)
_STANDING: Final = "SG-CUSTOMS/2026/900"


@dataclass
class Looking:
    """The register's file as another process sees it, asked every millisecond. Each look is one statement: what is read belongs
    together."""

    sql: sqlite3.Connection

    def until(self, there: Callable[[], int | None], timeout_s: float = 60.0) -> int:
        """Milliseconds between the admission that ``there`` gives, once it gives one, and now; OVERTAKEN as it says so."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            admitted_at = there()
            if admitted_at is not None:
                return OVERTAKEN if admitted_at == OVERTAKEN else round(time.time() * 1000) - admitted_at
            time.sleep(_LOOK_S)
        raise AssertionError(f"nothing came within {timeout_s:g} s")

    def decided(self, revision: int, *, flagged: bool) -> int | None:
        """When the decision was admitted, once it is here and the alert's flag is as it must be."""
        row = self.sql.execute(_DECIDED, (_STANDING, f"2026-{_OTHER}")).fetchone()
        if row is None or row[0] < revision:
            return None
        if row[0] > revision:
            return OVERTAKEN
        assert row[2] == flagged, f"revision {revision} is here, and the alert has {row[2]} flags"
        return row[1]

    def alerted(self, subject: str) -> int | None:
        """When the alert was admitted, once it and its flag are here."""
        row = self.sql.execute(_ALERTED, (subject,)).fetchone()
        if row is None:
            return None
        assert row[1] == 1, f"{subject} is here, and has no flag"
        return row[0]


def delays(scene: Scene, looking: Looking, messages: Sequence[Json], agency: str, there: Callable[[Json], int | None]) -> list[int]:
    """Publish at a steady rate, and watch each arrive."""
    file = write_jsonl(scene.program.folder / f"timed-{next(scene.program.numbers)}.jsonl", messages)
    home = scene.exchange.home
    with scene.program.started("publish", file, "--as", agency, "--rate", str(RATE), "--home", home, "--json") as publishing:
        found = [looking.until(lambda message=message: there(message)) for message in messages]
        assert {line["outcome"] for line in publishing.wait().must().lines} == {"accepted"}
    return found


def show_delays(report: Report, scene: Scene, runs: int) -> None:
    """From admission to flag, both ways about."""
    report.title("2. How soon a live alert is flagged (from admission by the relay to the row in the register, each message by itself)")
    scene.publish(decision("GRANT", 1, number=_OTHER))
    scene.publish(alert(name="900", number=_OTHER, container=container_number("MSKU", 900)))
    scene.alerts("--container", container_number("MSKU", 900))
    path = AgencyHome(scene.exchange.home, WATCHER).register_store
    with (
        scene.program.started("register", "follow", "--as", WATCHER, "--home", scene.exchange.home),
        closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as sql,
    ):
        looking = Looking(sql)
        kinds = [("SUSPEND", {"shipments_in_transit_instruction": "HOLD"}), ("REINSTATE", {"final_assessment": "cleared"})] * runs
        decisions = [decision(kind, revision, number=_OTHER, **core) for revision, (kind, core) in enumerate(kinds, 2)]
        decisions += [decision("SUSPEND", len(decisions) + 2, number=_OTHER, shipments_in_transit_instruction="HOLD")]

        def decided(message: Json) -> int | None:
            suspended = message["sections"]["core"]["decision_type"] == "SUSPEND"
            return looking.decided(message["revision"], flagged=suspended)

        first = delays(scene, looking, decisions, "DE-BAFA", decided)
        stopped, freed = first[::2], first[1::2]
        alerts = [alert(name=f"9{n:03}", number=_OTHER, container=container_number("MSKU", 1000 + n)) for n in range(runs)]
        alerted = delays(scene, looking, alerts, "SG-CUSTOMS", lambda message: looking.alerted(message["subject"]))
    # The first of the first row waits for `register follow` to have started, and is told apart.
    rows = [
        ("a suspension reaches a register with the alert: flagged", *_figures(stopped[1:])),
        ("a reinstatement: the flag is gone", *_figures(freed)),
        ("an alert comes that cites a suspended licence: flagged", *_figures(alerted)),
    ]
    report.table(("what", "seen", "p50 ms", "max ms", "overtaken"), rows)
    report.say(f"the first suspension, published while `register follow` was starting: {stopped[0]:,} ms")
    worst = max(*stopped[1:], *freed, *alerted)
    report.check(f"every one within one second, the slowest after {worst} ms", holds=worst < LIMIT_MS)


def _figures(found: Sequence[int]) -> tuple[int, int, int, int]:
    seen = sorted(each for each in found if each != OVERTAKEN)
    return len(seen), seen[len(seen) // 2], seen[-1], len(found) - len(seen)


def run(folder: Path, *, runs: int, told: bool = True) -> Report:
    """The whole show."""
    report = Report()
    with licence_scene(folder) as scene:
        show_life(report, scene, told=told)
        show_delays(report, scene, runs)
    return report


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.licence_show", description="a licence's life at three agencies")
    parser.add_argument("--long", action="store_true", help="a hundred times each, not twenty")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="licence-") as folder:
        return run(Path(folder), runs=100 if given.long else 20).end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
