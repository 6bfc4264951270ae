"""The SDK's reference, out of the declarations that editors show: options, events, handle, commands, words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HEAD = """# SDK reference

Everything that [`embedNotebook`](../sdk.md) takes, tells and gives, as it is typed. The element and React's component
take the same options, and tell the same events: `onSaveFailed`, `inset-save-failed`.
"""

_WORDS = """
## Words { #words }

The option `messages` replaces them, one by one.

| key | in English |
| --- | --- |"""

_PARTS = (
    ("options", "Options", "api.ts", "EmbedOptions", "What `embedNotebook(options)` is given."),
    ("timeouts", "Time limits", "api.ts", "Timeouts", "The option `timeouts`, in milliseconds."),
    (
        "events",
        "Events",
        "api.ts",
        "EmbedEvents",
        "`notebook.on(name, listener)`, or `onName` among the options; the type is what a listener is told.",
    ),
    ("handle", "The handle", "api.ts", "NotebookEmbed", "What `embedNotebook` gives, and a React component's ref."),
    ("saved", "A saved version", "api.ts", "SavedVersion", "What `save()` and `restore()` settle with."),
    ("commands", "Commands", "protocol.ts", "CommandValues", "`notebook.command(name, value)`; no value: `undefined`."),
    ("cells", "A new cell", "protocol.ts", "NewCell", "The value of `insert-cell`."),
)

_MEMBER = re.compile(
    r"(?:^  /\*\*(?P<doc>(?:(?!\*/).)*)\*/\n)?^  (?P<said>(?:readonly )?(?P<name>'?[\w-]+'?)[?<(:](?:(?!;\n).)*);$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Member:
    """An option, an event, a method."""

    name: str
    said: str
    """How it is declared."""
    doc: str


def page(root: Path) -> str:
    """Write the reference."""
    source = root / "frontend-snippet" / "src"
    parts = [_HEAD]
    for id, title, file, interface, about in _PARTS:
        parts.append(f"\n## {title} {{ #{id} }}\n\n{about}\n")
        parts += [_written(id, member) for member in members((source / file).read_text(), interface)]
    parts.append(_WORDS)
    parts += [f"| `{key}` | {text} |" for key, text in words((source / "messages.ts").read_text())]
    return "\n".join(parts) + "\n"


def members(source: str, interface: str) -> Iterable[Member]:
    """Read what an interface declares, in its order."""
    body = re.search(rf"^export interface {interface}\b[^{{]*\{{\n(.*?)^\}}", source, re.MULTILINE | re.DOTALL)
    if body is None:
        raise LookupError(f"there is no interface {interface}")
    for found in _MEMBER.finditer(body[1]):
        doc = " ".join(line.strip().lstrip("*").strip() for line in (found["doc"] or "").splitlines())
        yield Member(found["name"].strip("'"), found["said"], doc.strip())


def words(source: str) -> list[tuple[str, str]]:
    """Read what the SDK says, by its key."""
    return re.findall(r"^  '?([\w:-]+)'?: '(.*)',$", source, re.MULTILINE)


def _written(part: str, member: Member) -> str:
    heading = f"### `{member.name}` {{ #{part}-{member.name.lower()} data-toc-label='{member.name}' }}"
    return f"{heading}\n\n```ts\n{member.said}\n```\n\n{member.doc}\n"
