"""``trust.json``: a snapshot of the signed directory in a home, so that parcels can be verified without Kafka.

Nothing in it has to be believed: it is read back through the same checks as the topic, against the pin beside it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

from broker.errors import Refusal, UsageError
from broker.exchange.rules import Rules
from broker.service.knowledge import Knowledge
from broker.storage import atomic
from broker.storage.home import AgencyHome, ExchangeHome, agencies_in
from broker.storage.schemas import load_catalogue
from broker.trust.directory import Directory

NAME: Final = "trust.json"


def keep_trust(home: Path, agency: str | None, knowledge: Knowledge) -> None:
    """Write the snapshot of what was read into the folder of its reader."""
    folder = ExchangeHome(home).folder if agency is None else AgencyHome(home, agency).folder
    content = {
        "exchange_id": knowledge.rules.exchange_id,
        "environment": knowledge.rules.environment,
        "registrar_spki": knowledge.rules.directory.registrar.spki.hex(),
        "policy_version": knowledge.rules.policy_version,
        "entries": [base64.b64encode(entry).decode() for entry in knowledge.entries],
    }
    atomic.replace(folder / NAME, (json.dumps(content, indent=1) + "\n").encode())


def trust_folders(home: Path) -> list[Path]:
    """Where a home may hold a snapshot: the operator's side first."""
    return [ExchangeHome(home).folder, *(AgencyHome(home, agency).folder for agency in agencies_in(home))]


def read_trust(folders: list[Path]) -> Rules:
    """The view of the first snapshot found. Raises UsageError where there is none, or where it is not what it should be."""
    for folder in folders:
        path = folder / NAME
        if path.is_file():
            return _rules(path)
    raise UsageError(
        f"there is no {NAME} in {', '.join(map(str, folders)) or 'this home'}",
        advice="run `broker agency list` once while the exchange is up, or name a folder with --trust",
    )


def _rules(path: Path) -> Rules:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        directory = Directory.trusting(bytes.fromhex(content["registrar_spki"]), content["exchange_id"], content["environment"])
        entries = [base64.b64decode(entry, validate=True) for entry in content["entries"]]
        version = int(content["policy_version"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"`{path}` is not a trust snapshot", advice="run `broker agency list` to write it again") from error
    for entry in entries:
        applied = directory.applied(entry)
        if isinstance(applied, Refusal):
            raise UsageError(f"`{path}` holds a bad directory entry: {applied.reason}", advice=applied.advice)
        directory = applied
    return Rules.of(directory, load_catalogue(), version)
