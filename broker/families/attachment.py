"""Files that belong to a message: the ``attachments`` section of the families that cite them, and the family that carries their bytes.

A file (a photograph, an X-ray picture, a document) is cut into *chunks*, each encrypted under a key of the file's own. The key travels in
the ``attachments`` section of the message that cites the file, and nowhere else, so that who is not given the section cannot read a chunk.
Each chunk is a message of family ``attachment`` with a subject of its owner's own, whose target is the citing subject; the exchange gives
it to those who hold the section (:mod:`broker.exchange.attachments`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.family import Family
from broker.families.message import Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_filled, rows
from broker.values import Correlation

SECTION: Final = "attachments"
"""The section that cites files."""
FAMILY: Final = "attachment"
"""The family of chunks."""
CHUNK: Final = "chunk"
"""Its section with the ciphertext."""

CHUNK_BYTES: Final = 512 << 10
"""Bytes of a file in each chunk but the last."""
TAG_BYTES: Final = 16
"""What encrypting adds to a chunk."""
FILE_LIMIT: Final = 50 << 20
"""Largest file in bytes."""
FILES_LIMIT: Final = 20
"""Most files of one message."""
MESSAGE_FILES_LIMIT: Final = 200 << 20
"""Most bytes of all files of one message."""
NAME_LIMIT: Final = 120
"""Longest name of a file in characters."""
MEDIA_TYPES: Final = ("image/jpeg", "image/png", "image/tiff", "image/webp", "application/pdf", "application/dicom", "text/plain")
"""What a file may be: nothing that a program runs."""

_UNNAMEABLE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]').search


class Attachment(TypedDict):
    """A file, with what it takes to read and to verify it."""

    file: bytes
    digest: bytes
    size: int
    chunk_size: int
    chunks: int
    media_type: str
    name: str
    description: NotRequired[str | None]
    key: bytes


class Attachments(TypedDict):
    """The attachments section. Nominal: a photograph may show a person."""

    files: list[Attachment]


class AttachmentCore(TypedDict):
    """Which chunk of which file a message of family ``attachment`` is."""

    file: bytes
    index: int
    chunks: int


class AttachmentChunk(TypedDict):
    """A piece of a file, encrypted."""

    data: bytes


def chunks_of(size: int) -> int:
    """Number of chunks of a file of so many bytes."""
    return -(-size // CHUNK_BYTES)


def piece_size(size: int, index: int) -> int:
    """Bytes of the file in the chunk at this place."""
    return min(CHUNK_BYTES, size - index * CHUNK_BYTES)


def chunk_subject(owner: str, file: bytes, index: int) -> str:
    """The subject of a chunk: its owner's, so that ownership needs no look-up; the citing subject is not in it."""
    return f"{owner}/{FAMILY}/{file.hex()}/{index}"


_CHUNK_SUBJECT = re.compile(rf"[A-Z]{{2}}-[A-Z0-9]{{2,12}}/{FAMILY}/[0-9a-f]{{32}}/[0-9]{{1,2}}", re.ASCII)


def is_chunk(subject: str) -> bool:
    """Whether this is the subject of a chunk."""
    return _CHUNK_SUBJECT.fullmatch(subject) is not None


def place_of(subject: str) -> tuple[bytes, int]:
    """The file and the place that the subject of a chunk names."""
    _owner, _family, file, index = subject.split("/")
    return bytes.fromhex(file), int(index)


def name_fault(name: str) -> str:
    """Why this is no plain file name; empty if it is one."""
    if not 1 <= len(name) <= NAME_LIMIT:
        return f"a file's name has 1 to {NAME_LIMIT} characters"
    if _UNNAMEABLE(name):
        return 'give the name alone: no folder, and none of \\ : * ? " < > | or characters that are not seen'
    if name != name.strip(" .") or not name.isprintable():
        return "a name neither begins nor ends with a dot or a space"
    return ""


def check_attachments(section: Mapping[str, Any] | None) -> Refusal | None:
    """BAD_FIELD for an ``attachments`` section that cannot be; None for one that can, and where there is none."""
    if section is None:
        return None
    files = rows(section, "files")
    refusal = check_filled(section, "files", "attachments.files")
    if refusal is not None:
        return refusal
    if len(files) > FILES_LIMIT:
        return bad("attachments.files", f"attach {FILES_LIMIT} files at the most")
    if len({each["file"] for each in files}) != len(files):
        return bad("attachments.files", "each file has a number of its own")
    for number, each in enumerate(files):
        refusal = _check_file(each, f"attachments.files[{number}]")
        if refusal is not None:
            return refusal
    if sum(each["size"] for each in files) > MESSAGE_FILES_LIMIT:
        return bad("attachments.files", f"the files of a message have {MESSAGE_FILES_LIMIT >> 20} MiB together at the most")
    return None


def _check_file(each: Mapping[str, Any], path: str) -> Refusal | None:
    if not 1 <= each["size"] <= FILE_LIMIT:
        return bad(f"{path}.size", f"a file has 1 byte to {FILE_LIMIT >> 20} MiB")
    if each["chunk_size"] != CHUNK_BYTES:
        return bad(f"{path}.chunk_size", f"chunks have {CHUNK_BYTES} bytes")
    if each["chunks"] != chunks_of(each["size"]):
        return bad(f"{path}.chunks", f"a file of {each['size']} bytes has {chunks_of(each['size'])} chunks")
    if each["media_type"] not in MEDIA_TYPES:
        return bad(f"{path}.media_type", f"attach {', '.join(MEDIA_TYPES)}")
    fault = name_fault(each["name"])
    return bad(f"{path}.name", fault) if fault else None


def _check(sections: Sections) -> list[Finding] | Refusal:
    core, chunk = sections["core"], sections.get(CHUNK)
    index, chunks = core["index"], core["chunks"]
    if not 1 <= chunks <= chunks_of(FILE_LIMIT):
        return bad("core.chunks", f"a file has 1 to {chunks_of(FILE_LIMIT)} chunks")
    if not 0 <= index < chunks:
        return bad("core.index", f"chunks of this file are numbered from 0 to {chunks - 1}")
    size = len(chunk["data"]) if chunk is not None else 0
    if chunk is not None and not (TAG_BYTES < size <= CHUNK_BYTES + TAG_BYTES if index == chunks - 1 else size == CHUNK_BYTES + TAG_BYTES):
        return bad("chunk.data", f"each chunk but the last has {CHUNK_BYTES + TAG_BYTES} bytes")
    return []


def _check_marks(message: Message) -> Refusal | None:
    """The subject follows from file and place, the target is the owner's own, and there is one revision."""
    core, owner, target = message.sections["core"], ids.owner_of(message.subject), message.correlation.target
    if message.subject != chunk_subject(owner, core["file"], core["index"]):
        return Refusal("BAD_LABELS", f"the subject of this chunk is {chunk_subject(owner, core['file'], core['index'])}", "subject")
    if target is None or ids.owner_of(target) != owner:
        return Refusal(
            "BAD_LABELS", "a chunk names as its target a subject of its owner's that cites the file", "header.correlation.target"
        )
    if message.revision != 1:
        return Refusal("BAD_LABELS", "a chunk has one revision: attach another file instead", "header.revision")
    return None


ATTACHMENT = Family(
    name=FAMILY,
    sections=("core", CHUNK, "audience"),
    mandatory=("core", CHUNK, "audience"),
    types={
        "core": AttachmentCore,
        CHUNK: AttachmentChunk,
    },
    routing=unrouted,
    check=_check,
    check_marks=_check_marks,
    about="TARGET",
    own_target=True,
)


def attachment(citing: Message, file: bytes, index: int, chunks: int, data: bytes) -> Message:
    """The message that carries one chunk of a file that ``citing`` cites, under the same marks and for the same audience."""
    sections = {"core": {"file": file, "index": index, "chunks": chunks}, CHUNK: {"data": data}}
    subject = chunk_subject(ids.owner_of(citing.subject), file, index)
    return Message(
        FAMILY, subject, sections, citing.audience, handling=citing.handling, handling_caveat=citing.handling_caveat, tlp=citing.tlp,
        pap=citing.pap, purposes=citing.purposes, legal_basis=citing.legal_basis, onward=citing.onward, retention=citing.retention,
        evidential_use=citing.evidential_use, embargo_until_ms=citing.embargo_until_ms, correlation=Correlation(target=citing.subject),
    )  # fmt: skip
