"""A sample of an attached file, and of a message that carries a chunk of it. Its bytes are no picture's."""

from __future__ import annotations

from typing import Final

from broker.families.attachment import CHUNK_BYTES, TAG_BYTES, Attachment, attachment
from broker.families.message import Message
from broker.testing.samples import sample_alert

FILE: Final = bytes(range(16))
"""Number of the sample's file."""


def sample_file() -> Attachment:
    """The entry of a photograph of 1,000 bytes in an ``attachments`` section."""
    return {
        "file": FILE, "digest": bytes(32), "size": 1000, "chunk_size": CHUNK_BYTES, "chunks": 1, "media_type": "image/jpeg",
        "name": "container.jpg", "description": "the container's doors", "key": bytes(range(32)),
    }  # fmt: skip


def sample_attachment() -> Message:
    """The one chunk of that file, cited by an alert."""
    citing = sample_alert("SG-CUSTOMS/2026/000123", agencies=["AE-CUSTOMS"])
    return attachment(citing, FILE, 0, 1, bytes(1000 + TAG_BYTES))
