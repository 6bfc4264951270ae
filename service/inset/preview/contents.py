"""What of a notebook a preview shows: read leniently, so that a version that is not quite valid has one, too."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

TEXT_LIMIT = 100_000
"""The most characters of one text output, or of one cell's Markdown, that are shown."""

HTML_LIMIT = 1_000_000
"""The most characters that an HTML output may have to be shown as such."""

IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/svg+xml")
_RICH = ("text/html", "text/markdown", *IMAGES, "text/plain", "text/latex")
"""Of an output that comes in several forms, the first of these that shows anything is shown."""


class Unreadable(Exception):
    """The bytes are no notebook that could be shown; says why."""


@dataclass(frozen=True)
class Form:
    """One of the forms in which an output comes: a MIME type, and text or, of an image, a data URL."""

    mime: str
    content: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Output:
    """What a cell has put out. `kind` is `stdout`, `stderr`, `error` or `data`."""

    kind: str
    forms: list[Form]
    count: int | None = None


@dataclass(frozen=True)
class Cell:
    """A cell, of whatever type it says it is."""

    kind: str
    source: str
    count: int | None = None
    outputs: list[Output] = field(default_factory=list)
    attachments: dict[str, str] = field(default_factory=dict)
    """Images by their names, as data URLs."""


@dataclass(frozen=True)
class Contents:
    """A notebook as it is shown."""

    language: str
    cells: list[Cell]


def read_contents(content: bytes) -> Contents:
    """Read a notebook's bytes. Raises `Unreadable`."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("it is not JSON") from exc
    if not isinstance(parsed, dict) or not isinstance(parsed.get("cells"), list):
        old = isinstance(parsed, dict) and isinstance(parsed.get("worksheets"), list)
        raise Unreadable("it is a notebook of an old format" if old else "it is not a notebook")
    if parsed.get("nbformat") != 4:
        raise Unreadable("it is not of nbformat 4")
    return Contents(_language(_dict(parsed.get("metadata"))), [_cell(_dict(cell)) for cell in parsed["cells"]])


def _cell(cell: dict[str, Any]) -> Cell:
    outputs: list[Output] = []
    for output in map(_dict, _list(cell.get("outputs"))):
        kind = output.get("output_type")
        if kind == "stream":
            _add_stream(outputs, "stderr" if output.get("name") == "stderr" else "stdout", _text(output.get("text")))
        elif kind == "error":
            lines = _list(output.get("traceback"))
            said = "\n".join(map(_text, lines)) or f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
            outputs.append(Output("error", [Form("text/plain", said)]))
        else:
            outputs.append(Output("data", _forms(output), _count(output.get("execution_count"))))
    attachments = _dict(cell.get("attachments"))
    return Cell(
        kind=str(cell.get("cell_type")),
        source=_text(cell.get("source")),
        count=_count(cell.get("execution_count")),
        outputs=outputs,
        attachments={_text(name): url for name, bundle in attachments.items() if (url := _attachment(_dict(bundle)))},
    )


def _add_stream(outputs: list[Output], kind: str, text: str) -> None:
    """Add what was printed; what is printed in pieces is shown as one."""
    if outputs and outputs[-1].kind == kind:
        text = outputs.pop().forms[0].content + text
    outputs.append(Output(kind, [Form("text/plain", text)]))


def _forms(output: dict[str, Any]) -> list[Form]:
    data, metadata = _dict(output.get("data")), _dict(output.get("metadata"))
    forms = []
    for mime in _RICH:
        if mime not in data:
            continue
        if mime in IMAGES:
            size = _dict(metadata.get(mime))
            url = _data_url(mime, data[mime])
            if url:
                forms.append(Form(mime, url, _pixels(size.get("width")), _pixels(size.get("height"))))
        elif mime != "text/html" or len(_text(data[mime])) <= HTML_LIMIT:
            forms.append(Form(mime, _text(data[mime])))
    return forms


def _attachment(bundle: dict[str, Any]) -> str | None:
    return next((url for mime in IMAGES if mime in bundle and (url := _data_url(mime, bundle[mime]))), None)


def _data_url(mime: str, value: object) -> str | None:
    """Write an image's data as a URL, if it is what its type says: base64, or text for SVG."""
    text = _text(value)
    if mime == "image/svg+xml" and "<" in text:
        return f"data:{mime};base64,{base64.b64encode(text.encode()).decode()}"
    packed = "".join(text.split())
    return f"data:{mime};base64,{packed}" if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", packed) else None


def _language(metadata: dict[str, Any]) -> str:
    info, kernel = _dict(metadata.get("language_info")), _dict(metadata.get("kernelspec"))
    lexer = info.get("pygments_lexer")
    named = lexer if isinstance(lexer, str) else info.get("name") or kernel.get("language")
    return named if isinstance(named, str) else "python"


def _text(value: object) -> str:
    """Read what may be a string or lines of one; half surrogate pairs, which no page can hold, become `?`."""
    lines = value if isinstance(value, list) else [value]
    joined = "".join(line for line in lines if isinstance(line, str))
    return joined.encode("utf-8", "replace").decode()


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 10**9 else None


def _pixels(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < 10_000 else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
