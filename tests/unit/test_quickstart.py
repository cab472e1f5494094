"""The programs one begins with: they are in docs/, are shown in the documents as they are, are short, and do what is said of them."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from broker.storage.clock import SystemClock
from broker.testing.local import LocalExchange
from tests.support.documents import blocks

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "docs" / "quickstart.py"


def test_the_readme_shows_the_program_as_it_is() -> None:
    """A reader who copies it from the README runs what is tested here."""
    assert PROGRAM.read_text(encoding="utf-8") in [block.text for block in blocks(ROOT / "README.md", "python")]


def test_it_prints_what_the_readme_says() -> None:
    """Run as a user runs it, in a process of its own: delivered to one, withheld in part from another, nothing for the third."""
    ran = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stderr == ""
    assert ran.stdout in [block.text for block in blocks(ROOT / "README.md", "text")]
    delivered, narrowed, denied = ran.stdout.splitlines()
    assert delivered.startswith("AE-CUSTOMS reads core,")
    assert "withheld: {'equipment': 'default-deny'" in narrowed
    assert denied.startswith("DE-CUSTOMS gets nothing, by stop-amber-strict-unnamed")


@pytest.mark.parametrize("name", ["quickstart.py", "publish.py", "subscribe.py"])
def test_it_is_short(name: str) -> None:
    """At most 15 lines of code, imports included; docstrings explain and do nothing."""
    tree = ast.parse((ROOT / "docs" / name).read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None
    }
    lines = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt) and id(node) not in docstrings}
    assert 5 < len(lines) <= 15


@pytest.mark.parametrize("name", ["publish.py", "subscribe.py"])
def test_the_integrators_page_shows_the_programs_as_they_are(name: str) -> None:
    """What a developer copies from docs/integrator.md is what is tested here."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") in [block.text for block in blocks(ROOT / "docs" / "integrator.md", "py")]


async def test_publish_and_subscribe_reach_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """The two programs, each as one agency of an exchange in memory: what the one warns of, the other reads, less what is withheld."""
    publish, subscribe = (runpy.run_path(str(ROOT / "docs" / name)) for name in ("publish.py", "subscribe.py"))
    async with LocalExchange(clock=SystemClock()) as exchange:
        singapore, bafa = await exchange.join("SG-CUSTOMS", "customs"), await exchange.join("DE-BAFA", "licensing")
        await publish["main"](singapore.member, "DE-BAFA")
        await subscribe["main"](bafa.member, idle_timeout=0.5)
    accepted, given, read = capsys.readouterr().out.splitlines()
    assert accepted == "ACCEPTED"
    assert given == "DE-BAFA: core, goods"
    assert read.startswith("SG-CUSTOMS SG-CUSTOMS/quick/")
    assert read.endswith("DUAL_USE withheld: equipment parties route")
