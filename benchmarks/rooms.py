"""Where a sample of our time belongs: by the file of the innermost frame that is ours or a library's we chose.

C code has no frame of its own: its time is charged to the line that calls it. So a line that hashes, signs or verifies counts as
crypto wherever it stands, and fastavro counts as schema, SQLite as storage.
"""

from __future__ import annotations

import linecache
import re
from types import FrameType
from typing import Final

_CRYPTO_LINE: Final = re.compile(r"sha256\(|sha512\(|\.sign\(|\.verify\(|hashlib\.|\.digest\(\)")
_PLACES: Final = (
    ("/cryptography/", "crypto"),
    ("hashlib.py", "crypto"),
    ("/broker/envelope/", "envelope and CBOR"),
    ("/cbor2/", "envelope and CBOR"),
    ("/broker/trust/", "trust"),
    ("/broker/schema/", "schema and Avro"),
    ("/fastavro/", "schema and Avro"),
    ("/broker/policy/", "policy"),
    ("/cedarpy/", "policy"),
    ("/broker/families/", "families"),
    ("/broker/ids.py", "exchange"),
    ("/broker/exchange/", "exchange"),
    ("/broker/service/", "service"),
    ("/broker/storage/", "storage (SQLite)"),
    ("/broker/kafka/", "Kafka and transport"),
    ("/aiokafka/", "Kafka and transport"),
    ("/asyncio/sslproto.py", "Kafka and transport"),
    ("/asyncio/selector_events.py", "Kafka and transport"),
    ("/ssl.py", "Kafka and transport"),
    ("/asyncio/", "asyncio"),
    ("/selectors.py", "asyncio"),
    ("/benchmarks/", "benchmark"),
)


def room_of(frame: FrameType) -> str:
    """The room of a sample whose innermost frame this is."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno or 0)
    if _CRYPTO_LINE.search(line):
        return "crypto"
    at: FrameType | None = frame
    while at is not None:
        path = at.f_code.co_filename
        for part, room in _PLACES:
            if part in path:
                return room
        at = at.f_back
    return "other"


def function_of(frame: FrameType) -> str:
    """The function a sample fell into, as ``module.function``."""
    code = frame.f_code
    path = code.co_filename
    for start in ("/broker/", "/site-packages/", "/benchmarks/", "/python3"):
        if start in path:
            keep = start.strip("/") + "/" if start in ("/broker/", "/benchmarks/") else ""
            path = keep + path.rpartition(start)[2]
            break
    name = path.removesuffix(".py").replace("/", ".")
    return f"{name}:{code.co_qualname}" if hasattr(code, "co_qualname") else f"{name}:{code.co_name}"


def callers_of(frame: FrameType) -> set[str]:
    """Our functions on the stack of a sample, this one's among them; each once, however deep it recurses."""
    found: set[str] = set()
    at: FrameType | None = frame
    while at is not None:
        if "/broker/" in at.f_code.co_filename:
            found.add(function_of(at))
        at = at.f_back
    return found
