"""The made-up requests as a report: ``python -m tests.e2e.api_fuzz [EXAMPLES]`` asks each operation of a node so many times (200 by
default) and says what came back. Exit code 1 where an answer was a 5xx, or none that the OpenAPI document names."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from tests.support.api_fuzz import ApiFuzz, Fuzzed
from tests.support.node_clients import served_node

EXAMPLES = 200


async def fuzzed(examples: int) -> list[Fuzzed]:
    """All operations, one after the other, told of as they end."""
    async with served_node() as served:
        fuzz, found = ApiFuzz(served), list[Fuzzed]()
        for method, path in fuzz.operations:
            each = await asyncio.to_thread(fuzz.ask, method, path, examples)
            found.append(each)
            statuses = "  ".join(f"{status}: {count}" for status, count in sorted(each.statuses.items()))
            print(f"{each.method:<5} {each.path:<32} {each.cases:>6}  {statuses}", flush=True)
            if each.failure:
                print(f"      FAILURE {each.failure[:2000]}", flush=True)
    return found


def main(arguments: list[str]) -> int:
    """The report."""
    print(f"{'':<5} {'operation':<32} {'cases':>6}  answers", flush=True)
    found = asyncio.run(fuzzed(int(arguments[0]) if arguments else EXAMPLES))
    statuses = sum((each.statuses for each in found), Counter[int]())
    broken, failures = sum(count for status, count in statuses.items() if status >= 500), sum(bool(each.failure) for each in found)
    print(f"{len(found)} operations, {statuses.total()} cases, {broken} answers of 5xx, {failures} failures")
    return 1 if broken or failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
