"""A form with files, read while it comes (multipart/form-data, RFC 7578): its fields are few and small, and of a file each part is
encrypted on its way to the disk. Nothing of a file is kept before the form's token was seen to be good; a form that does not come to its
end leaves nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from litestar.datastructures import State
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from broker.families.attachment import FILES_LIMIT, MESSAGE_FILES_LIMIT
from broker.node.answers import AnyRequest, media_of
from broker.node.attachments import coming
from broker.node.console.session import FIELDS, FORM, checked, fields_of, from_own_page
from broker.node.messages import node_of
from broker.node.multipart_pieces import until_last_break
from broker.node.problems import NotDone
from broker.storage.staged_files import BadFile, FileTooLarge, Staged, Staging

MULTIPART: Final = "multipart/form-data"
TEXT: Final = 1 << 20
"""Most bytes of all fields of a form that are no files, and of a form without files."""
BODY: Final = MESSAGE_FILES_LIMIT + (2 << 20)
"""Longest body of a form with files."""
UPLOAD: Final = "upload"
"""The field of files; it comes after the token."""
ATTACHED: Final = "attached"
"""The hidden fields that name files which came with an earlier post of the form."""


@dataclass(frozen=True, slots=True)
class FileFinding:
    """Why a file of a form is not attached. ``path``: its place among those that were chosen, or in the message."""

    code: str
    path: str
    name: str
    reason: str
    advice: str = ""


@dataclass
class Posted:
    """A form: its fields, the files that came with it and are staged, and what is wrong with those that are not."""

    fields: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    files: list[Staged] = field(default_factory=list[Staged])
    findings: list[FileFinding] = field(default_factory=list[FileFinding])


async def posted_with_files(request: AnyRequest, state: State) -> Posted:
    """A form that one of this node's pages posted, with files or without. Raises NotDone for any other; nothing of it is kept then."""
    from_own_page(request)
    media = media_of(request)
    if media == FORM:
        return Posted(checked(request, state["tokens"], fields_of(await _text(request))))
    boundary = request.content_type[1].get("boundary", "")
    if media != MULTIPART or not boundary:
        raise NotDone("BAD_MEDIA_TYPE", "a form is sent as the page sends it")
    with ExitStack() as bringing:
        reader = _Reader(request, state, bringing)
        try:
            await reader.read(PushMultipartParser(boundary, max_segment_count=FIELDS, strict=True))
            checked(request, state["tokens"], reader.posted.fields)
        except BaseException as error:
            reader.leave()
            if isinstance(error, MultipartError | UnicodeDecodeError):
                raise NotDone("BAD_REQUEST", "this is no form of a page, or it did not come whole") from error
            raise
    return reader.posted


async def _text(request: AnyRequest) -> bytes:
    """A body without files; not more than :data:`TEXT` is ever held."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > TEXT:
            raise NotDone("TOO_LONG", f"a form has {TEXT >> 20} MiB at the most")
    return bytes(body)


class _Reader:
    """One form while it comes."""

    def __init__(self, request: AnyRequest, state: State, bringing: ExitStack) -> None:
        """``bringing`` is entered with the first file."""
        self._request, self._state, self._node, self._bringing = request, state, node_of(state), bringing
        self._store = self._node.attaching.staged
        self.posted = Posted()
        self._part: MultipartSegment | None = None
        self._text, self._left = bytearray(), TEXT
        self._staging: Staging | None = None
        self._number = -1

    async def read(self, parser: PushMultipartParser) -> None:
        """All of it. Raises MultipartError, NotDone."""
        async for piece in until_last_break(self._request.stream()):
            for event in parser.parse(piece):
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif event is None:
                    await self._end()
                else:
                    await self._more(bytes(event))
        parser.close()

    def leave(self) -> None:
        """It does not come to its end, or is not ours: what was kept of its files goes."""
        if self._staging is not None:
            self._staging.leave()
        self._store.drop([each.file for each in self.posted.files])

    @property
    def _is_file(self) -> bool:
        return self._part is not None and self._part.filename is not None

    def _begin(self, part: MultipartSegment) -> None:
        self._part, self._text = part, bytearray()
        if not self._is_file:
            return
        if part.name != UPLOAD:
            raise NotDone("BAD_REQUEST", "the form has no such field for files")
        checked(self._request, self._state["tokens"], self.posted.fields)
        if not part.filename:
            return  # no file was chosen
        self._number += 1
        if not self._number:
            self._bringing.enter_context(coming(self._request))
        if len(self.posted.fields.get(ATTACHED, [])) + len(self.posted.files) >= FILES_LIMIT:
            self._refuse("TOO_LONG", f"a message cites {FILES_LIMIT} files at the most", "leave one out")
            return
        try:
            self._staging = self._store.begin(part.filename)
        except BadFile as error:
            self._refuse(error.code, str(error), error.advice)

    async def _more(self, data: bytes) -> None:
        if not self._is_file:
            self._left -= len(data)
            if self._left < 0:
                raise NotDone("TOO_LONG", f"the fields of a form have {TEXT >> 20} MiB at the most")
            self._text += data
        elif self._staging is not None:
            try:
                await asyncio.to_thread(self._staging.take, data)
            except BadFile as error:
                self._refuse(error.code, str(error), error.advice)

    async def _end(self) -> None:
        part = self._part
        if part is None or self._is_file:
            await self._end_file()
        else:
            text = self._text.decode("utf-8").replace("\r\n", "\n").strip()
            self.posted.fields.setdefault(part.name or "", []).append(text)
        self._part = None

    async def _end_file(self) -> None:
        if self._staging is None:
            return
        try:
            staged = await asyncio.to_thread(self._staging.end)
            if sum(each.size for each in self.posted.files) + staged.size > MESSAGE_FILES_LIMIT:
                most = f"the files of a message have {MESSAGE_FILES_LIMIT >> 20} MiB together at the most"
                raise FileTooLarge(most, advice="leave it out")
        except BadFile as error:
            self._refuse(error.code, str(error), error.advice)
            return
        self._store.keep(staged, self._node.now_ms())
        self.posted.files.append(staged)
        self._staging = None

    def _refuse(self, code: str, reason: str, advice: str) -> None:
        """The file that is coming is not taken: what was kept of it goes, and what is still to come of it is passed over."""
        if self._staging is not None:
            self._staging.leave()
            self._staging = None
        name = (self._part.filename if self._part else None) or ""
        self.posted.findings.append(FileFinding(code, f"attachments.upload[{self._number}]", name[:120], reason, advice))
