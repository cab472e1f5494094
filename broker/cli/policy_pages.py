"""Pages of HTML about policy that can be handed on: one file each, no script, nothing fetched, fit for paper and for a dark screen.

Whatever a rule or a message says goes through :func:`text`, so nothing of it becomes markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from broker.cli.screen import printable

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --ink: #1a1a1a; --paper: #fff; --soft: #555; --line: #c8c8c8; --band: #f3f4f6; --yes: #0b6b2e; --no: #a3200d;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --paper: #16181b; --soft: #a8adb4; --line: #43474d; --band: #22262b; --yes: #6fd694; --no: #ff9a86; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1.5rem;
  font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); overflow-wrap: break-word;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.2rem 0 .3rem; }
p, ul, dl { margin: .3rem 0 .6rem; }
dl.labels { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
caption { text-align: left; color: var(--soft); padding: .3rem 0; }
th, td { border: 1px solid var(--line); padding: .35rem .5rem; text-align: left; vertical-align: top; }
thead th { background: var(--band); }
tbody th { font-weight: 600; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
pre {
  font: .85rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); padding: .6rem;
}
.yes { color: var(--yes); font-weight: 600; } .no { color: var(--no); font-weight: 600; }
.soft { color: var(--soft); } .unbroken { white-space: nowrap; }
ins { color: var(--yes); text-decoration: underline; } del { color: var(--no); text-decoration: line-through; }
@media screen and (max-width: 40rem) {
  body { padding: 1rem; }
  dl.labels { grid-template-columns: minmax(0, 1fr); } dd { margin-bottom: .4rem; }
  table, caption, tbody, tr, tbody th, td { display: block; overflow-wrap: anywhere; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border: 1px solid var(--line); margin-bottom: .8rem; }
  tbody th, td { border: 0; } tbody th { background: var(--band); }
  td { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: .5rem; border-top: 1px solid var(--line); }
  td::before { content: attr(data-column); color: var(--soft); }
}
@media print {
  :root { --ink: #000; --paper: #fff; --soft: #444; --line: #999; --band: #eee; --yes: #064a1f; --no: #7a1400; font-size: 10.5pt; }
  body { max-width: none; padding: 0; }
  table { font-size: .8rem; } th, td { padding: .25rem .35rem; } td { overflow-wrap: anywhere; } td .soft { overflow-wrap: normal; }
  h2, h3, caption { break-after: avoid; } tr, pre { break-inside: avoid; } .wide { overflow: visible; }
  thead { display: table-header-group; } tbody tr:first-child { break-before: avoid; }
  @page { margin: 18mm; }
}
"""
_HEAD: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
"""


def text(value: str) -> str:
    """A value as text of HTML: what is markup and what cannot be seen is escaped; line breaks stay."""
    return "\n".join(escape(printable(line)) for line in value.split("\n"))


def page(title: str, *parts: str) -> str:
    """A whole page; the parts are HTML."""
    return _HEAD.format(title=text(title), style=_STYLE) + "\n".join(part for part in parts if part) + "\n</main>\n</body>\n</html>\n"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values beside each other."""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f'<dl class="labels">{rows}</dl>'


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Columns are text; cells are HTML, the first of each row its heading.

    On a narrow screen each row is a list of its own, and each cell says its column (``data-column``).
    """
    head = "".join(f'<th scope="col">{text(column)}</th>' for column in columns)
    body = "".join(f'<tr><th scope="row">{row[0]}</th>{_cells(columns[1:], row[1:])}</tr>\n' for row in rows)
    inner = f"<caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>"
    return f'<div class="wide" role="region" aria-label="{text(caption)}" tabindex="0"><table>{inner}</table></div>'


def _cells(columns: Sequence[str], cells: Sequence[str]) -> str:
    return "".join(f'<td data-column="{text(column)}"><div>{cell}</div></td>' for column, cell in zip(columns, cells, strict=True))


def bullets(items: Iterable[str]) -> str:
    """A list of texts."""
    listed = "".join(f"<li>{text(item)}</li>" for item in items)
    return f"<ul>{listed}</ul>" if listed else ""


def heading(level: int, told: str) -> str:
    """A heading of level 2 or 3."""
    return f"<h{level}>{text(told)}</h{level}>"


def paragraph(told: str, kind: str = "") -> str:
    """A paragraph of text; ``kind`` is ``soft`` for what stands behind."""
    return f'<p class="{kind}">{text(told)}</p>' if kind else f"<p>{text(told)}</p>"


def unbroken(told: str) -> str:
    """A name that stays on one line."""
    return f'<span class="unbroken">{text(told)}</span>'


def verdict(told: str, *, good: bool) -> str:
    """A word of yes or no: coloured, and clear without the colour."""
    return f'<span class="{"yes" if good else "no"}">{text(told)}</span>'
