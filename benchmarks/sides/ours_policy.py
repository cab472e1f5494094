"""Ours: a relay worker under six hundred policies, over an exchange in memory."""

from __future__ import annotations

from benchmarks.policy_rows import relayed, six_hundred
from benchmarks.sides.side import Result, Spec, run


async def side(spec: Spec) -> Result:
    """One batch after the other from a full outbox."""
    return await relayed(spec, six_hundred())


if __name__ == "__main__":
    run(side)
