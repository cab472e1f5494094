"""The rows: what is measured against what, how much of it, and what has to lie ready.

Rows that share their own side are measured together, in one *contest*: ``publish`` and ``publish-signed`` are one. Each contest has
an order in which the run takes it: the publishers come last, because what they write no relay reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.errors import UsageError

FIFTY: Final = tuple(f"XX-BODY{number:02d}" for number in range(50))
"""Fifty recipients; international bodies, so that no country's rules single one out."""


WRITES: Final = 5
"""Records that the relay writes for a message with one recipient: the delivery, the receipt, the subject's last parcel in
``exchange.current``, and in ``exchange.state`` the subject and the answer that a repeated message gets again."""


@dataclass(frozen=True)
class Side:
    """A program under ``benchmarks.sides``. ``factor`` times the contest's count, so that a faster side lasts as long.

    ``copies`` is how many records a copying side writes for each message, which then counts once; 0: as many as there are recipients,
    and each is counted.
    """

    program: str
    factor: int = 1
    topic: str = ""
    copies: int = 0


@dataclass(frozen=True)
class Row:
    """A row with its peers by name."""

    name: str
    peers: dict[str, Side]


@dataclass(frozen=True)
class Contest:
    """Rows with one side of ours. ``count`` messages are measured after ``warm``.

    ``outbox``: the relay needs a full outbox before each run of ours. ``inbox``: ours reads this agency's inbox, filled once.
    ``p99``: compared are 99th percentiles of latency, at ``rate`` messages a second or, for 0, one at a time; lower is better.
    A row without peers is compared with nobody: its peer is called ``self``. ``held``: licences in a register that is filled once.
    ``figures``: a program that is run once, for what else the row tells.
    """

    name: str
    ours: Side
    rows: tuple[Row, ...]
    unit: str
    count: int
    warm: int
    recipients: tuple[str, ...] = ("AE-CUSTOMS",)
    outbox: bool = False
    inbox: str = ""
    p99: bool = False
    rate: float = 0.0
    urgency: str = "ROUTINE"
    held: int = 0
    figures: str = ""


CONTESTS: Final = (
    Contest(
        "relay", Side("ours_relay"),
        (
            Row("relay", {"aiokafka": Side("aiokafka_copy", 2, "bench.raw")}),
            Row("relay-writes", {"aiokafka-writes": Side("aiokafka_copy", 1, "bench.raw", copies=WRITES)}),
        ),
        "messages/s", 20_000, 2_000, outbox=True,
    ),
    Contest(
        "fanout50", Side("ours_relay"), (Row("fanout50", {"aiokafka": Side("aiokafka_copy", 2, "bench.raw")}),),
        "inbox records/s", 750, 500, recipients=FIFTY, outbox=True,
    ),
    Contest(
        "subscribe", Side("ours_subscribe"),
        (
            Row("subscribe", {"aiokafka": Side("aiokafka_read", 2, "bench.raw"), "faststream": Side("faststream_read", 1, "bench.raw")}),
            Row("subscribe-signed", {"confluent-ed25519": Side("confluent_read", 1, "bench.raw.signed")}),
        ),
        "messages/s", 15_000, 2_000, recipients=("MY-CUSTOMS",), inbox="MY-CUSTOMS",
    ),
    Contest(
        "latency", Side("ours_latency"), (Row("latency", {"aiokafka": Side("aiokafka_latency", topic="bench.hop")}),),
        "ms p99", 2_000, 500, recipients=("TH-CUSTOMS",), p99=True, rate=500.0,
    ),
    Contest(
        "urgent", Side("ours_latency"), (Row("urgent", {}),),
        "ms p99", 100, 10, recipients=("TH-CUSTOMS",), p99=True, urgency="IMMEDIATE",
    ),
    Contest(
        "register", Side("ours_register"), (Row("register", {"sqlite": Side("sqlite_register")}),),
        "ms p99", 50_000, 5_000, recipients=(), p99=True, held=1_000_000,
    ),
    Contest(
        "policy", Side("ours_policy"), (Row("policy", {"six-policies": Side("six_policies")}),),
        "messages/s", 3_000, 500, recipients=(), figures="policy_figures",
    ),
    Contest(
        "publish", Side("ours_publish"),
        (
            Row("publish", {
                "aiokafka": Side("aiokafka_publish", 2, "bench.publish"), "faststream": Side("faststream_publish", 1, "bench.publish"),
            }),
            Row("publish-signed", {"confluent-ed25519": Side("confluent_publish", 1, "bench.publish")}),
        ),
        "messages/s", 15_000, 2_000,
    ),
)  # fmt: skip

NAMES: Final = tuple(row.name for contest in CONTESTS for row in contest.rows)


def chosen(names: str) -> list[tuple[Contest, list[Row]]]:
    """Contests and their rows for ``publish,relay`` or, for an empty text, all. Raises UsageError on a name that is no row's."""
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(NAMES)
    for name in wanted:
        if name not in NAMES:
            raise UsageError(f"there is no row `{name}`", advice=f"ROWS takes {', '.join(NAMES)}, with commas")
    found = [(contest, [row for row in contest.rows if row.name in wanted]) for contest in CONTESTS]
    return [(contest, rows) for contest, rows in found if rows]


def agencies(contests: Sequence[Contest]) -> list[str]:
    """Who has to be a member for these."""
    return sorted({agency for contest in contests for agency in contest.recipients})
