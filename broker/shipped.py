"""Where the files that travel with the program are: inside its wheel, or under the root of a checkout. The names are the same.

Its own module because both adaptors (``kafka``, ``storage``) read shipped files and may not import each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from broker.errors import UsageError

_PACKAGE: Final = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The file or folder of this name, for example ``schemas`` or ``deploy/policies``. Raises UsageError if it is not there."""
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        path = root / name
        if path.exists():
            return path
    raise UsageError(f"`{name}` is not part of this installation", advice="install the program again, from its wheel")
