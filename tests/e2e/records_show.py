"""Real records through the exchange: ``python -m tests.e2e.records_show [--long] [--kafka]``.

Licence lines become licence messages, parties entity watches, excise messages linked messages of five families; declarations of
critical fraud become alerts, and all declarations are screened as shipments against the register that these built. Prints counts,
refusals and findings by code, three odd records with what was said about them, and how much of each family is real.
The short form takes some of the records, on an exchange in memory; the long form all, on a real Kafka.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from broker.errors import REFUSALS
from broker.families.rules import FINDINGS
from tests.e2e.grounds import Ground, in_memory, on_kafka, reading
from tests.e2e.record_sources import CHAIN, MEMBERS, SCREENER, Source, Sourced, put_alerts, put_excise, put_licences, put_watches
from tests.e2e.report import Report
from tests.e2e.screening import Screening, expected_alerts, shipments
from tests.support.alert_records import AlertBuilder
from tests.support.excise_records import FOLDER as EXCISE
from tests.support.records import DECLARATIONS, Account, Built, Row, data_folder, read_rows
from tests.support.watch_records import PARTIES

# ── what is printed ─────────────────────────────────────────────────────────────────────────────────────────────────────


def show_counts(report: Report, sources: Sequence[Source]) -> None:
    """In, accepted, refused."""
    report.title("1. Records in, messages out")
    rows: list[tuple[object, ...]] = []
    for each in sources:
        outcomes = Counter(sourced.answer.outcome for sourced in each.sourced)
        rows.append((each.name, each.read, each.without, len(each.sourced), *(outcomes[o] for o in ("accepted", "refused", "quarantined"))))
    head = ("source", "records", "gave no message", "messages", "accepted", "refused before sending", "refused by the relay")
    report.table(head, rows)
    report.say("gave no message: lines of licences to a country that ISO 3166 does not name, or not so")
    answers = [sourced.answer for each in sources for sourced in each.sourced if sourced.answer.outcome != "accepted"]
    refused = Counter((each.code, _without_places(each.path), _without_places(each.reason)) for each in answers)
    report.say("", "refused, by code and place:")
    report.table(("code", "at", "messages", "why"), [(code, path, count, why) for (code, path, why), count in refused.most_common()])
    report.check("every refusal is of the table of codes", holds=all(code in REFUSALS for code, _, _ in refused))


def _without_places(text: str) -> str:
    return re.sub(r"`[^`]*`|U\+[0-9A-F]+|position [0-9]+", "...", re.sub(r"\[[0-9]+\]", "[]", text))


def show_findings(report: Report, sources: Sequence[Source]) -> None:
    """Findings by code and severity."""
    report.title("2. Findings on what was accepted")
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    messages: Counter[tuple[str, str]] = Counter()
    real: Counter[tuple[str, str]] = Counter()
    for sourced in (sourced for each in sources for sourced in each.sourced):
        messages.update({(code, severity) for severity, code, _, _ in sourced.answer.findings})
        for severity, code, path, _ in sourced.answer.findings:
            found[code, severity][sourced.built.message["family"]] += 1
            real[code, severity] += sourced.is_real(path)
    rows = [
        (*code, families.total(), real[code], messages[code], ", ".join(f"{family} {count:,}" for family, count in families.items()))
        for code, families in sorted(found.items(), key=lambda each: -each[1].total())
    ]
    report.table(("code", "severity", "findings", "of a record's value", "messages", "by family"), rows)
    report.say("not of a record's value: of what is missing in the record, or of a value that the test built")
    clean = sum(not s.answer.findings for each in sources for s in each.sourced if s.answer.outcome == "accepted")
    report.say(f"accepted without any finding: {clean:,}")
    known = all(FINDINGS.get(code, ("",))[0] == severity for code, severity in found)
    report.check("every finding is of the table, with its severity", holds=known)


def show_values(report: Report, sources: Sequence[Source]) -> None:
    """How much is real, by family."""
    report.title("3. Values from records, and values built by the test, counted apart")
    by_family: dict[str, list[Built]] = defaultdict(list)
    for each in sources:
        for sourced in each.sourced:
            by_family[sourced.built.message["family"]].append(sourced.built)
    rows: list[tuple[object, ...]] = []
    for family, built in [*by_family.items(), ("all", [each for many in by_family.values() for each in many])]:
        account = Account.of(built)
        share = 100 * account.from_record / max(1, account.from_record + account.synthetic)
        rows.append((family, account.messages, account.from_record, account.synthetic, f"{share:.0f}"))
    report.table(("family", "messages", "values from records", "built by the test", "% real"), rows)


def show_excise(report: Report, ground: Ground, found: Sequence[tuple[str, Sourced]], chained: Sequence[tuple[str, Sourced]]) -> None:
    """The six messages: as they are, and as one chain."""
    report.title("4. Six excise messages between administrations, as linked messages")
    for title, listed in (("as the files stand, each about a movement of its own:", found), (f"with movement {CHAIN} put in:", chained)):
        report.say("", title)
        rows = [
            (
                name, each.built.message["family"], each.built.subject, _target(each.built), each.answer.outcome,
                ", ".join(sorted({code for _, code, _, _ in each.answer.findings} - {"NO_LIST"})) or each.answer.code or "-",
            )
            for name, each in listed
        ]  # fmt: skip
        report.table(("file", "family", "subject", "about", "answer", "said"), rows)
    with reading(ground, "AT-CUSTOMS") as reader:
        now_ms = int(ground.now.timestamp() * 1000)
        known = {number: reader.subject(number, now_ms) for number in (each.built.subject for _, each in (*found, *chained))}
        movement = reader.subject(f"XI-CUSTOMS/CHAIN/{CHAIN}", now_ms)
        event = reader.subject("GB-CUSTOMS/EMCS/GBAA2C3F4244ADB3", now_ms)
    cited = [link["subject"] for _, each in found for link in each.built.message["sections"]["core"].get("alert_links", ())]
    report.say("", f"IE807 cites {len(cited)} reports; in the files is {', '.join(each for each in cited if known.get(each))}")
    assert movement is not None
    assert event is not None
    report.say(f"links of {movement.row.subject} in AT-CUSTOMS' register:", *(f"  {kind:<9} {s} {n}" for kind, s, n in movement.links))
    report.check("the event report that IE807 cites is linked from it", holds=[kind for kind, *_ in event.links] == ["RELATED"])
    kinds = Counter(kind for kind, *_ in movement.links)
    report.check("in the chain all are accepted, and what is about the movement is linked with it",
                 holds=all(each.answer.outcome == "accepted" for _, each in chained)
                 and kinds == {"ALERT": 1, "FEEDBACK": 1, "SEIZURE": 2})  # fmt: skip
    refused = {name: each.answer.code for name, each in found if each.answer.outcome != "accepted"}
    report.check("as they stand one is refused: an objection to a movement of the objector's own", holds=refused == {"IE819": "BAD_LABELS"})


def _target(built: Built) -> str:
    return str(built.message["header"].get("correlation", {}).get("target", "-"))


def show_screening(report: Report, ground: Ground, data: Path, rows: Sequence[Row], sources: Sequence[Source]) -> None:
    """All shipments against the register."""
    report.title(f"5. {len(rows):,} declarations screened as shipments against {SCREENER}'s register")
    licences, watches, alerts = (source.accepted() for source in sources[:3])
    build = AlertBuilder(data, ground.now)
    cores = [each.message["sections"]["core"] for each in licences]
    refused = {core["licence_no"]: core["decision_type"] == "DENY" for core in cores}
    listed = shipments(rows, {row["Declaration ID"]: build(row) for row in rows}, watches, sorted(refused))
    now_ms = int(ground.now.timestamp() * 1000)
    with reading(ground, SCREENER) as reader:
        held = sum(reader.subject(each.subject, now_ms) is not None for each in (*licences, *watches, *alerts))
        screening = Screening(reader, now_ms, expected_alerts(alerts), refused)
        for shipment in listed:
            screening.screen(shipment)
    distinct = len({each.subject for each in (*licences, *watches, *alerts)})
    report.say(f"in the register: {len(licences):,} licence decisions, {len(watches):,} watches, {len(alerts):,} alerts")
    everything = len(licences) + len(watches) + len(alerts)
    report.check(f"each accepted message is in the register ({distinct:,} subjects)", holds=held == everything)
    table: list[tuple[object, ...]] = []
    for key, found in screening.found.items():
        micros = f"{statistics.median(found.micros):.0f}" if found.micros else "-"
        table.append((key, found.looked, found.hits, found.expected, len(found.wrong), micros))
    report.table(("looked up by", "look-ups", "with a hit", "expected", "wrong", "p50 us"), table)
    report.say("licences cited: " + ", ".join(f"{status} {count:,}" for status, count in sorted(screening.statuses.items())))
    report.say(f"declarations with a hit that an officer looks at (not by HS code alone): {screening.stopped:,}")
    report.say("built by the test: container, document, seller's name, licence; the record's own: the parties' numbers and the HS code")
    wrong = [line for found in screening.found.values() for line in found.wrong]
    report.say(*wrong[:10])
    report.check("every look-up found what the messages say, and nothing else", holds=not wrong)


def show_odd(report: Report, sources: Sequence[Source]) -> None:
    """The rarest thing said of a record's own value, for three sources."""
    report.title("6. Three odd records, and what was said about them")
    said: dict[str, list[tuple[str, Sourced]]] = defaultdict(list)
    for each in sources:
        for sourced in each.sourced:
            remarks = [(code, path) for _, code, path, _ in sourced.answer.findings]
            remarks += [(sourced.answer.code, sourced.answer.path)] if sourced.answer.code else []
            for code in {code for code, path in remarks if sourced.is_real(path)}:
                said[code].append((each.name, sourced))
    taken: set[str] = set()
    for code, found in sorted(said.items(), key=lambda each: (len(each[1]), each[0])):
        name, sourced = found[0]
        if name in taken or len(taken) == 3:
            continue
        taken.add(name)
        answer = sourced.answer
        report.say("", f"-- {name}: {code}, said of {len(found)}", sourced.record.strip())
        report.say(f"became {sourced.built.message['family']} {sourced.built.subject}: {answer.outcome}")
        if answer.code:
            report.say(f"   {answer.code} at {answer.path}: {answer.reason}")
        report.say(*(f"   {severity} {code} at {path}: {why}" for severity, code, path, why in answer.findings if code != "NO_LIST"))
    report.check("there are three", holds=len(taken) == 3)


def show_records(report: Report, ground: Ground, data: Path, *, long: bool) -> None:
    """Everything, in order."""
    report.say(f"on an exchange {ground.name}; code lists of the folder `codelists`")
    rows = read_rows(data, DECLARATIONS)
    for agency in (SCREENER, "AT-CUSTOMS"):
        ground.catch_up(agency)
    sources = [put_licences(ground, data, long=long), put_watches(ground, data, long=long), put_alerts(ground, data, rows, long=long)]
    found, chained = put_excise(ground, data, None), put_excise(ground, data, CHAIN)
    sources.append(Source("EU excise messages (emcs)", 6, [each for _, each in found]))
    sources.append(Source("the same as one chain", 6, [each for _, each in chained]))
    for agency in (SCREENER, "AT-CUSTOMS"):
        ground.catch_up(agency)
    show_counts(report, sources)
    show_findings(report, sources)
    show_values(report, sources)
    show_excise(report, ground, found, chained)
    show_screening(report, ground, data, rows[:: 1 if long else 8], sources)
    show_odd(report, sources)


@contextmanager
def chosen_ground(data: Path, *, kafka: bool) -> Generator[Ground]:
    """The exchange to do it on."""
    if not kafka:
        with in_memory(MEMBERS, data / "codelists") as memory:
            yield memory
        return
    with tempfile.TemporaryDirectory(prefix="records-") as folder, on_kafka(Path(folder), MEMBERS, data / "codelists") as real:
        yield real


def run(*, long: bool, kafka: bool) -> Report | None:
    """The whole show; None where the records are not here."""
    data = data_folder()
    if data is None or not (data / EXCISE).is_dir() or not (data / PARTIES).is_file():
        return None
    report = Report()
    with chosen_ground(data, kafka=kafka) as ground:
        show_records(report, ground, data, long=long)
    return report


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.records_show", description="real records through the exchange")
    parser.add_argument("--long", action="store_true", help="all records, on a real Kafka")
    parser.add_argument("--kafka", action="store_true", help="on a real Kafka in the short form too")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    report = run(long=given.long, kafka=given.long or given.kafka)
    if report is None:
        print("skipped: the records are not here: set BROKER_TEST_DATA to the data folder")
        return 0
    return report.end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
