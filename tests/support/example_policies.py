"""Policies of our own for tests of what is said about policies: what ships may change, these stay."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from broker.policy.bundle import Bundle
from broker.policy.scenarios import Scenario, read_scenarios
from broker.shipped import shipped

TEXTS: Final[dict[str, str]] = {
    "publish.cedar": r"""
@id("publish-customs")
@title("Customs administrations publish alerts and seizures")
@basis("WCO Customs Enforcement Network and its Charter of 2021: customs supply the seizures; customs targeting centres raise the alerts")
permit (principal, action == Action::"publish", resource)
when {
  resource.originator == principal &&
  principal.kind == Kind::"customs" &&
  [Family::"alert", Family::"seizure"].contains(resource.family)
};
""",
    "read.cedar": r"""
@id("read-core")
@title("Every recipient reads the core, which names no person")
@basis("WCO CEN: what is not nominal may be shared")
permit (principal, action == Action::"read:core", resource);

@id("read-shipment")
@title("Customs, police and coast guards read goods, equipment and route of alerts and seizures")
@basis("WCO CEN: non-nominal sharing between enforcement administrations (scenario P1)")
permit (principal, action in [Action::"read:goods", Action::"read:equipment", Action::"read:route"], resource)
when {
  [Kind::"customs", Kind::"police", Kind::"coastguard"].contains(principal.kind) &&
  [Family::"alert", Family::"seizure"].contains(resource.family)
};

@id("read-goods-licensing")
@title("Licensing authorities read the goods of alerts and seizures, without seals and addresses")
@basis("Scenario P1: a licensing authority classifies goods and needs neither seal nor party")
permit (principal, action == Action::"read:goods", resource)
when {
  principal.kind == Kind::"licensing" &&
  [Family::"alert", Family::"seizure"].contains(resource.family)
};

@id("read-parties-customs")
@title("Customs that are named, or members of a named community, read the parties of alerts and seizures")
@basis("WCO nCEN: nominal data goes only where a legal basis exists (scenario P2)")
permit (principal, action == Action::"read:parties", resource)
when {
  principal.kind == Kind::"customs" &&
  [Family::"alert", Family::"seizure"].contains(resource.family) &&
  (resource.audienceAgencies.contains(principal) || principal in resource.audienceCommunities)
};

@id("read-grounds-source")
@title("Customs and police that are named read the grounds and the source")
@basis("Third-party rule and 4x4 evaluation of SIENA: intelligence goes to the addressees only")
permit (principal, action in [Action::"read:grounds", Action::"read:source"], resource)
when {
  [Kind::"customs", Kind::"police"].contains(principal.kind) &&
  [Family::"alert", Family::"seizure", Family::"fz_warning", Family::"entity_watch"].contains(resource.family) &&
  resource.audienceAgencies.contains(principal)
};

@id("read-value-customs")
@title("Customs that are named, or members of a named community, read the value of an alert")
@basis("Johannesburg Convention on mutual administrative assistance: commercial data is confidential between the administrations concerned")
permit (principal, action == Action::"read:value", resource)
when {
  principal.kind == Kind::"customs" &&
  resource.family == Family::"alert" &&
  (resource.audienceAgencies.contains(principal) || principal in resource.audienceCommunities)
};
""",
    "receive.cedar": r"""
@id("receive-named")
@title("An agency that the originator names receives the message")
@basis("Owner's control: the originator chooses the audience (Europol SIENA practice)")
permit (principal, action == Action::"receive", resource)
when { resource.audienceAgencies.contains(principal) };

@id("receive-community")
@title("Members of a community that the originator names receive the message")
@basis("Owner's control; closed user groups of WCO CENcomm")
permit (principal, action == Action::"receive", resource)
when { principal in resource.audienceCommunities };

@id("receive-country")
@title("Agencies of a country that the originator names receive the message")
@basis("Mutual administrative assistance between customs of two countries (WCO model bilateral agreement)")
permit (principal, action == Action::"receive", resource)
when { principal in resource.audienceCountries };

@id("receive-route-customs")
@title("Customs of a country on the route receive alerts and licence decisions up to TLP:AMBER")
@basis("EU ICS2: the countries on the route take part in the risk analysis; a revoked licence must reach the border (scenarios P1 and P3)")
permit (principal, action == Action::"receive", resource)
when {
  principal.kind == Kind::"customs" &&
  [Family::"alert", Family::"licence"].contains(resource.family) &&
  [Tlp::"CLEAR", Tlp::"GREEN", Tlp::"AMBER"].contains(resource.tlp) &&
  (principal in resource.origin ||
   principal in resource.export ||
   principal in resource.transit ||
   principal in resource.transhipment ||
   principal in resource.destination ||
   principal in resource.zoneHost ||
   principal in resource.licenceIssuer)
};
""",
    "stops.cedar": r"""
@id("stop-suspended")
@title("A suspended agency publishes, receives and reads nothing")
@basis("19 USC 1628: no release to an agency that broke its assurances (scenario P10)")
forbid (principal, action, resource)
when { principal.suspended };

@id("stop-embargo")
@title("Nothing is disclosed before the originator's embargo ends")
@basis("Johannesburg Convention articles 11 and 12: controlled delivery has its own basis (scenario P9)")
forbid (principal, action in Action::"disclose", resource)
when { resource has embargoUntil && context.now < resource.embargoUntil };

@id("stop-auditor")
@title("Auditors check statements and receipts, and are given no content")
@basis("Separation of duties: an audit needs the evidence, not the case")
forbid (principal, action in Action::"disclose", resource)
when { principal.kind == Kind::"auditor" };

@id("stop-h3-unnamed")
@title("Under handling code H3 only named agencies read parties, source, tenants and whom a watch is for")
@basis("Europol SIENA handling codes: H3 carries limits that a person must read first")
forbid (
  principal,
  action in [Action::"read:parties", Action::"read:source", Action::"read:tenants", Action::"read:identity"],
  resource
)
when { resource.handling == Handling::"H3" }
unless { resource.audienceAgencies.contains(principal) };

@id("stop-red-without-names")
@title("A TLP:RED message names at least one agency")
@basis("FIRST Traffic Light Protocol 2.0: RED is for named recipients, never for a group alone")
forbid (principal, action == Action::"publish", resource)
when { resource.tlp == Tlp::"RED" && resource.audienceAgencies.isEmpty() };
""",
}
"""The texts of the rules by file."""

SCENARIOS: Final[dict[str, Any]] = {
    "members": {
        "TH-CUSTOMS": {"kind": "customs", "communities": ["STCE-ASEAN"]},
        "SG-CUSTOMS": {"kind": "customs", "communities": ["STCE-ASEAN"]},
        "SG-POLICE": {"kind": "police"},
        "AE-CUSTOMS": {"kind": "customs"},
        "DE-BAFA": {"kind": "licensing", "communities": ["EU-LICENSING"]},
        "DE-CUSTOMS": {"kind": "customs"},
        "US-FIU": {"kind": "fiu"},
        "XX-AUDIT": {"kind": "auditor", "communities": ["STCE-ASEAN"]},
    },
    "scenarios": [
        {
            "name": "a-director-is-named", "about": "An alert with a person in it",
            "labels": {
                "family": "alert", "originator": "TH-CUSTOMS", "tlp": "AMBER",
                "countries": [["TH", "ORIGIN"], ["SG", "TRANSHIPMENT"], ["AE", "DESTINATION"]],
                "sections": ["audience", "core", "goods", "equipment", "route", "parties", "grounds", "source", "value"],
                "audience_communities": ["STCE-ASEAN"], "audience_agencies": ["DE-CUSTOMS", "SG-POLICE"],
            },
            "publish": "publish-customs",
            "gets": {
                "SG-CUSTOMS": {"by": "receive-community", "reads": ["core", "goods", "equipment", "route", "parties", "value"]},
                "AE-CUSTOMS": {"by": "receive-route-customs", "reads": ["core", "goods", "equipment", "route"]},
                "DE-CUSTOMS": {
                    "by": "receive-named", "reads": ["core", "goods", "equipment", "route", "parties", "grounds", "source", "value"],
                },
                "SG-POLICE": {"by": "receive-named", "reads": ["core", "goods", "equipment", "route", "grounds", "source"]},
            },
        },
        {
            "name": "limits-in-words", "about": "An alert under H3",
            "labels": {
                "family": "alert", "originator": "TH-CUSTOMS", "tlp": "AMBER", "handling": "H3",
                "sections": ["audience", "core", "parties"], "audience_communities": ["STCE-ASEAN"],
            },
            "publish": "publish-customs",
            "gets": {"SG-CUSTOMS": {"by": "receive-community", "reads": ["core"]}},
        },
    ],
}  # fmt: skip
"""Two scenarios of these rules, as in scenarios.json."""


def schema() -> str:
    """The schema that ships."""
    return (shipped("deploy/policies") / "schema.cedarschema").read_text(encoding="utf-8")


@cache
def example() -> Bundle:
    """The rules as a bundle."""
    return Bundle.from_texts(1, schema(), TEXTS)


def changed(old: str = "", new: str = "", **more: str) -> Bundle:
    """The rules with the first ``old`` of each file made ``new``, and more files."""
    texts = {name: text.replace(old, new, 1) if old else text for name, text in TEXTS.items()}
    return Bundle.from_texts(2, schema(), texts | {f"{name}.cedar": text for name, text in more.items()})


@cache
def example_scenarios() -> tuple[Scenario, ...]:
    """The scenarios as they are read."""
    return read_scenarios(json.dumps(SCENARIOS))


def write_folder(path: Path, old: str = "", new: str = "", **more: str) -> Path:
    """A folder as ``--policies`` takes it, with changes as in :func:`changed`."""
    path.mkdir(exist_ok=True)
    for name, text in TEXTS.items():
        (path / name).write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    for name, text in more.items():
        (path / f"{name}.cedar").write_text(text, encoding="utf-8")
    (path / "schema.cedarschema").write_text(schema(), encoding="utf-8")
    (path / "scenarios.json").write_text(json.dumps(SCENARIOS), encoding="utf-8")
    return path
