"""The files of a subject on its page, and those of a form and a draft on theirs: a small picture made anew by this node, and the file as a
download. Nothing of a file's own bytes is ever part of a page.

``GET /console/subjects/{subject}/attachments/{digest}`` and ``.../thumbnail``, the same below ``/console/drafts/{id}``, and
``GET /console/compose/files/{mark}/thumbnail``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from broker.app.agency_node import AgencyNode
from broker.app.attachments import AttachedFile, NotTheFile, NotWhole
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.attachments import SANDBOX, cited, download, given, shown
from broker.node.console.file_fields import draft_files, marked
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.storage.drafts import Drafts


@get("/subjects/{subject:str}/attachments/{digest:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleAttachment")
async def file(request: AnyRequest, state: State, subject: FromPath[str], digest: FromPath[str]) -> Response[Any]:
    """The file, to be saved."""
    node = node_of(state)
    return await given(node, shown(request, node, subject), digest)


@get(
    "/subjects/{subject:str}/attachments/{digest:str}/thumbnail", opt={"roles": access.STAFF, "content": True},
    operation_id="consoleThumbnail",
)  # fmt: skip
async def thumbnail(request: AnyRequest, state: State, subject: FromPath[str], digest: FromPath[str]) -> Response[bytes]:
    """A PNG of 256 pixels at the most."""
    node = node_of(state)
    answer = shown(request, node, subject)
    return await _small(node, answer.row.originator, cited(node, answer, digest))


@get("/compose/files/{mark:str}/thumbnail", opt={"roles": access.STAFF, "content": True}, operation_id="consoleFormThumbnail")
async def form_thumbnail(request: AnyRequest, state: State, mark: FromPath[str]) -> Response[bytes]:
    """That of a file of a form which is being written, for who writes it."""
    node, number = node_of(state), marked(request, state, mark)
    staged = None if number is None else node.attaching.staged.find(number)
    if staged is None:
        raise NotDone("NOT_FOUND", "there is no such file")
    return await _small(node, node.agency, node.attached.own_file(staged))


@get("/drafts/{draft_id:str}/attachments/{digest:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleDraftFile")
async def draft_file(state: State, draft_id: FromPath[str], digest: FromPath[str]) -> Response[Any]:
    """A file of a draft that waits or was returned, to be saved."""
    node = node_of(state)
    return await download(node, node.agency, _of_draft(state, draft_id, digest))


@get(
    "/drafts/{draft_id:str}/attachments/{digest:str}/thumbnail", opt={"roles": access.STAFF, "content": True},
    operation_id="consoleDraftThumbnail",
)  # fmt: skip
async def draft_thumbnail(state: State, draft_id: FromPath[str], digest: FromPath[str]) -> Response[bytes]:
    """That of a file of a draft."""
    node = node_of(state)
    return await _small(node, node.agency, _of_draft(state, draft_id, digest))


def _of_draft(state: State, draft_id: str, digest: str) -> AttachedFile:
    """Raises NotDone."""
    drafts: Drafts = state["drafts"]
    draft = drafts.get(draft_id)
    found = [each.file for each in draft_files(node_of(state), draft.body) if each.file.digest == digest] if draft else []
    if not found:
        raise NotDone("NOT_FOUND", "the draft has no such file")
    return found[0]


async def _small(node: AgencyNode, originator: str, found: AttachedFile) -> Response[bytes]:
    """Raises NotDone."""
    try:
        small = await asyncio.to_thread(node.attached.thumbnail, originator, found)
    except (NotWhole, NotTheFile) as error:
        raise NotDone(error.code, str(error)) from error
    if small is None:
        raise NotDone("NOT_FOUND", "there is no small picture of this file")
    return Response(small, media_type="image/png", headers=SANDBOX)
