"""What `import broker` gives, and what it costs."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import broker


@pytest.mark.parametrize("name", broker.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    """A name that is promised can be imported, and says what it is for."""
    found = getattr(broker, name)
    assert inspect.getdoc(found)


def test_checkers_see_the_same_names_as_programs() -> None:
    """The imports that only type checkers run name exactly the public names, from where they are loaded."""
    tree = ast.parse(Path(broker.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("broker")]
    assert sorted(alias.name for node in imports for alias in node.names) == sorted(broker.__all__)
    for node in imports:
        for alias in node.names:
            assert getattr(__import__(str(node.module), fromlist=["_"]), alias.name) is getattr(broker, alias.name)


def test_another_name_is_an_error_that_helps() -> None:
    """A misspelt name tells which there are."""
    with pytest.raises(AttributeError, match=r"no `Publsher`.*Publisher"):
        getattr(broker, "Publsher")  # noqa: B009 - a type checker would not let it pass


@pytest.mark.parametrize("program", ["import broker", "from broker import alert, Audience, Message, Publisher, Subscriber, Member, DONE"])
def test_no_kafka_client_is_loaded(program: str) -> None:
    """Neither the package nor any name but `connect` brings a Kafka client: messages are built, and tests run, without one."""
    check = f"{program}\nimport sys\nprint([name for name in ('aiokafka', 'confluent_kafka', 'jgo') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


def test_connect_is_the_one_that_brings_it() -> None:
    """The check above can fail: the client is loaded where it is needed."""
    check = "from broker import connect\nimport sys\nprint('aiokafka' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "True"
