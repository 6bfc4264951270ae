"""A diff as a page to look at: text alone, nothing of a notebook is rendered."""

import base64
import hashlib
import html
import re

from inset.models import CellChange, DiffLine, Hunk, NotebookDiff

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2523; --muted: #5c655f; --line: #ddd7cb; --paper: #fff;
  --add: #e3f3e6; --add-ink: #14532d; --del: #fbe7e4; --del-ink: #7f1d1d; --head: #f5f3ee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9e4; --muted: #9ca59f; --line: #333a36; --paper: #141716;
  --add: #16301f; --add-ink: #a7e3b9; --del: #3a1f1c; --del-ink: #f3b5ab; --head: #1d2220; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.25rem; background: var(--paper); color: var(--ink);
  font: 0.9375rem/1.5 system-ui, "Segoe UI", "Liberation Sans", sans-serif; }
h1 { margin: 0; font-size: 1.125rem; overflow-wrap: anywhere; }
p { margin: 0.25rem 0 1rem; color: var(--muted); }
article { margin: 0 0 0.75rem; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
h2 { display: flex; flex-wrap: wrap; gap: 0.25rem 0.75rem; margin: 0; padding: 0.4rem 0.75rem; background: var(--head);
  font-size: 0.8125rem; font-weight: 600; overflow-wrap: anywhere; }
h2 span { color: var(--muted); font-weight: 400; }
.added h2 b { color: var(--add-ink); } .removed h2 b { color: var(--del-ink); }
ul { margin: 0; padding: 0.4rem 0.75rem; list-style: none; color: var(--muted); font-size: 0.8125rem; }
table { width: 100%; border-collapse: collapse; border-top: 1px solid var(--line);
  font: 0.8125rem/1.5 ui-monospace, "DejaVu Sans Mono", "Liberation Mono", monospace; }
td { padding: 0 0.5rem; vertical-align: top; }
td.n { width: 1%; color: var(--muted); text-align: right; white-space: nowrap; user-select: none; }
td.t { white-space: pre-wrap; overflow-wrap: anywhere; }
tr.add { background: var(--add); color: var(--add-ink); } tr.del { background: var(--del); color: var(--del-ink); }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; sandbox"
"""The page's Content-Security-Policy: its own style, and nothing else."""

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_CLASSES = {"+": "add", "-": "del", " ": "same"}
_SIGNS = {"+": "+", "-": "−", " ": ""}


def written(name: str, diff: NotebookDiff) -> str:
    """Write a diff as an HTML document, every piece of content as text."""
    cells = "".join(map(_article, diff.cells))
    if diff.metadata_changed:
        cells = _note("The notebook’s metadata changed.") + cells
    if not cells:
        cells = "<p>No cell differs.</p>"
    title = f"{_text(name)}: version {diff.from_version} → {diff.to_version}"
    counts = f"{_cells(len(diff.cells))} changed, {diff.unchanged} unchanged"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{counts}</p><main>{cells}</main></body></html>\n"
    )


def _article(cell: CellChange) -> str:
    told = [
        told
        for so, told in (
            (cell.type_changed, f"It became a {_text(cell.cell_type)} cell."),
            (cell.outputs_changed and cell.change in ("changed", "moved"), "Its outputs changed."),
            (cell.outputs_changed and cell.change in ("added", "removed"), "It has outputs."),
            (cell.metadata_changed, "Its metadata changed."),
        )
        if so
    ]
    notes = "<ul>" + "".join(f"<li>{line}</li>" for line in told) + "</ul>" if told else ""
    head = f"<b>{cell.change.capitalize()}</b> {_text(cell.cell_type)} <span>{_place(cell)}</span>"
    hunks = "".join(map(_table, cell.source))
    return f'<article class="{cell.change}"><h2>{head}</h2>{notes}{hunks}</article>'


def _place(cell: CellChange) -> str:
    places = [index + 1 for index in (cell.from_index, cell.to_index) if index is not None]
    return "cell " + " → ".join(map(str, dict.fromkeys(places)))


def _table(hunk: Hunk) -> str:
    old, new, rows = hunk.from_line, hunk.to_line, []
    for line in hunk.lines:
        rows.append(_row(line, old, new))
        old += line.op != "+"
        new += line.op != "-"
    return f"<table>{''.join(rows)}</table>"


def _row(line: DiffLine, old: int, new: int) -> str:
    numbers = f'<td class="n">{old if line.op != "+" else ""}</td><td class="n">{new if line.op != "-" else ""}</td>'
    sign = f'<td class="n">{_SIGNS[line.op]}</td>'
    return f'<tr class="{_CLASSES[line.op]}">{numbers}{sign}<td class="t">{_text(line.text)}</td></tr>'


def _note(text: str) -> str:
    return f"<article><ul><li>{text}</li></ul></article>"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _text(text: str) -> str:
    # What is not seen, or turns the direction of what follows, must not make code look like other code.
    return html.escape(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
