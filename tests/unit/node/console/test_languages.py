"""The catalogues: every text of the pages is translated, and what is filled in is filled in everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any, cast

import pytest

from broker.node.console.languages import FOLDER, LANGUAGES, compiled, preferred, read_po, translations
from broker.node.console.pages import FOLDER as TEMPLATES
from broker.node.console.pages import environment
from broker.node.console.words import words

CODES = [each.code for each in LANGUAGES if each.code != "en"]


def texts() -> set[str]:
    """Every text of templates and program, a plural behind a NUL, as the catalogues have it."""
    found, jinja = set(words()), cast("Any", environment("en"))
    for template in TEMPLATES.glob("*.html"):
        extracted: Iterable[tuple[int, str, str | tuple[str | None, ...]]] = jinja.extract_translations(template.read_text("utf-8"))
        for _, _, message in extracted:
            found.add(message if isinstance(message, str) else "\0".join(each for each in message if each))
    for source in TEMPLATES.parent.glob("*.py"):
        for call in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "gettext":
                found |= {each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


@pytest.mark.parametrize("code", CODES)
def test_everything_is_translated_and_nothing_is_left_over(code: str) -> None:
    """The catalogue has exactly the texts that there are, each with a translation that fills in the same names."""
    entries = read_po((FOLDER / f"{code}.po").read_text(encoding="utf-8"))
    head = entries.pop("")
    assert "charset=UTF-8" in head[0]
    assert set(entries) == texts()
    for original, said in entries.items():
        wanted = set(re.findall(r"%\(\w+\)s", original))
        for each in said:
            assert each.strip(), original
            assert set(re.findall(r"%\(\w+\)s", each)) == wanted, original


def test_plurals_follow_the_language() -> None:
    """Arabic has six forms, French two, and one is not many."""
    one, many = next(key for key in read_po((FOLDER / "ar.po").read_text(encoding="utf-8")) if "\0" in key).split("\0")
    assert len({translations("ar").ngettext(one, many, number) for number in (0, 1, 2, 3)}) == 4
    assert translations("fr").ngettext(one, many, 0) == translations("fr").ngettext(one, many, 1)
    assert translations("en").ngettext(one, many, 2) == many


def test_what_is_no_catalogue_is_told_by_its_line() -> None:
    """A line that is none, a text that stands twice; and an entry without a translation shows the original."""
    with pytest.raises(ValueError, match="line 2"):
        read_po('msgid "a"\nnonsense\n')
    with pytest.raises(ValueError, match="twice"):
        read_po('msgid "a"\nmsgstr "b"\nmsgid "a"\nmsgstr "c"\n')
    assert b"untranslated" not in compiled({"untranslated": ("",), "a": ("b",)})


def test_the_language_that_is_asked_for() -> None:
    """The heaviest that there is; English where there is none, whatever the header holds."""
    assert preferred("de, fr-CH;q=0.7, ar;q=0.9, *;q=0.1") == "ar"
    assert preferred("xx;q=nonsense, ,;;,fr") == "fr"
    assert preferred("") == "en"
