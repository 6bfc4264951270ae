"""A notebook's cells as HTML, with nbconvert's Markdown and ANSI and with Pygments. Only the renderer imports this."""

import re
from functools import lru_cache
from html import escape

from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from inset.preview.contents import IMAGES, TEXT_LIMIT, Cell, Contents, Form, Output
from inset.preview.sanitiser import clean_body, clean_fragment, shows_anything

_FORMATTER = HtmlFormatter(nowrap=True)

_OTHER_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""What a terminal takes as something else than text and colours: links, titles."""


def render_body(contents: Contents) -> str:
    """Render what stands in a preview's body: sanitised."""
    cells = "\n".join(_cell(cell, contents.language) for cell in contents.cells)
    return clean_body(f"<main>\n{cells or _note('This notebook is empty.')}\n</main>")


def _cell(cell: Cell, language: str) -> str:
    if cell.kind == "markdown":
        prose = _markdown(cell.source, cell.attachments)
        return f'<section class="nb-cell nb-markdown"><div class="nb-prose">{prose}</div></section>'
    if cell.kind != "code":
        return f'<section class="nb-cell nb-raw">{_plain(cell.source)}</section>'
    count = "" if cell.count is None else cell.count
    outputs = "\n".join(_output(output) for output in cell.outputs)
    return (
        f'<section class="nb-cell nb-code"><div class="nb-prompt">[{count or " "}]:</div>'
        f'<div class="nb-input">{_code(cell.source, language)}</div>'
        f"{outputs}</section>"
    )


def _output(output: Output) -> str:
    prompt = "" if output.count is None else f"[{output.count}]:"
    shown = next(filter(None, (_form(form, output.kind) for form in output.forms)), None)
    shown = shown or _note("This output needs a running notebook.")
    return f'<div class="nb-prompt">{prompt}</div><div class="nb-output">{shown}</div>'


def _form(form: Form, kind: str) -> str | None:
    """Render one form of an output, unless nothing of it would be seen."""
    if form.mime in IMAGES:
        size = "".join(f' {name}="{value}"' for name in ("width", "height") if (value := getattr(form, name)))
        return f'<div class="nb-image"><img src="{escape(form.content)}" alt="Output image"{size}></div>'
    if form.mime == "text/html":
        cleaned = clean_fragment(form.content)
        return f'<div class="nb-html">{cleaned}</div>' if shows_anything(cleaned) else None
    if form.mime == "text/markdown":
        return f'<div class="nb-prose">{_markdown(form.content, {})}</div>'
    return _terminal(form.content, {"error": "nb-error", "stderr": "nb-stderr"}.get(kind, "nb-text"))


def _markdown(source: str, attachments: dict[str, str]) -> str:
    if len(source) > TEXT_LIMIT:
        return _plain(source)
    try:
        html = MarkdownWithMath(renderer=_Renderer(escape=False, exclude_anchor_links=True)).render(source)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _plain(source)  # a parser's accident over one cell must not cost the others
    return clean_fragment(_ALIGNED.sub(r'<\1 align="\2">', html), attachments)


_ALIGNED = re.compile(r'<(t[dh]) style="text-align:(left|right|center)">')
"""How a Markdown table's columns are aligned; styles do not get through the sanitiser."""


class _Renderer(IPythonRenderer):
    """Leaves images to the sanitiser, and highlights nothing by itself."""

    def _embed_image_or_attachment(self, src: str) -> str:
        return src

    def block_code(self, code: str, info: str | None = None) -> str:
        return _code(code, (info or "").strip().partition(" ")[0])


def _code(source: str, language: str) -> str:
    """Highlight code, if it is of a length and a language for that."""
    if len(source) > TEXT_LIMIT:
        return _plain(source)
    highlighted = highlight(source, _lexer(language), _FORMATTER).rstrip("\n")
    return f'<pre class="nb-highlight">{highlighted}</pre>'


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer:
    # IPython's own lexer is not Pygments', and not installed where there is no kernel.
    name = "python" if language.startswith("ipython") else language
    try:
        return get_lexer_by_name(name if re.fullmatch(r"[\w.+#-]{1,30}", name) else "text", stripnl=False)
    except ClassNotFound:
        return get_lexer_by_name("text", stripnl=False)


def _terminal(text: str, look: str) -> str:
    """Render what would stand in a terminal."""
    shown, note = _cut("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")))
    coloured = ansi2html(_OTHER_ESCAPES.sub("", shown)).replace("\x1b", "")
    return f'<pre class="{look}">{coloured}</pre>{note}'


def _plain(text: str) -> str:
    shown, note = _cut(text)
    return f'<pre class="nb-text">{escape(shown)}</pre>{note}'


def _cut(text: str) -> tuple[str, str]:
    left_out = len(text) - TEXT_LIMIT
    return text[:TEXT_LIMIT], _note(f"{left_out:,} more characters are not shown here.") if left_out > 0 else ""


def _note(text: str) -> str:
    return f'<p class="nb-note">{escape(text)}</p>'
