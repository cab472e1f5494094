"""Sample messages with real codes, complete and valid, for tests and first steps. Parties are made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Unpack

from broker.exchange.topology import DAY_MS
from broker.families.alert import alert
from broker.families.message import Audience, LabelArguments, Message
from broker.testing.clock import FixedClock

START_MS: Final = FixedClock().now_ms()
"""The time at which a :class:`~broker.testing.local.LocalExchange` with its own clock stands, in Unix milliseconds."""


def sample_alert(
    subject: str,
    *,
    now_ms: int = START_MS,
    agencies: Sequence[str] = (),
    communities: Sequence[str] = (),
    countries: Sequence[str] = (),
    description: str = "isostatic press",
    **labels: Unpack[LabelArguments],
) -> Message:
    """A container with a hot isostatic press (EU 2B004) from Hamburg to Jebel Ali by way of Singapore."""
    deadline = datetime.fromtimestamp((now_ms + DAY_MS) / 1000, UTC)
    return alert(
        subject=subject,
        valid_until_ms=now_ms + 20 * DAY_MS,
        audience=Audience(tuple(agencies), tuple(communities), tuple(countries)),
        core={
            "alert_type": "SHIPMENT",
            "risk_category": "DUAL_USE",
            "indicators": [{"code": "END_USE_UNCLEAR", "text": "end user has no known workshop"}],
            "requested_actions": ["HOLD"],
            "decision_deadline": deadline,
            "deadline_anchor": "LOADING",
            "transport_mode": "SEA",
            "documents": [{"type": "705", "id": "HLCUHAM2611004711"}],
        },
        goods={
            "items": [
                {
                    "hs_code": "847989",
                    "hs_edition": 2022,
                    "description": description,
                    "gross_mass_kg": Decimal("4200.500000"),
                    "control_codes": [{"scheme": "EU_ANNEX_I", "code": "2B004", "edition": "2025"}],
                }
            ]
        },
        equipment={"units": [{"id": "CSQU3054383", "seals": ["HL4477120"]}]},
        route={
            "countries": [
                {"country": "DE", "role": "ORIGIN"},
                {"country": "SG", "role": "TRANSIT"},
                {"country": "AE", "role": "DESTINATION"},
            ],
            "places": [
                {"role": "LOADING", "country": "DE", "locode": "DEHAM"},
                {"role": "TRANSHIPMENT", "country": "SG", "locode": "SGSIN"},
                {"role": "DISCHARGE", "country": "AE", "locode": "AEJEA"},
            ],
        },
        parties={"parties": [{"role": "CONSIGNEE", "name": "Example Trading FZE", "person_type": "2"}]},
        **labels,
    )
