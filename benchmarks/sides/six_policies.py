"""The same relay worker under six policies that decide the same about these messages."""

from __future__ import annotations

from benchmarks.policy_rows import relayed, six
from benchmarks.sides.side import Result, Spec, run


async def side(spec: Spec) -> Result:
    """One batch after the other from a full outbox."""
    return await relayed(spec, six())


if __name__ == "__main__":
    run(side)
