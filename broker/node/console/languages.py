"""The languages of the console: catalogues of ``languages/*.po``, read by the standard library's gettext.

A catalogue is text that translators edit; gettext reads the binary form of it, which is made here in memory when the console starts.
"""

from __future__ import annotations

import ast
import gettext
import io
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).with_name("languages")


class Language(NamedTuple):
    """A language: its own name for itself, and which way it is written."""

    code: str
    name: str
    direction: str


LANGUAGES: Final = (Language("en", "English", "ltr"), Language("fr", "Français", "ltr"), Language("ar", "العربية", "rtl"))
"""What can be chosen; the texts in the program are English."""
BY_CODE: Final = {each.code: each for each in LANGUAGES}


def read_po(text: str) -> dict[str, tuple[str, ...]]:
    """The entries of a catalogue: the original, with its plural behind a NUL where it has one, and its translations.

    Raises ValueError with the line for what is no catalogue.
    """
    entries: dict[str, tuple[str, ...]] = {}
    parts: dict[str, str] = {}
    for keyword, value, number in _statements(text):
        if keyword == "msgid" and parts:
            _enter(entries, parts)
            parts = {}
        if keyword in parts:
            raise ValueError(f"line {number}: a second {keyword}")
        parts[keyword] = value
    if parts:
        _enter(entries, parts)
    return entries


def _statements(text: str) -> Iterator[tuple[str, str, int]]:
    """Keyword, whole text and line of each statement: the strings that follow on lines of their own belong to it."""
    keyword, value, began = "", "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = ("", "", line) if line.startswith('"') else line.partition(" ")
        if word:
            if keyword:
                yield keyword, value, began
            keyword, value, began = word, "", number
        if not keyword or not rest.startswith('"') or not rest.endswith('"') or len(rest) < 2:
            raise ValueError(f"line {number}: this is no line of a catalogue")
        value += str(ast.literal_eval(rest))
    if keyword:
        yield keyword, value, began


def _enter(entries: dict[str, tuple[str, ...]], parts: dict[str, str]) -> None:
    original = parts.pop("msgid")
    plural = parts.pop("msgid_plural", None)
    said = tuple(parts[name] for name in sorted(parts))
    key = original if plural is None else f"{original}\0{plural}"
    if key in entries:
        raise ValueError(f"`{original}` stands twice in the catalogue")
    entries[key] = said


def compiled(entries: dict[str, tuple[str, ...]]) -> bytes:
    """The binary form that gettext reads (GNU gettext manual, "The Format of GNU MO Files"), sorted by the originals. Entries without a
    translation are left out, so that the original is shown."""
    pairs = sorted((key.encode(), "\0".join(said).encode()) for key, said in entries.items() if all(said))
    begin = 28 + 16 * len(pairs)
    texts, tables = b"", b""
    for side in (0, 1):
        for pair in pairs:
            tables += struct.pack("<II", len(pair[side]), begin + len(texts))
            texts += pair[side] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return head + tables + texts


@lru_cache(maxsize=len(LANGUAGES))
def translations(code: str) -> gettext.NullTranslations:
    """The texts of a language of :data:`LANGUAGES`."""
    path = FOLDER / f"{code}.po"
    if not path.exists():
        return gettext.NullTranslations()
    return gettext.GNUTranslations(io.BytesIO(compiled(read_po(path.read_text(encoding="utf-8")))))


def preferred(accepted: str) -> str:
    """The first language of an ``Accept-Language`` header that there is, by weight (RFC 9110, section 12.5.4); English otherwise."""
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(",")[:20]:
        name, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.partition("=")[2] or 1)
        except ValueError:
            continue
        weighed.append((weight, name.partition("-")[0].lower()))
    return next((name for _, name in sorted(weighed, key=lambda each: -each[0]) if name in BY_CODE), "en")
