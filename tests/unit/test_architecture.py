"""The shape of the code base, held by tests where a linter cannot."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = ("exchange", "screening", "register", "policy", "families", "trust", "schema", "envelope")
MODULES = sorted(path for path in (ROOT / "broker").rglob("*.py"))

_BLOCKED = """
import importlib, pkgutil, socket, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"aiokafka", "confluent_kafka", "asyncio", "sqlite3", "structlog"}:
            raise ImportError("blocked: " + name)
def no_network(*arguments, **options):
    raise OSError("blocked: a socket")
socket.socket.__init__ = no_network  # the name stays: cryptography imports the module by way of email
sys.meta_path.insert(0, Block())
for package in sys.argv[1:]:
    module = importlib.import_module("broker." + package)
    for found in pkgutil.walk_packages(module.__path__, module.__name__ + "."):
        importlib.import_module(found.name)
"""


def test_the_pure_core_imports_without_network_event_loop_or_kafka() -> None:
    """Every module below the pure line imports in a process where sockets, asyncio, SQLite and the Kafka clients are blocked."""
    done = subprocess.run([sys.executable, "-c", _BLOCKED, *PURE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_small_enough_to_read(path: Path) -> None:
    """No file has over 500 lines, no function over 60: the budgets that keep the code readable in an afternoon."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(ROOT / "broker").parts[0] in PURE], ids=lambda p: p.stem)
def test_the_pure_core_never_awaits(path: Path) -> None:
    """No coroutine below the pure line: it takes values and returns values."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)


def test_no_file_of_the_core_is_named_after_nothing() -> None:
    """Files are named after their subject: none is a drawer for what has no place."""
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "base", "misc"}
    assert not [path for path in MODULES if path.stem in vague]
