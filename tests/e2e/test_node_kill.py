"""A node that is killed while messages are posted to it: each is delivered once, under the id that was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.licence_life import licence_scene
from tests.e2e.node_kill_show import show
from tests.e2e.report import Report

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize(("posts", "kills"), [(300, 3), pytest.param(20_000, 20, marks=pytest.mark.soak)])
def test_killed_while_posts_come(posts: int, kills: int, tmp_path: Path) -> None:
    """SIGKILL at random moments, the same bytes again under the same key: nothing lost, doubled, or told under two ids."""
    report = Report()
    with licence_scene(tmp_path) as scene:
        show(report, scene, posts, kills, seed=1)
    assert report.failures == []
