"""What is withheld is nowhere: not in the inbox, not in a file of the agency's, not in a log; nor is who else was addressed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import Phase, settings
from hypothesis import given as for_all

from broker.exchange import relay
from broker.exchange.post import Post
from broker.exchange.topology import DAY_MS
from broker.policy.decide import Decider
from broker.testing.samples import START_MS
from tests.property.leaks import Scene, Sent, bundle, given, moved, run
from tests.property.marked import marked, places
from tests.property.scenes import FAMILIES, scenes

SCENE = Scene(
    seed=1,
    members=(("SG", "customs", (0,)), ("AE", "zone", ()), ("TH", "licensing", (0, 1)), ("DE", "police", ()), ("SG", "international", (1,))),
    messages=(
        Sent("alert", "AMBER", "H0", (0, 3), (0, 1), ("AE",), False),
        Sent("entity_watch", "AMBER", "H3", (3,), (0,), (), False),
        Sent("rfi", "GREEN", "H0", (0,), (1,), (), False),
        Sent("licence", "AMBER", "H0", (2,), (0,), ("DE",), False),
    ),
)


def test_every_section_of_every_family_has_texts_to_look_for() -> None:
    """Each section but that of a request, which has none, has at least one text that is exchanged for one that is nowhere else."""
    for family in FAMILIES:
        sections = {path[0] for path in places(family)}
        assert sections == set(marked(family, lambda _: "X").sections) - ({"core"} if family == "rfi" else set())


@pytest.mark.parametrize("days", [-60, 400])
def test_messages_are_good_at_any_time(days: int) -> None:
    """Moved to another time, a marked message of every family is still accepted then: the search on Kafka runs by the clock of the day."""
    then = START_MS + days * DAY_MS
    decider = Decider(bundle(), SCENE.everybody())
    for family in FAMILIES:
        given(decider, moved(marked(family, lambda _: "ZQ0MARK0MARK0"), days * DAY_MS), then)  # fails where it is refused


PLAINLY = settings(deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""A scene takes two seconds of processor time: what fails is not made smaller, which would take as many minutes."""


@settings(PLAINLY, max_examples=6)
@for_all(scenes)
def test_nobody_holds_what_it_was_not_given(scene: Scene) -> None:
    """Random members and messages of all families: searched byte by byte, nobody has a withheld section or the name of another."""
    assert asyncio.run(run(scene)).leaks == ()


@pytest.mark.soak
@settings(PLAINLY, max_examples=150)
@for_all(scenes)
def test_nobody_holds_what_it_was_not_given_long(scene: Scene) -> None:
    """The same with 150 scenes."""
    assert asyncio.run(run(scene)).leaks == ()


def test_the_search_has_something_to_find() -> None:
    """A scene of four messages has hundreds of secrets and some dozens of sections that were given, and each of these is found."""
    found = asyncio.run(run(SCENE))
    assert found.leaks == ()
    assert found.secrets > 300
    assert found.given > 20
    assert found.places > 30


def _all_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = Post.deliver

    def leaking(self: Post, authentic: Any, release: Any, note: Any) -> int:
        return deliver(self, authentic, replace(release, given=(*release.given, *release.withheld)), note)

    monkeypatch.setattr(Post, "deliver", leaking)


def _audience(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = Post.deliver

    def leaking(self: Post, authentic: Any, release: Any, note: Any) -> int:
        return deliver(self, authentic, replace(release, given=(*release.given, ("audience", "leak"))), note)

    monkeypatch.setattr(Post, "deliver", leaking)


def _rule_that_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    reach = relay.reach

    def leaking(*arguments: Any) -> Any:
        reached = reach(*arguments)
        others = ",".join(each.agency for each in reached.releases)
        return replace(reached, releases=tuple(replace(each, rule=others) for each in reached.releases))

    monkeypatch.setattr(relay, "reach", leaking)


def _log(monkeypatch: pytest.MonkeyPatch) -> None:
    read = relay.open_section

    def leaking(*arguments: Any) -> Any:
        structlog.get_logger("relay").warning("audience", record=read(*arguments))
        return read(*arguments)

    monkeypatch.setattr(relay, "open_section", leaking)


@pytest.mark.parametrize(
    ("variant", "what", "where"),
    [
        (_all_sections, "a text of parties of", "inbox"),
        (_audience, "the community", "inbox"),
        (_rule_that_tells, "the name of", "inbox"),
        (_log, "the name of", "what was logged"),
    ],
)
def test_a_relay_that_leaks_is_caught(variant: Any, what: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Withheld sections delivered, the audience delivered, recipients told on the slip, the audience logged: each is found where it is."""
    variant(monkeypatch)
    leaks = asyncio.run(run(SCENE)).leaks
    assert any(what in leak and leak.endswith(f"in {where}") for leak in leaks)
