"""Technical analysis of seized goods (domain dictionary 4, seizure), as the goods section tells it to those who get it."""

from typing import Final

from broker.families.lifecycles.machine import Machine, move

SEIZURE_ANALYSIS: Final = Machine(
    name="seizure_analysis",
    title="an analysis",
    doc="Told in `goods.items[].analysis_state`, a section that the exchange does not judge lifecycles by: for registers.",
    initial="NOT_NEEDED",
    final=frozenset({"NOT_NEEDED", "CONTROLLED", "NOT_CONTROLLED"}),
    standing=frozenset({"PENDING", "CONTROLLED"}),
    moves=(
        move("ANALYSE", "NOT_NEEDED PENDING", "PENDING", said_by="analysis_state PENDING"),
        move("FIND_CONTROLLED", "NOT_NEEDED PENDING CONTROLLED", "CONTROLLED", said_by="analysis_state CONFIRMED"),
        move(
            "FIND_NOT_CONTROLLED", "NOT_NEEDED PENDING CONTROLLED NOT_CONTROLLED", "NOT_CONTROLLED",
            said_by="analysis_state NOT_CONTROLLED", guard="a correction goes to everyone who got the preliminary report",
        ),
    ),
)  # fmt: skip
