"""The whole of it as a report for people: ``python -m tests.e2e.shows [--alerts N]``.

A real exchange is started, four agencies enrol from homes of their own, messages made from public records are published and read,
bad input is thrown at it, and a stranger checks a captured delivery. The report goes to standard output, progress to standard error.
The exit code is 0 only if everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.e2e.bad_input import STRANGER, VICTIM, Sent, send_bad_inputs
from tests.e2e.enrolment import SeparateHomes, check_homes_apart, separate_homes
from tests.e2e.program import Json, Watch, write_jsonl
from tests.e2e.report import Report
from tests.e2e.stranger import altered, read_as_stranger, trusted_keys
from tests.e2e.three_homes import Exchanged, critical_alerts, exchange_messages, licences, many_alerts
from tests.e2e.traffic import IDLE_S, Published, subscribe
from tests.support.records import Account, Built, data_folder


def progress(title: str, total: int | None) -> Watch | None:
    """Lines on standard error: one that changes at a terminal, else one every ten seconds."""
    begun = told = time.monotonic()

    def watch(lines: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= (0.2 if sys.stderr.isatty() else 10):
            told = now
            of = f" of {total:,}" if total else ""
            print(f"{title}: {lines:,}{of}, {now - begun:.0f} s", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    return watch


def show_enrolment(report: Report, homes: SeparateHomes) -> None:
    """Who is there, and that their secrets are apart."""
    report.title("1. An exchange, and four agencies enrolled from homes of their own (init, admit, join)")
    ready = homes.exchange.ready
    report.say(f"broker up: ready after {homes.exchange.ready_s:.1f} s, Kafka at {ready['bootstrap']}, one relay worker")
    sides = homes.agencies.values()
    rows = [
        (s.agency, s.kind, ", ".join(s.entry["communities"]) or "-", s.entry["version"], s.request["fingerprint"][:24] + " ...")
        for s in sides
    ]
    report.table(("agency", "kind", "communities", "entry", "fingerprint of its key"), rows)
    same = all(side.request["fingerprint"] == side.entry["fingerprint"] for side in sides)
    registrar = all(side.joined["registrar_fingerprint"] == side.entry["registrar_fingerprint"] for side in sides)
    report.check("the fingerprints that agency and operator read out to each other are the same on both sides", holds=same and registrar)


def show_homes(report: Report, homes: SeparateHomes) -> None:
    """After the traffic: where private keys are."""
    try:
        report.say(*check_homes_apart(homes))
        report.check(
            "no home, and no byte that Kafka keeps, holds a secret of another party; agencies have no operator's files", holds=True
        )
    except AssertionError as error:
        report.check(f"homes are apart: {error}", holds=False)


def show_records(report: Report, alerts: list[Built], decisions: list[Built]) -> None:
    """What is real in the messages."""
    report.title("2. Messages made from public records")
    report.say(
        f"alerts from Korean import declarations:        {Account.of(alerts).told()}",
        f"licence decisions from UK licence statistics:  {Account.of(decisions).told()}",
    )
    example = next(each for each in alerts if "equipment" in each.message["sections"])
    report.say(f"for example {example.subject}:", f"  from the record: {', '.join(example.from_record)}")
    report.say(f"  synthetic:       {', '.join(example.synthetic)}")


def show_exchanged(report: Report, done: Exchanged) -> None:
    """Counts and checks of what was exchanged."""
    report.title("3. Published at two agencies, read at four")
    account = done.account
    report.say("answers: " + ", ".join(f"{name} {count:,}" for name, count in account.outcomes.items()))
    report.say("findings in receipts: " + (", ".join(f"{code} {count:,}" for code, count in account.findings.items()) or "none"))
    agencies = sorted(account.promised | account.delivered)
    rows = [(a, account.promised[a], account.delivered[a], account.withheld[a]) for a in agencies]
    report.table(("agency", "promised by receipts", "delivered", "with sections withheld"), rows)
    report.check("every message was accepted and answered, in the order of the file", holds=set(account.outcomes) == {"accepted"})
    report.check("delivered is exactly what the receipts promised, to each agency", holds=account.promised == account.delivered)
    report.check(f"nothing lost ({account.lost}), nothing twice ({account.duplicates})", holds=account.lost == account.duplicates == 0)
    what = f"revisions of a subject came in order ({account.revised:,} later revisions), sections as policy allows, contents as published"
    report.check(what, holds=not account.wrong)
    report.say(*(f"      {line}" for line in account.wrong[:20]))
    report.check("a second `broker subscribe` goes on where the first ended and prints nothing", holds=not done.again.deliveries)


def rate(count: int, seconds: float) -> str:
    """Per second; a dash where it was over too soon to say."""
    return f"{(count - 1) / seconds:.0f}" if seconds >= 1 else "-"


def admission_s(published: Published) -> float:
    """Seconds from the first to the last admission, by the times in the relay's receipts."""
    times = [datetime.fromisoformat(outcome["admitted_at"]) for outcome in published.outcomes if outcome.get("admitted_at")]
    return (max(times) - min(times)).total_seconds() if times else 0.0


def show_figures(report: Report, homes: SeparateHomes, done: Exchanged, *, at_once: bool) -> None:
    """How fast, and with how much memory."""
    report.say("", "figures (two cores for Kafka, relay, programs and this report"
               f"; {'programs ran at the same time' if at_once else 'one program at a time'}):")  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for each in done.published:
        ran = each.ran
        rows.append(
            (
                f"{each.agency} publishes",
                len(each.outcomes),
                rate(len(each.outcomes), admission_s(each)),
                f"{ran.seconds:.1f}",
                ran.peak_kib // 1024,
            )
        )
    for got in done.subscribed:
        ran = got.ran
        rows.append(
            (
                f"{got.agency} reads",
                len(got.deliveries),
                rate(len(got.deliveries), ran.last_line_s - ran.first_line_s),
                f"{ran.seconds:.1f}",
                ran.peak_kib // 1024,
            )
        )
    report.table(("program", "messages", "per second", "wall s", "peak MB"), rows)
    peaks = [kib // 1024 for kib in homes.exchange.relay_peaks_kib()]
    report.say(
        "per second: publishing, from the first to the last admission by the relay; reading, from the first to the last line printed",
        f"wall: the whole call, with the start of the program and, when reading, {IDLE_S} s of waiting at the end",
    )
    report.check(f"relay worker: {', '.join(map(str, peaks))} MB at the most (VmHWM)", holds=max(peaks) <= 300)


def show_two_views(report: Report, done: Exchanged) -> None:
    """One alert as two recipients see it."""
    report.title("4. One alert, as two recipients see it")
    alert, named, licensing = done.both_see("SG-CUSTOMS", "GB-LICENSING")
    report.say(f"published: {alert.subject} revision {alert.revision}, TLP:{alert.message['header']['tlp']}, "
               f"audience {json.dumps(alert.message['header']['audience'])}")  # fmt: skip
    for agency, seen in (("SG-CUSTOMS (named)", named), ("GB-LICENSING (member of the community)", licensing)):
        report.say("", f"-- {agency}")
        report.say(
            *(f"{name:<13}{json.dumps(value, ensure_ascii=False)}" for name, value in seen.items() if name not in ("header", "sections"))
        )
        report.say(*(f"  header     {name}: {json.dumps(value)}" for name, value in seen["header"].items()))
        report.say(*(f"  section    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in seen["sections"].items()))


def show_bad_input(report: Report, homes: SeparateHomes, decisions: list[Built]) -> None:
    """Bad input, quarantine, and the program's own view of it."""
    report.title(f"5. Bad input in {VICTIM}'s outbox, under its own certificate")
    program, operator = homes.program, homes.exchange.home
    sent = asyncio.run(send_bad_inputs(homes.home(VICTIM), homes.home(STRANGER)))
    rows = {row["place"]: row for row in program.run("quarantine", "list", "--home", operator, "--json").must().lines}
    report.table(("what", "bytes", "step", "code", "place", "receipt"), [_bad_row(each, rows) for each in sent])
    right = all((rows[s.place]["code"], rows[s.place]["step"]) == (s.bad.code, s.bad.step) for s in sent)
    report.check("each is in quarantine under its own code and step", holds=right and len(rows) == len(sent))
    answered = all([(r.outcome, r.code) for r in s.receipts] == [("REFUSED", s.bad.code)] for s in sent)
    report.check("each was answered once, by a signed negative receipt in the inbox of the outbox's owner", holds=answered)
    file = write_jsonl(program.folder / "after.jsonl", [_after(decisions)])
    outcome = program.run("publish", file, "--as", "GB-LICENSING", "--home", homes.home("GB-LICENSING"), "--json").must().line
    alert = program.run("publish", _after_alert(homes), "--as", VICTIM, "--home", homes.home(VICTIM), "--json").must().line
    read = subscribe(homes, STRANGER, "--capture", program.folder / "captured", start="committed")
    names = {(each["subject"], each["revision"]) for each in read.deliveries}
    good = {(each["subject"], each["revision"]) for each in (alert, outcome)}
    told = " and ".join(f"{subject} revision {revision}" for subject, revision in sorted(good))
    report.check(f"the next good messages are delivered: {told}", holds=names == good)
    report.say("", "$ broker quarantine list", program.run("quarantine", "list", "--home", operator).must().out.rstrip())
    report.say("", "$ broker status", program.run("status", "--home", operator).must().out.rstrip())
    chosen = next(each for each in sent if each.bad.code == "COMMITMENT_MISMATCH")
    export = program.folder / "refused.parcel"
    program.run("quarantine", "export", chosen.place, "--out", export, "--home", operator).must()
    report.say("", f"$ broker quarantine export {chosen.place} --out refused.parcel; broker inspect refused.parcel")
    report.say(program.run("inspect", export, "--home", operator).must(1).out.rstrip())


def _bad_row(each: Sent, rows: dict[str, Json]) -> tuple[object, ...]:
    row = rows[each.place]
    return (each.bad.name, len(each.bad.value), row["step"], row["code"], each.place, ", ".join(r.code for r in each.receipts) or "none")


def _after(decisions: list[Built]) -> dict[str, Any]:
    message = dict(next(each for each in decisions if each.message["sections"]["core"]["destinations"] == ["SG"]).message)
    message["revision"] = 2
    return message


def _after_alert(homes: SeparateHomes) -> Path:
    lines = (homes.program.folder / f"{VICTIM}.jsonl").read_text(encoding="utf-8").splitlines()
    message = next(m for m in map(json.loads, lines) if m["header"]["tlp"] == "AMBER" and m["revision"] == 1)
    message["revision"] = 9
    return write_jsonl(homes.program.folder / "after-alert.jsonl", [message])


def show_stranger(report: Report, homes: SeparateHomes) -> None:
    """A captured delivery: inspected by the program, and verified by the second reader."""
    report.title("6. A captured delivery in the hands of a stranger")
    program = homes.program
    parcel = max((program.folder / "captured").glob("*.parcel"), key=lambda path: path.stat().st_size)
    report.say(
        f"$ broker inspect captured/{parcel.name}", program.run("inspect", parcel, "--home", homes.home(STRANGER)).must().out.rstrip()
    )
    keys = trusted_keys(program, homes.exchange.home, program.folder / "keys.json")
    reading = read_as_stranger(parcel, keys, STRANGER)
    report.say("", "$ python tests/vectors/stranger.py --parcel ... (no code of the product)", *reading.lines)
    report.check(f"all {len(reading.lines)} checks of the stranger hold", holds=reading.code == 0)
    copy = program.folder / "altered.parcel"
    value = parcel.read_bytes()
    copy.write_bytes(altered(value, len(value) // 2))
    refused = read_as_stranger(copy, keys, STRANGER)
    report.check(f"a copy with one bit changed fails: {refused.lines[-1]}", holds=refused.code == 1)


def show_all(report: Report, data: Path, folder: Path, count: int | None) -> None:
    """Everything, in order. ``count`` None: the alerts of critical fraud only."""
    begun = time.monotonic()
    alerts = critical_alerts(data) if count is None else many_alerts(data, count)
    decisions = licences(data, 30 if count is None else None)
    at_once = count is None
    with separate_homes(folder) as homes:
        show_enrolment(report, homes)
        show_records(report, alerts, decisions)
        done = exchange_messages(homes, alerts, decisions, at_once=at_once, progress=progress)
        show_exchanged(report, done)
        show_figures(report, homes, done, at_once=at_once)
        show_two_views(report, done)
        show_bad_input(report, homes, decisions)
        show_stranger(report, homes)
        report.title("7. Private keys, after all that")
        show_homes(report, homes)
    report.end(time.monotonic() - begun)


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.shows", description="show the exchange at work, with messages from real records"
    )
    parser.add_argument(
        "--alerts", type=int, help="so many alerts from all declarations (default: those of critical fraud, 78, some revised)"
    )
    parser.add_argument("--keep", type=Path, help="do it in this new folder and leave everything there")
    given = parser.parse_args(arguments)
    data = data_folder()
    if data is None:
        parser.error("the records are not here: set BROKER_TEST_DATA to the data folder")
    folder = given.keep or Path(tempfile.mkdtemp(prefix="shows-"))
    folder.mkdir(parents=True, exist_ok=True)
    report = Report()
    try:
        show_all(report, data, folder.resolve(), given.alerts)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
