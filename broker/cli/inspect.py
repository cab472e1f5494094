"""``broker inspect``: decode and verify without Kafka: a parcel, one verdict per admission step, or evidence of an equivocation."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

from rich.markup import escape

from broker import ids
from broker.app.message_forms import header_json
from broker.cli.screen import COMMON, STDIN, Common, Screen, iso, printable
from broker.cli.trustfile import read_trust, trust_folders
from broker.cli.withholding import Purpose, checked_purpose
from broker.envelope.header import Header
from broker.envelope.parcel import SLIP, Parcel, read_parcel
from broker.envelope.section import body_of
from broker.envelope.slip import Slip
from broker.errors import STEPS, Refusal, UsageError
from broker.exchange.admit import Authentic, authenticate, examine
from broker.exchange.evidence import Proven, is_evidence, prove
from broker.exchange.receive import DELIVERY_LIMIT, Received, receive
from broker.exchange.rules import Rules
from broker.exchange.topology import KAFKA_LIMIT
from broker.exchange.use import for_another_purpose
from broker.schema import json_form
from broker.storage.clock import SystemClock

CHECKED = (1, 2, 3, 4, 5, 7, 8, 9)
"""Steps that can be checked from the bytes alone; the sequence (6) and the content's history need the exchange's state."""


def read_bytes(file: str) -> bytes:
    """The bytes of a file, ``-`` for standard input. Raises UsageError."""
    try:
        data = sys.stdin.buffer.read(KAFKA_LIMIT + 1) if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"`{printable(file)}` cannot be read: {error.strerror}", advice="give a file with one record's value, or -"
        ) from error
    if not data:
        raise UsageError(f"`{file}` is empty", advice="give a file with one record's value, or -")
    return data


def verdicts(refusal: Refusal | None, *, delivered: bool) -> list[dict[str, Any]]:
    """One row a step: ok up to the one that refused, unchecked after it."""
    rows: list[dict[str, Any]] = []
    for step in CHECKED:
        if step == 4 and not delivered:
            verdict = "needs the outbox"
        elif step == 5:
            verdict = "environment in the signature" if refusal is None or refusal.step > 3 else "not checked"
        elif refusal is None or step < refusal.step:
            verdict = "ok"
        else:
            verdict = refusal.code if step == refusal.step else "not checked"
        rows.append({"step": step, "name": STEPS[step], "verdict": verdict})
    return rows


def _judge(value: bytes, parcel: Parcel, rules: Rules, recipient: str | None) -> tuple[Refusal | None, Received | Authentic | None]:
    if SLIP in parcel.extras:
        found = receive(value, rules, recipient=recipient or _named(value, rules))
        return (found, None) if isinstance(found, Refusal) else (None, found)
    authentic = authenticate(value, rules, at_ms=SystemClock().now_ms())
    if isinstance(authentic, Refusal):
        return authentic, None
    return examine(authentic, rules, complete=True), authentic


def _named(value: bytes, rules: Rules) -> str:
    """The recipient that the slip itself names: without --recipient there is nobody else to ask."""
    for agency in rules.directory.agencies:
        found = receive(value, rules, recipient=agency)
        if not (isinstance(found, Refusal) and found.code == "NOT_FOR_ME"):
            return agency
    return ""


def _sections(parcel: Parcel, header: Header, rules: Rules, shut: Container[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for commitment in header.commitments:
        carried, schema = parcel.sections.get(commitment.section), rules.catalogue.by_id(commitment.schema_id)
        if carried is not None and schema is not None and commitment.section not in shut:
            shown[commitment.section] = json_form.to_json(schema, schema.codec.decode(body_of(carried)))
    return shown


def inspect(
    file: str, /, *, trust: Path | None = None, recipient: str | None = None, purpose: Purpose = None, common: Common = COMMON
) -> int:  # fmt: skip
    """Decode and verify one record value (an outbox parcel, or a captured delivery), or evidence, without Kafka; exit code 1 if it
    does not hold.

    Example: broker inspect captured/0198c5e0-....parcel --trust .broker/agencies/MY-CUSTOMS

    Parameters
    ----------
    file
        The record's value as bytes, as `broker subscribe --capture` and `broker quarantine export` write it, or what
        `broker quarantine export --evidence` writes; - is standard input.
    trust
        Folder with trust.json, the signed directory (default: those of this home).
    recipient
        The agency it was delivered to (default: whom its slip names).
    purpose
        What it is read for, such as STC_ENFORCEMENT: sections that header or slip do not name it for are not shown. The rules in force are
        not asked: they are at the exchange.
    """
    screen, purpose = Screen(as_json=common.json), checked_purpose(purpose)
    rules = read_trust([trust] if trust else trust_folders(common.home))
    value = read_bytes(file)
    if is_evidence(value):
        return _inspect_evidence(value, rules, screen)
    parcel = read_parcel(value, DELIVERY_LIMIT)
    record: dict[str, Any] = {"bytes": len(value), "digest": hashlib.sha256(value).hexdigest()}
    if isinstance(parcel, Refusal):
        refusal, found, delivered = parcel, None, False
    else:
        delivered = SLIP in parcel.extras
        refusal, found = _judge(value, parcel, rules, ids.agency_id(recipient) if recipient else None)
        record["kid"], record["carried"] = parcel.statement.kid.hex(), sorted(parcel.sections)
    if found is not None and not isinstance(parcel, Refusal):
        header = found.header
        record |= {
            "message_id": ids.uuid_text(header.message_id), "family": header.family, "originator": header.originator,
            "subject": header.subject, "revision": header.revision, "issued_at": iso(header.issued_at), "leaf": found.leaf.hex(),
            "header": header_json(header),
        }  # fmt: skip
        if refusal is None:
            bound = dict(found.slip.bound) if isinstance(found, Received) else {}
            shut = for_another_purpose(header, parcel.sections, purpose, bound)
            record["sections"] = _sections(parcel, header, rules, shut)
            if shut:
                record["withheld_here"] = dict(sorted(shut.items()))
    if isinstance(found, Received):
        record["slip"] = _slip_json(found.slip)
    record["steps"] = verdicts(refusal, delivered=delivered)
    record["verdict"] = "verified" if refusal is None else refusal.code
    if refusal is not None:
        record |= {"reason": refusal.reason, "path": refusal.path, "advice": _advice(refusal, rules)}
    screen.result(record, _told(record))
    return 0 if refusal is None else 1


def _slip_json(slip: Slip) -> dict[str, Any]:
    told: dict[str, Any] = {
        "recipient": slip.recipient, "shard": slip.shard, "counter": slip.counter, "admitted_at": iso(slip.admitted_at),
        "rule": slip.rule, "given": dict(slip.given), "withheld": dict(slip.withheld), "policy_version": slip.policy_version,
        "directory_version": slip.directory_version,
    }  # fmt: skip
    if slip.bound:
        told["bound"] = {section: list(purposes) for section, purposes in slip.bound}
    return told


def _advice(refusal: Refusal, rules: Rules) -> str:
    """What to do; keys that are not in an old snapshot may well be in the directory."""
    if refusal.code != "UNKNOWN_KEY":
        return refusal.advice
    return f"the keys here are those of directory version {rules.directory.version}; run `broker agency list` to bring them up to date"


def _told(record: dict[str, Any]) -> str:
    good = record["verdict"] == "verified"
    lines = [f"[{'green' if good else 'red'}]{record['verdict']}[/] [dim]{record['bytes']:,} bytes, SHA-256 {record['digest']}[/dim]"]
    if "subject" in record:
        what = f"{record['family']} {record['subject']} revision {record['revision']} from {record['originator']}"
        lines.append(f"  {escape(printable(what))} [dim]{record['issued_at']}[/dim]")
    for row in record["steps"]:
        colour = "green" if row["verdict"] == "ok" else "dim" if " " in row["verdict"] else "red"
        lines.append(f"  {row['step']:>2} {row['name']:<24} [{colour}]{row['verdict']}[/]")
    if "slip" in record:
        slip = record["slip"]
        lines.append(f"  delivered to {slip['recipient']} {slip['admitted_at']} under {slip['rule']}, delivery {slip['counter']}")
        lines += [f"    {name:<10} given by {rule}" for name, rule in slip["given"].items()]
        lines += [f"    {name:<10} for {' and '.join(purposes)} alone" for name, purposes in slip.get("bound", {}).items()]
        lines += [f"    {name:<10} [yellow]withheld[/] by {rule}" for name, rule in slip["withheld"].items()]
    lines += [f"    {name:<10} [yellow]not shown[/] here, by {rule}" for name, rule in record.get("withheld_here", {}).items()]
    if not good:
        where = f"{record['path']}: " if record["path"] else ""
        lines += [f"  {escape(printable(where + record['reason']))}", f"  [dim]{escape(printable(record['advice']))}[/dim]"]
    return "\n".join(lines)


def _inspect_evidence(value: bytes, rules: Rules, screen: Screen) -> int:
    """Whether two statements contradict each other, and what each of them says."""
    found = prove(value, rules)
    record: dict[str, Any] = {"bytes": len(value), "digest": hashlib.sha256(value).hexdigest()}
    if isinstance(found, Refusal):
        record |= {"verdict": found.code, "reason": found.reason, "path": found.path, "advice": _advice(found, rules)}
        where = f"{found.path} statement: " if found.path else ""
        lines = [
            f"[red]{found.code}[/]",
            f"  {escape(printable(where + found.reason))}",
            f"  [dim]{escape(printable(record['advice']))}[/dim]",
        ]
        screen.result(record, "\n".join(lines))
        return 1
    header = found.first.header
    both = [_statement_json(each, rules) for each in (found.first, found.second)]
    record |= {
        "verdict": "proven", "originator": header.originator, "stream": header.stream.hex(), "seq": header.seq, "statements": both,
    }  # fmt: skip
    screen.result(record, _told_evidence(record, found))
    return 0


def _statement_json(authentic: Authentic, rules: Rules) -> dict[str, Any]:
    header, kid = authentic.header, authentic.parcel.statement.kid
    known = rules.directory.message_key(kid)
    compromised = known[0].compromised_since_ms if known else None
    return {
        "message_id": ids.uuid_text(header.message_id), "family": header.family, "subject": header.subject, "revision": header.revision,
        "issued_at": iso(header.issued_at), "leaf": authentic.leaf.hex(), "kid": kid.hex(),
        "key_compromised_since": iso(compromised) if compromised is not None else None, "header": header_json(header),
    }  # fmt: skip


def _told_evidence(record: dict[str, Any], found: Proven) -> str:
    header = found.first.header
    said = f"{header.originator} signed two different messages as number {header.seq} of its stream {record['stream']}"
    lines = [f"[red]proven[/] {escape(said)} [dim]{record['bytes']:,} bytes, SHA-256 {record['digest']}[/dim]"]
    for name, each in zip(("first", "second"), record["statements"], strict=True):
        what = f"{each['family']} {each['subject']} revision {each['revision']}"
        lines += [
            f"  {name:<6}  {escape(printable(what))} [dim]{each['issued_at']}[/dim]",
            f"          message {each['message_id']}",
            f"          leaf {each['leaf']}",
            f"          key {each['kid']}, signature ok",
        ]
        if each["key_compromised_since"]:
            lines.append(f"          [yellow]the key was reported as compromised since {each['key_compromised_since']}[/]")
    return "\n".join(lines)
