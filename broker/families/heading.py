"""What families read of a header that was signed. :class:`broker.envelope.header.Header` has it; families do not import envelopes.

Times are Unix ms UTC, codes the symbols of the header's schema.
"""

from __future__ import annotations

from typing import Protocol


class Target(Protocol):
    """What a message speaks about."""

    @property
    def target(self) -> str | None:
        """Another message's subject."""
        ...

    @property
    def target_revision(self) -> int | None:
        """Which revision of it."""
        ...


class Heading(Protocol):
    """Who says what about which subject, and until when."""

    @property
    def family(self) -> str:
        """Family of the message."""
        ...

    @property
    def originator(self) -> str:
        """Agency that signed."""
        ...

    @property
    def subject(self) -> str:
        """Subject of the message."""
        ...

    @property
    def revision(self) -> int:
        """Its revision."""
        ...

    @property
    def issued_at(self) -> int:
        """When it was issued, by the originator's clock."""
        ...

    @property
    def valid_from(self) -> int | None:
        """From when it holds."""
        ...

    @property
    def valid_until(self) -> int | None:
        """Until when it holds."""
        ...

    @property
    def urgency(self) -> str:
        """How fast it is to be acknowledged."""
        ...

    @property
    def retention(self) -> str:
        """How long it may be kept."""
        ...

    @property
    def correlation(self) -> Target:
        """What it speaks about."""
        ...
