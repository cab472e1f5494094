"""Who may use a node, or the operator's pages: what both commands do with the folder that says so."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from rich.markup import escape

from broker.cli.named_files import read_text
from broker.cli.screen import Common, Screen, printable
from broker.storage.clock import SystemClock
from broker.storage.node_folder import NodeFolder, User


def add(
    folder: NodeFolder,
    common: Common,
    name: str,
    role: str,
    units: tuple[str, ...],
    certificate: Path | None = None,
    bearer: tuple[str, str] | None = None,
) -> int:
    """Let somebody in: makes a key and a certificate but where one of another authority is given, or a token's issuer and subject."""
    given = None if certificate is None else read_text(str(certificate))
    made, file = folder.add(name, role, units, SystemClock().now_ms(), given, bearer)
    record = _user_json(made) | {"file": None if file is None else str(file)}
    text = f"[green]added[/] {made.name}, {made.role} of {', '.join(made.units)}"
    if file is not None:
        password = new_password()
        browser = folder.for_browser(made.name, password)
        record |= {"browser_file": str(browser), "password": password}
        text += f", certificate and key in {escape(printable(str(file)))}"
        text += f"\n  for a browser: {escape(printable(str(browser)))}, password {password} [dim](it is not told again)[/dim]"
    Screen(as_json=common.json).result(record, text)
    return 0


def bind(folder: NodeFolder, common: Common, name: str, issuer: str, subject: str) -> int:
    """Take bearer tokens as a user's."""
    bound = folder.bind(name, issuer, subject)
    Screen(as_json=common.json).result(_user_json(bound), f"[green]bound[/] {bound.name} to the tokens of {escape(printable(subject))}")
    return 0


def tell(folder: NodeFolder, common: Common) -> int:
    """List them."""
    screen = Screen(as_json=common.json)
    for each in folder.users():
        screen.result(_user_json(each), f"{each.name:<20} {each.role:<11} {', '.join(each.units)}  [dim]{_known_by(each)}[/dim]")
    return 0


def remove(folder: NodeFolder, common: Common, name: str) -> int:
    """Let a user in no longer."""
    gone = folder.remove(name)
    Screen(as_json=common.json).result(_user_json(gone) | {"removed": True}, f"[yellow]removed[/] {gone.name}")
    return 0


def new_password() -> str:
    """The password of a file for a browser: 80 bits, in letters that nobody takes for others."""
    letters = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(16))
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def _user_json(found: User) -> dict[str, Any]:
    return {
        "name": found.name, "role": found.role, "units": list(found.units), "sha256": found.sha256, "added": found.added,
        "own_certificate": found.certificate is not None, "issuer": found.issuer, "subject": found.subject,
    }  # fmt: skip


def _known_by(found: User) -> str:
    certificate = f"{found.sha256[:16]}…" if found.sha256 else ""
    token = f"token of {escape(printable(found.subject))}" if found.subject else ""
    return " ".join(each for each in (certificate, token) if each)
