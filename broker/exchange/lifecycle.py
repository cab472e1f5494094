"""Step 9 as far as it needs a subject's past: revisions go up, within one family, by moves that the subject's life allows.

Only the originator comes this far with its subject (NOT_OWNER is :mod:`broker.exchange.admit`'s). What others say of it, in
acknowledgements, feedback and proposals, are subjects of their own; whether those fit is for the owner's node.
"""

from __future__ import annotations

from broker.errors import Refusal
from broker.exchange.admit import CORE, Authentic, open_section
from broker.exchange.recall import Reach
from broker.exchange.shard import SubjectState
from broker.families.lifecycles.tables import RECALL_FAMILY, advance


def next_state(known: SubjectState | None, authentic: Authentic) -> str | Refusal:
    """Where the revision takes its subject, or WRONG_FAMILY, STALE_REVISION or ILLEGAL_MOVE with the moves that are allowed.

    ``authentic`` has passed the steps before. A recall is let through on a subject of any family, and is the end of it.
    """
    header = authentic.header
    family = header.family if known is None else known.family
    if known is not None and header.family not in (family, RECALL_FAMILY):
        return Refusal("WRONG_FAMILY", f"{header.subject} is a subject of family {family}", "header.family")
    if known is not None and header.revision <= known.revision:
        reason = f"revision {known.revision} of {header.subject} was accepted already"
        return Refusal("STALE_REVISION", reason, "header.revision")
    state = None if known is None else known.state
    progress = advance(family, state, open_section(authentic, CORE), message_family=header.family, revision=header.revision)
    return progress if isinstance(progress, Refusal) else progress.state


def successor(known: SubjectState | None, authentic: Authentic, reached: Reach, state: str) -> SubjectState:
    """The subject after an accepted revision. Whoever held an earlier one and is not given this is remembered for a recall."""
    header = authentic.header
    if known is None:
        return SubjectState(header.family, header.revision, authentic.leaf, reached.given, state)
    former = known.holders.difference(reached.given)
    return SubjectState(
        known.family, header.revision, authentic.leaf, reached.given, state, tuple(sorted(former)), untold=reached.untold,
        consents=known.consents,
    )  # fmt: skip
