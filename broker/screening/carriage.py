"""How formats say what carries the goods, from where and to where: modes, identities of conveyances, places with and without codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from broker.families.shipment import TRANSPORT_MODE_CODES
from broker.screening.shipment import present

MODES: Final[Mapping[str, str]] = {code: mode for mode, code in TRANSPORT_MODE_CODES.items()} | {"10": "SEA", "11": "ROAD"}
"""Mode of a code: UN Recommendation 19, and the import control system's 10 (accompanied at sea) and 11 (shuttle)."""

_SHIP: Final = re.compile(r"(?:IMO)?\s*([0-9]{7})", re.IGNORECASE)
_PLACE: Final = re.compile(r"[A-Z]{2}[A-Z2-9]{3}")
_FLIGHT: Final = re.compile(r"([A-Z0-9]{2,3}?)\s*0*([0-9]{1,4}[A-Z]?)")


def ship(
    identity: str | None, *, voyage: str | None = None, name: str | None = None, flag: str | None = None, call_sign: str | None = None
) -> dict[str, Any]:
    """A ship by its IMO number, or by its name where the identity is no number. Empty where nothing is known."""
    found = _SHIP.fullmatch((identity or "").strip())
    record = present(
        imo=found[1] if found else None, name=name or (None if found else identity), flag=flag, voyage=voyage, call_sign=call_sign
    )
    return {"mode": "SEA", **record} if record.keys() - {"flag", "voyage"} else {}


def flight(number: str | None, day: str | None = None) -> dict[str, Any]:
    """A flight with its day, where a day is given (the first ten signs are read)."""
    if not number:
        return {}
    try:
        on = date.fromisoformat((day or "")[:10])
    except ValueError:
        on = None
    return {"mode": "AIR", **present(flight="".join(number.split()), flight_date=on)}


def border_conveyance(mode: str, identity: str | None, flag: str | None, reference: str | None) -> dict[str, Any]:
    """The conveyance at the border: what its identity means depends on the mode, and the reference is a voyage or a flight."""
    if mode == "SEA":
        return ship(identity, voyage=reference, flag=flag)
    if mode == "AIR":
        return flight(reference or identity)
    if mode == "RAIL":
        record = present(**{"wagon" if any(sign.isdigit() for sign in identity or "") else "name": identity})
    elif mode == "ROAD":
        record = present(plate=identity, flag=flag)
    else:
        record = present(name=identity, flag=flag, voyage=reference)
    return {"mode": mode, **record} if identity else {}


def loading_place(role: str, text: str | None) -> dict[str, Any]:
    """A place as declarations give it: a UN/LOCODE, with or without a name after it, or only a name. Empty where there is none."""
    words = (text or "").strip()
    if not words:
        return {}
    code = words[:5]
    if _PLACE.fullmatch(code) and not words[5:6].isalnum():
        return present(role=role, country=code[:2], locode=code, name=words[5:].strip(" ,-"))
    return present(role=role, name=words)
