"""Kafka's server settings: rendering the shipped template, and finding what would leave a door open. Pure text in, text out.

``deploy/kafka/server.properties.template`` is the single source and carries the reason for each setting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from broker.exchange.topology import KAFKA_LIMIT, REGISTRAR
from broker.trust.certificates import NODE, SERVICES

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_RECORD_LIMIT = KAFKA_LIMIT + 4096
_CONTINUED = re.compile(r"\\\n\s*")
_PROPERTY = re.compile(r"\s*((?:\\.|[^\s=:\\])+)\s*[=:\s]\s*(.*)")
_SECURE = ("SSL",)
_AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


def render_properties(template: str, *, client_port: int, controller_port: int) -> str:
    """The node's server.properties for two loopback ports. Raises KeyError where the template asks for a value that is not known."""
    values = {
        "client_port": client_port,
        "controller_port": controller_port,
        "services": "|".join((NODE, *SERVICES)),
        "super_users": f"User:{NODE};User:{REGISTRAR}",
        "record_limit": _RECORD_LIMIT,
        "response_limit": 4 * _RECORD_LIMIT,
        "request_limit": 8 * _RECORD_LIMIT,
    }
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), template)


def read_properties(text: str) -> dict[str, str]:
    """Parse Java properties: comments, continued lines, ``=`` or ``:``; the last of two equal keys holds, as in Java."""
    found: dict[str, str] = {}
    # A comment is never continued in Java: a backslash at its end hides nothing.
    lines = [line for line in text.splitlines() if line.lstrip()[:1] not in ("#", "!", "")]
    for line in _CONTINUED.sub("", "\n".join(lines)).splitlines():
        match = _PROPERTY.fullmatch(line)
        key, value = (match[1], match[2]) if match else (line.strip(), "")
        found[key] = value.strip()
    return found


def lint_properties(text: str) -> list[str]:
    """What makes these server settings unfit for an exchange, one line each; an empty list when nothing was found."""
    settings = read_properties(text)
    return [*_listener_flaws(settings), *_authorizer_flaws(settings), *_principal_flaws(settings), *_loss_flaws(settings)]


def _pairs(text: str, between: str = ":") -> list[tuple[str, str]]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [(name.strip(), rest.strip()) for name, _, rest in (part.partition(between) for part in parts)]


def _listener_flaws(settings: Mapping[str, str]) -> list[str]:
    flaws: list[str] = []
    protocols = {name.upper(): protocol.upper() for name, protocol in _pairs(settings.get("listener.security.protocol.map", ""))}
    names = {name.upper() for name, _ in _pairs(settings.get("listeners", "PLAINTEXT://:9092"), "://")}
    names |= {name.upper() for name, _ in _pairs(settings.get("controller.listener.names", ""))}
    for name in sorted(names):
        protocol = protocols.get(name, name)
        prefix = f"listener.name.{name.lower()}."
        if protocol not in _SECURE:
            flaws.append(f"listener {name} is open: its protocol is {protocol}, not SSL")
        elif settings.get(prefix + "ssl.client.auth", settings.get("ssl.client.auth", "none")) != "required":
            flaws.append(f"listener {name} takes clients without a certificate: set ssl.client.auth=required")
        versions = settings.get(prefix + "ssl.enabled.protocols", settings.get("ssl.enabled.protocols", ""))
        if protocol in _SECURE and versions != "TLSv1.3":
            flaws.append(f"listener {name} speaks other versions than TLS 1.3: set ssl.enabled.protocols=TLSv1.3")
    if settings.get("security.inter.broker.protocol", "SSL") not in _SECURE:
        flaws.append("brokers speak to each other in plain text: set inter.broker.listener.name to a TLS listener")
    elif "inter.broker.listener.name" not in settings and "security.inter.broker.protocol" not in settings:
        flaws.append("brokers speak to each other in plain text by default: set inter.broker.listener.name to a TLS listener")
    return flaws


def _authorizer_flaws(settings: Mapping[str, str]) -> list[str]:
    flaws: list[str] = []
    if settings.get("authorizer.class.name") != _AUTHORIZER:
        flaws.append(f"there is no authorizer, or another than Kafka's own: set authorizer.class.name to {_AUTHORIZER}")
    if settings.get("allow.everyone.if.no.acl.found", "false").lower() != "false":
        flaws.append("allow.everyone.if.no.acl.found opens every resource without an ACL: set it to false")
    for user in settings.get("super.users", "").split(";"):
        if user.strip() and user.strip() not in (f"User:{NODE}", f"User:{REGISTRAR}"):
            flaws.append(f"`{user.strip()}` is a super user: only User:{NODE} and User:{REGISTRAR} may be")
    return flaws


def _principal_flaws(settings: Mapping[str, str]) -> list[str]:
    keys = [key for key in settings if key.endswith("ssl.principal.mapping.rules")] or ["ssl.principal.mapping.rules"]
    rules = [settings.get(key, "DEFAULT") for key in keys]
    if any(rule.strip() == "DEFAULT" or re.search(r"(^|,)\s*DEFAULT\s*($|,)", rule) for rule in rules):
        return ["a certificate's whole subject becomes a principal: end ssl.principal.mapping.rules without DEFAULT"]
    flaws: list[str] = []
    if any(".*" in rule or ".+" in rule for rule in rules):
        flaws.append("any common name becomes a principal: name the forms that certificates of this exchange have")
    if "principal.builder.class" in settings:
        flaws.append("principals are made by another program: remove principal.builder.class")
    return flaws


def _loss_flaws(settings: Mapping[str, str]) -> list[str]:
    """What would let records be lost, or the node itself."""
    flaws: list[str] = []
    if settings.get("delete.topic.enable", "true").lower() != "false":
        flaws.append("who may trim an outbox may delete it whole: set delete.topic.enable=false")
    if settings.get("auto.create.topics.enable", "true").lower() != "false":
        flaws.append("a misspelt topic name makes a topic: set auto.create.topics.enable=false")
    if not settings.get("max.decompressed.message.bytes", "").isdigit():
        flaws.append("a few bytes may unpack to gigabytes: set max.decompressed.message.bytes")
    if settings.get("unclean.leader.election.enable", "false").lower() != "false":
        flaws.append("acknowledged records can be lost: set unclean.leader.election.enable=false")
    return flaws
