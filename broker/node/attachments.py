"""Files that belong to messages: ``PUT /attachments`` takes one in, ``GET /subjects/{subject}/attachments`` lists and gives them.

A file comes in as the bytes of a body, is judged by its content and encrypted on its way to the disk. The answer is its entry for the
``attachments`` section of the message that is to cite it; its chunks are sent when the exchange has accepted that message. A path of the
node's disk is nothing that a client can name.

What goes out is for those to whom the section is shown for the purpose, as a download under a name that cannot lead anywhere, in a sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote

import msgspec
from litestar import Response, get, put
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from broker import ids
from broker.app.agency_node import AgencyNode
from broker.app.attachments import AttachedFile, NotTheFile, NotWhole
from broker.errors import StoreError, UsageError
from broker.families.attachment import FILE_LIMIT, NAME_LIMIT, SECTION, Attachment
from broker.node import access
from broker.node.answers import JSON, AnyRequest
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.node.register import withheld_of
from broker.register.answers import SubjectAnswer
from broker.storage.staged_files import BadFile, FileTooLarge, Staging

AT_ONCE: Final = 4
"""Most requests at a time that bring files."""
SANDBOX: Final = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
_coming: Final[set[int]] = set()


@contextmanager
def coming(request: AnyRequest) -> Generator[None]:
    """While the files of a request come in. Raises NotDone where :data:`AT_ONCE` others bring some."""
    if len(_coming) >= AT_ONCE:
        raise NotDone("TOO_MANY", "other files are coming in", {"Retry-After": "2"})
    _coming.add(id(request))
    try:
        yield
    finally:
        _coming.discard(id(request))


@put(
    "/attachments", status_code=201, opt={"roles": access.STAFF}, request_max_body_size=FILE_LIMIT, tags=["publish"],
    operation_id="attach",
)  # fmt: skip
async def attach(
    request: AnyRequest,
    state: State,
    name: Annotated[str, QueryParameter(name="name", min_length=1, max_length=NAME_LIMIT, description="The file's plain name.")],
    description: Annotated[str | None, QueryParameter(name="description", max_length=500, description="What is to be seen.")] = None,
) -> Response[bytes]:
    """Take a file in, up to 50 MiB: the body is its bytes. The answer is its entry for the `attachments` section of a message, which is to
    be published within a day. It holds the key of the file: it goes nowhere else."""
    node = node_of(state)
    with coming(request):
        try:
            staging = node.attaching.staged.begin(name, description)
            entry = await _taken(node, request, staging)
        except FileTooLarge as error:
            raise NotDone("TOO_LONG", str(error)) from error
        except BadFile as error:
            raise NotDone("BAD_FILE", f"{error}; {error.advice}") from error
    return Response(msgspec.json.encode(entry_json(entry)), status_code=201, media_type=JSON)


async def _taken(node: AgencyNode, request: AnyRequest, staging: Staging) -> Attachment:
    """The file from the body, part by part; the disk is waited for in another thread."""
    try:
        async for part in _parts(request):
            await asyncio.to_thread(staging.take, part)
        staged = await asyncio.to_thread(staging.end)
        node.attaching.staged.keep(staged, node.now_ms())
    except BaseException:
        staging.leave()
        raise
    return staged.entry()


async def _parts(request: AnyRequest) -> AsyncIterator[bytes]:
    async for part in request.stream():
        yield part


def entry_json(entry: Attachment) -> dict[str, Any]:
    """An entry of the section in its JSON form."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in entry.items()}


def shown(request: AnyRequest, node: AgencyNode, subject: str) -> SubjectAnswer:
    """The subject as it is shown for the purpose. Raises NotDone."""
    try:
        named = ids.subject_id(unquote(subject))
    except ids.InvalidId as error:
        raise UsageError(str(error), advice=error.advice) from error
    try:
        found = node.reader().subject(named, node.now_ms())
    except StoreError as error:
        raise NotDone("NOT_FOUND", "nothing has come to this node yet") from error
    if found is None:
        raise NotDone("NOT_FOUND", "nothing of this subject is here")
    purpose = access.purpose_of(request)
    use = node.purposed(purpose)
    answer = use.subject(found)
    if answer is None:
        told = withheld_of(use.withheld.values(), purpose)
        raise NotDone("NOT_SHOWN", str(told[0]["reason"]) if told else "it is not shown for this purpose")
    return answer


@get("/subjects/{subject:str}/attachments", opt={"roles": access.STAFF, "content": True}, tags=["read"], operation_id="attachments")
async def attachments(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[bytes]:
    """The files that a subject cites, and how much of each is here. The slashes of the subject's id are written `%2F`."""
    node = node_of(state)
    answer = shown(request, node, subject)
    told = {
        "subject": answer.row.subject, "files": [each.told() for each in node.attached.of(answer)],
        "withheld": SECTION in answer.row.withheld.split(),
    }  # fmt: skip
    return Response(msgspec.json.encode(told | node.environment()), media_type=JSON)


@get(
    "/subjects/{subject:str}/attachments/{digest:str}", opt={"roles": access.STAFF, "content": True}, tags=["read"],
    operation_id="attachment",
)  # fmt: skip
async def attachment(request: AnyRequest, state: State, subject: FromPath[str], digest: FromPath[str]) -> Response[Any]:
    """A file, by its SHA-256: all of it is here and is the one that was cited, or nothing is given."""
    node = node_of(state)
    answer = shown(request, node, subject)
    return await given(node, answer, digest)


async def given(node: AgencyNode, answer: SubjectAnswer, digest: str) -> Stream:
    """A file of a subject as a download. Raises NotDone."""
    return await download(node, answer.row.originator, cited(node, answer, digest))


async def download(node: AgencyNode, originator: str, found: AttachedFile) -> Stream:
    """A file of this agency as a download, under its media type, in a sandbox. Raises NotDone."""
    try:
        pieces = await asyncio.to_thread(node.attached.pieces, originator, found)
    except (NotWhole, NotTheFile) as error:
        raise NotDone(error.code, str(error)) from error
    headers = {
        **SANDBOX, "Content-Disposition": f"attachment; filename=\"file\"; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Length": str(found.size),
    }  # fmt: skip
    return Stream(pieces, media_type=found.media_type, headers=headers)


def cited(node: AgencyNode, answer: SubjectAnswer, digest: str) -> AttachedFile:
    """The file of this digest among those that a subject cites, as it is shown. Raises NotDone."""
    found = node.attached.find(answer, digest)
    if found is None and SECTION in answer.row.withheld.split():
        raise NotDone("NOT_SHOWN", "the files of this subject are withheld")
    if found is None:
        raise NotDone("NOT_FOUND", "it cites no such file")
    return found
