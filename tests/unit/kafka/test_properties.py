"""Kafka's settings: what is shipped leaves no door open, and the lint finds every door that is opened by hand."""

from __future__ import annotations

import re

import pytest

from broker.exchange.topology import KAFKA_LIMIT
from broker.ids import principal
from broker.kafka.properties import lint_properties, read_properties, render_properties
from broker.shipped import shipped

TEMPLATE = shipped("deploy/kafka/server.properties.template").read_text()
RENDERED = render_properties(TEMPLATE, client_port=21001, controller_port=21002)


def test_the_shipped_template_renders_whole_and_clean() -> None:
    """No placeholder is left, no key is set twice, and the lint finds nothing."""
    assert "{{" not in RENDERED
    keys = [line.partition("=")[0] for line in RENDERED.splitlines() if line and not line.startswith("#")]
    assert len(keys) == len(set(keys))
    assert lint_properties(RENDERED) == []


def test_listeners_are_on_loopback_only_and_speak_tls() -> None:
    """An embedded node is reached from its own machine, over mutual TLS, on the two ports given."""
    settings = read_properties(RENDERED)
    assert settings["listeners"] == "CLIENT://127.0.0.1:21001,CONTROLLER://127.0.0.1:21002"
    assert settings["advertised.listeners"] == "CLIENT://127.0.0.1:21001"
    assert settings["listener.security.protocol.map"] == "CLIENT:SSL,CONTROLLER:SSL"
    assert settings["super.users"] == "User:node;User:registrar"


def test_records_of_the_topology_fit() -> None:
    """What a topic may hold, the broker takes, replicates and receives in one request."""
    settings = read_properties(RENDERED)
    for key in ("message.max.bytes", "replica.fetch.max.bytes", "replica.fetch.response.max.bytes", "socket.request.max.bytes"):
        assert int(settings[key]) >= KAFKA_LIMIT + 4096


def mapped(subject: str) -> str | None:
    """The principal that the shipped rules make of a subject (as Java writes it), None where no rule fits."""
    rules = read_properties(RENDERED)["ssl.principal.mapping.rules"].replace("\\\\", "\\")
    for pattern, replacement in re.findall(r"RULE:((?:\\.|[^\\/])*)/((?:\\.|[^\\/])*)/", rules):
        if re.search(pattern, subject):
            return re.sub(pattern, re.sub(r"\$(\d)", r"\\\1", replacement), subject)
    return None


@pytest.mark.parametrize("name", ["node", "relay", "registrar"])
def test_services_keep_their_names(name: str) -> None:
    """The operator's services are principals under their common names."""
    assert mapped(f"CN={name}") == name


def test_an_agency_and_its_generation_become_the_principal() -> None:
    """What the rules make of a certificate is what the topology writes its grants for."""
    assert mapped(r"CN=SG-CUSTOMS\#12") == principal("SG-CUSTOMS", 12)


@pytest.mark.parametrize(
    "subject",
    ["CN=mallory", r"CN=SG-CUSTOMS\#0", "CN=SG-CUSTOMS", r"CN=SG-CUSTOMS\#1,O=x", "O=x,CN=relay", "CN=relay,CN=x", "CN=relay2", "OU=relay",
     r"CN=SG-CUSTOMSx\#1", "CN=SG-CUSTOMS#1"],
)  # fmt: skip
def test_no_other_subject_becomes_a_principal(subject: str) -> None:
    """No rule fits, so Kafka fails the authentication."""
    assert mapped(subject) is None


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("CLIENT:SSL", "CLIENT:PLAINTEXT"), "listener CLIENT is open"),
        (("CONTROLLER:SSL", "CONTROLLER:SASL_PLAINTEXT"), "listener CONTROLLER is open"),
        (("listeners=CLIENT", "listeners=PLAINTEXT://127.0.0.1:9092,CLIENT"), "listener PLAINTEXT is open"),
        (("ssl.client.auth=required", "ssl.client.auth=requested"), "without a certificate"),
        (("ssl.client.auth=required", "ssl.client.auth=required\nlistener.name.client.ssl.client.auth=none"), "listener CLIENT takes"),
        (("ssl.enabled.protocols=TLSv1.3", "ssl.enabled.protocols=TLSv1.2,TLSv1.3"), "other versions than TLS 1.3"),
        (("inter.broker.listener.name=CLIENT", ""), "plain text by default"),
        (("inter.broker.listener.name=CLIENT", "security.inter.broker.protocol=PLAINTEXT"), "plain text"),
        (("authorizer.class.name=", "#"), "no authorizer"),
        (("allow.everyone.if.no.acl.found=false", "allow.everyone.if.no.acl.found=true"), "allow.everyone"),
        (("super.users=User:node", "super.users=User:ANONYMOUS;User:node"), "`User:ANONYMOUS` is a super user"),
        (("/$1#$2/", "/$1#$2/,DEFAULT"), "whole subject"),
        (("ssl.principal.mapping.rules=", "#"), "whole subject"),
        (("auto.create.topics.enable=false", ""), "misspelt topic"),
        (("max.decompressed.message.bytes=", "#"), "may unpack to gigabytes"),
        (("unclean.leader.election.enable=false", "unclean.leader.election.enable=true"), "can be lost"),
    ],
)
def test_each_opened_door_is_found(change: tuple[str, str], found: str) -> None:
    """One change to the shipped settings, one finding that names it."""
    assert change[0] in RENDERED
    flaws = lint_properties(RENDERED.replace(*change))
    assert any(found in flaw for flaw in flaws), flaws


def test_no_settings_at_all_are_unfit() -> None:
    """Kafka's own defaults are an open cluster: the lint says so instead of finding nothing to complain of."""
    assert len(lint_properties("")) >= 5


def test_properties_are_read_as_java_reads_them() -> None:
    """Comments, both separators, continued lines, an empty value; the later of two equal keys holds."""
    text = "# c\n! c\na=1\nb : 2\nc=x,\\\n   y\nd\ne=\na=3\n"
    assert read_properties(text) == {"a": "3", "b": "2", "c": "x,y", "d": "", "e": ""}
