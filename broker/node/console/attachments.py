"""The files of a subject on its page: a small picture made anew by this node, and the file as a download. Nothing of a file's own bytes is
ever part of a page.

``GET /console/subjects/{subject}/attachments/{digest}`` and ``.../thumbnail``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from broker.app.attachments import NotTheFile, NotWhole
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.attachments import SANDBOX, cited, given, shown
from broker.node.messages import node_of
from broker.node.problems import NotDone


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
    found = cited(node, answer, digest)
    try:
        small = await asyncio.to_thread(node.attached.thumbnail, answer, found)
    except (NotWhole, NotTheFile) as error:
        raise NotDone(error.code, str(error)) from error
    if small is None:
        raise NotDone("NOT_FOUND", "there is no small picture of this file")
    return Response(small, media_type="image/png", headers=SANDBOX)
