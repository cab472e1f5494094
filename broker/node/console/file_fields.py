"""The files of a form, from one post of it to the next, and of the draft that it becomes.

A file is staged when it comes, encrypted, and the form names it from then on by its number under a mark that is good for one user and one
run of the node; what the form says of it, its title, is a field beside. A draft holds its files until it is sent or let go of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar.datastructures import State

from broker.app.agency_node import AgencyNode
from broker.app.attachments import AttachedFile
from broker.errors import Refusal
from broker.families.attachment import SECTION
from broker.families.catalogue import FAMILIES
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.attachments import entry_json
from broker.node.console.session import Tokens, one
from broker.node.console.uploads import ATTACHED, FileFinding, Posted
from broker.node.messages import node_of
from broker.storage.drafts import Drafts

TITLE: Final = "attached_title"
"""What is to be seen in each file, in words; one for each :data:`broker.node.console.uploads.ATTACHED`."""
TITLE_LIMIT: Final = 500
GONE: Final = "this file is not here any more"
Fields = dict[str, list[str]]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file as a form shows it."""

    mark: str
    title: str
    file: AttachedFile


def attaching(kind: str) -> bool:
    """Whether messages of this family may cite files."""
    return kind in FAMILIES and SECTION in FAMILIES[kind].sections


def mark_of(request: AnyRequest, state: State, file: bytes) -> str:
    """What a page for this user names a file by."""
    tokens: Tokens = state["tokens"]
    return f"{file.hex()}-{tokens.token(f'{access.user_of(request).sha256} {file.hex()}')}"


def marked(request: AnyRequest, state: State, mark: str) -> bytes | None:
    """The number of the file that was named so for this user; None for anything else."""
    tokens: Tokens = state["tokens"]
    number, _, given = mark.partition("-")
    if len(number) != 32 or not tokens.holds(f"{access.user_of(request).sha256} {number}", given):
        return None
    return bytes.fromhex(number)


def with_files(request: AnyRequest, state: State, posted: Posted) -> tuple[Fields, list[FileFinding]]:
    """The fields of a form with its files by their numbers, those that came with it among them, and without those that are gone. The button
    that takes a file out has done so."""
    node, findings = node_of(state), list(posted.findings)
    titles = posted.fields.get(TITLE, [])
    numbers, kept = list[str](), list[str]()
    out = one(posted.fields, "do").removeprefix("detach-")
    for place, mark in enumerate(posted.fields.get(ATTACHED, [])):
        file = marked(request, state, mark)
        staged = None if file is None else node.attaching.staged.find(file)
        if staged is None or not staged.free:
            findings.append(FileFinding("NOT_FOUND", f"attachments.files[{place}]", staged.name if staged else "", GONE, "attach it again"))
        elif f"{place}" == out:
            if staged.state == "STAGED":  # that of a draft stays until the draft is handed over without it
                node.attaching.staged.drop([staged.file])
        elif staged.file.hex() not in numbers:
            numbers.append(staged.file.hex())
            kept.append(titles[place] if place < len(titles) else "")
    numbers += [each.file.hex() for each in posted.files]
    kept += [""] * len(posted.files)
    return {**posted.fields, ATTACHED: numbers, TITLE: kept}, findings


def entries(node: AgencyNode, fields: Mapping[str, list[str]]) -> list[Json] | Refusal:
    """The files of a form as the section has them."""
    made: list[Json] = []
    for place, (number, title) in enumerate(zip(fields.get(ATTACHED, []), fields.get(TITLE, []), strict=False)):
        staged = node.attaching.staged.find(bytes.fromhex(number))
        if staged is None or not staged.free:
            return Refusal("BAD_FIELD", f"{GONE}: attach it again", f"attachments.files[{place}]")
        if len(title) > TITLE_LIMIT:
            return Refusal("BAD_FIELD", f"write {TITLE_LIMIT} characters at the most", f"attachments.files[{place}].description")
        made.append(entry_json(staged.entry()) | {"description": title or None})
    return made


def shown_files(request: AnyRequest, state: State, fields: Mapping[str, list[str]]) -> list[FormFile]:
    """The files of a form for its page."""
    node, found = node_of(state), list[FormFile]()
    for number, title in zip(fields.get(ATTACHED, []), fields.get(TITLE, []), strict=False):
        staged = node.attaching.staged.find(bytes.fromhex(number))
        if staged is not None:
            found.append(FormFile(mark_of(request, state, staged.file), title, node.attached.own_file(staged)))
    return found


def files_in(body: str) -> list[Json]:
    """The entries of the files that a draft cites."""
    value: Json = msgspec.json.decode(body) if body else {}
    return value.get("sections", {}).get(SECTION, {}).get("files", [])


def draft_files(node: AgencyNode, body: str) -> list[FormFile]:
    """The files of a draft; those that are gone are not among them."""
    found: list[FormFile] = []
    for each in files_in(body):
        staged = node.attaching.staged.find(bytes.fromhex(each["file"]))
        if staged is not None:
            found.append(FormFile("", each.get("description") or "", node.attached.own_file(staged)))
    return found


def missing(node: AgencyNode, body: str) -> Refusal | None:
    """Why a draft cannot be sent with its files; None where all of them are here, and went with nothing else."""
    subject = msgspec.json.decode(body)["subject"] if body else ""
    for place, each in enumerate(files_in(body)):
        staged = node.attaching.staged.find(bytes.fromhex(each["file"]))
        if staged is None or not (staged.free or staged.subject == subject):  # it may have been sent, and the draft not told
            return Refusal("BAD_FIELD", f"{GONE}: its author attaches it again", f"attachments.files[{place}]")
    return None


def hold(state: State, body: str) -> None:
    """A draft is about to be kept: its files stay as long as it does."""
    node_of(state).attaching.staged.hold([bytes.fromhex(each["file"]) for each in files_in(body)])


def settle(state: State) -> None:
    """Drafts have changed: files that were held for one and are in none any more go. Those of the others are held, also where a process was
    killed when it was about to send them."""
    drafts: Drafts = state["drafts"]
    staged = node_of(state).attaching.staged
    cited = {bytes.fromhex(each["file"]) for body in drafts.bodies() for each in files_in(body)}
    staged.hold(cited)
    gone = [file for file in staged.held() if file not in cited]
    if gone:
        staged.drop(gone)
