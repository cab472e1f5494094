"""The register from the command line, over a real exchange: three agencies, a licence's life, an alert that cites it, Kafka gone."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.licence_life import READERS, Scene, alert, decision, licence_scene
from tests.e2e.test_cli import called

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    """`broker up` with the three."""
    with licence_scene(tmp_path_factory.mktemp("register")) as made:
        yield made


@pytest.fixture(scope="module")
def joined(scene: Scene) -> Path:
    """A home with members."""
    return scene.exchange.home


def test_a_licence_at_three_agencies(scene: Scene) -> None:
    """Granted, suspended, reinstated, revoked: after each step the issuer and both customs services show the same; the alert that cites
    it is flagged while it is stopped, with the in-transit instruction; then Kafka goes, and the register still answers, with its age."""
    unknown = scene.licence("DE-BAFA", code=1)  # from here on its own decisions come into its register
    assert (unknown["status"], unknown["as_of"], unknown["reachable"]) == (None, None, True)
    scene.publish(alert())
    steps: tuple[tuple[str, dict[str, Any], str, list[str]], ...] = (
        ("GRANT", {}, "VALID", []),
        ("SUSPEND", {"shipments_in_transit_instruction": "HOLD"}, "SUSPENDED", ["LICENCE_SUSPENDED"]),
        ("REINSTATE", {"final_assessment": "cleared"}, "VALID", []),
        ("REVOKE", {"shipments_in_transit_instruction": "RETURN"}, "REVOKED", ["LICENCE_REVOKED"]),
    )
    for revision, (kind, core, status, flags) in enumerate(steps, 1):
        scene.publish(decision(kind, revision, **core))
        for agency in READERS:
            shown = scene.licence(agency)
            assert (shown["status"], shown["revision"], shown["reachable"]) == (status, revision, True), agency
            assert shown["instruction"] == core.get("shipments_in_transit_instruction")
            assert shown["items"][0]["remaining"] == "4"
            assert shown["as_of"] >= shown["admitted_at"]
        (found,) = scene.alerts("--container", "csqu 305438-3")
        assert [flag["code"] for flag in found["flags"]] == flags
    assert [found["subject"] for found in scene.alerts("--party", "romashka", "--licence", "2026-0815")] == ["SG-CUSTOMS/2026/1"]
    assert scene.alerts("--party", "Rosmarin") == []
    (flag,) = scene.call("register", "flags", "--as", "MY-CUSTOMS", "--json").lines
    assert (flag["code"], flag["instruction"]) == ("LICENCE_REVOKED", "RETURN")
    text = scene.call("licence", "show", "2026-0815", "--as", "SG-CUSTOMS").out
    assert "REVOKED" in text
    assert "shipments in transit: RETURN" in text


def test_followed_while_others_look(scene: Scene) -> None:
    """`register follow` keeps it; look-ups of other processes read it meanwhile and say so; Ctrl-C ends it with 130."""
    with scene.program.started("register", "follow", "--as", "MY-CUSTOMS", "--home", scene.exchange.home) as following:
        scene.publish(alert(2))
        for _ in range(50):  # each look-up is a process of its own: no pause is needed
            (found,) = scene.alerts("--document", "hlcu-1")
            if found["revision"] == 2 and found["reachable"] is None:
                break
        else:
            pytest.fail("the second revision did not come by way of the process that follows")
        assert found["note"] == "another process keeps this register"
        following.process.send_signal(signal.SIGINT)
        assert following.wait().code == 130


def test_while_kafka_is_away(scene: Scene) -> None:
    """Nobody listens at the address: the answer is what is stored, with its age and the reason; an agency that has stored nothing ends
    with 3."""
    away = ("--bootstrap", "127.0.0.1:9", "--wait", "1")
    shown = scene.licence("SG-CUSTOMS", *away)
    assert (shown["status"], shown["reachable"]) == ("REVOKED", False)
    assert shown["as_of"] is not None
    assert shown["note"]
    for register in scene.exchange.home.glob("agencies/DE-BAFA/register.sqlite*"):
        register.unlink()
    empty = scene.call("alert", "find", "--container", "CSQU3054383", "--as", "DE-BAFA", *away, code=3)
    assert "the register is empty" in empty.err
    doubtful = scene.call("alert", "find", "--container", "CSQU3054384", "--as", "MY-CUSTOMS", *away)
    assert "CSQU3054383" in doubtful.err, "the number that was mistyped, with the digit that it should have"


@pytest.mark.parametrize(
    "arguments",
    [("alert", "find"), ("alert", "find", "--container", "%"), ("licence", "show", "1", "--wait", "0"), ("licence", "show", "/./")],
)
def test_wrong_use(arguments: tuple[str, ...], joined: Path) -> None:
    """Nothing to look for, signs only, or a wait that is none: exit code 2 and what to give."""
    code, _, err = called(*arguments, "--as", "SG-CUSTOMS", "--home", str(joined))
    assert code == 2
    assert "nothing to look for" in err or "out of range" in err
