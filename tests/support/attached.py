"""Messages that cite a file, and its chunks, as their owner's program makes them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from broker.envelope.chunks import seal_chunk
from broker.families.attachment import CHUNK_BYTES, Attachment, attachment, chunks_of, piece_size
from broker.families.message import Message


def file_of(data: bytes, *, seed: int = 1, name: str = "scan.png", media_type: str = "image/png") -> Attachment:
    """The entry of a file in an ``attachments`` section."""
    number = hashlib.sha256(b"file%d" % seed).digest()
    return {
        "file": number[:16], "digest": hashlib.sha256(data).digest(), "size": len(data), "chunk_size": CHUNK_BYTES,
        "chunks": chunks_of(len(data)), "media_type": media_type, "name": name, "description": None,
        "key": hashlib.sha256(b"key%d" % seed).digest(),
    }  # fmt: skip


def citing(message: Message, *files: Attachment) -> Message:
    """The message with these files."""
    return replace(message, sections={**message.sections, "attachments": {"files": list(files)}})


def sealed(file: Attachment, data: bytes, index: int) -> bytes:
    """The ciphertext of one chunk."""
    piece = data[index * CHUNK_BYTES :][: piece_size(len(data), index)]
    return seal_chunk(file["key"], file["file"], index, piece, last=index == file["chunks"] - 1)


def chunks(message: Message, file: Attachment, data: bytes) -> list[Message]:
    """The messages that carry a file which ``message`` cites."""
    return [attachment(message, file["file"], each, file["chunks"], sealed(file, data, each)) for each in range(file["chunks"])]
