"""The program on the first screen of the README is the file in docs/, and does what the README says it prints."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

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


def test_it_is_short() -> None:
    """At most 15 lines of code, imports included; docstrings explain and do nothing."""
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None
    }
    lines = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt) and id(node) not in docstrings}
    assert 5 < len(lines) <= 15
