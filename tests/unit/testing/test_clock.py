"""Time and chance for tests, and the real ones behind the same port."""

from __future__ import annotations

import time

import pytest

from broker.ports import Clock, Randomness
from broker.storage.clock import SystemClock, SystemRandomness
from broker.testing.clock import FixedClock, SeededRandomness


def test_a_fixed_clock_moves_only_when_told_to() -> None:
    """Time stands still, moves by what it is told, and never backwards."""
    clock = FixedClock(1_000)
    assert [clock.now_ms(), clock.now_ms()] == [1_000, 1_000]
    clock.advance(250)
    assert clock.now_ms() == 1_250
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_a_seed_gives_the_same_bytes_however_they_are_taken() -> None:
    """The stream depends on the seed only, not on the sizes asked for; another seed gives another stream."""
    whole = SeededRandomness(7).take(100)
    pieces = SeededRandomness(7)
    assert b"".join(pieces.take(size) for size in (0, 1, 31, 32, 36)) == whole
    assert SeededRandomness(8).take(100) != whole
    assert len(set(whole)) > 50


def test_the_system_s_clock_and_randomness_fit_the_ports() -> None:
    """Milliseconds of now, and bytes that differ each time."""
    clock: Clock = SystemClock()
    randomness: Randomness = SystemRandomness()
    before = time.time() * 1000
    assert before - 1 <= clock.now_ms() <= time.time() * 1000
    assert len(randomness.take(16)) == 16
    assert randomness.take(16) != randomness.take(16)
