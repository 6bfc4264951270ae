"""The error catalogue: the service's problems and the SDK's codes, out of the sources that raise them."""

import ast
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

_STATUS = {
    401: "Who are you?",
    403: "Not you",
    404: "No such thing, or somebody else's",
    409: "It does not fit the state of things",
    410: "It is over",
    413: "Too large",
    422: "The request says something impossible",
    428: "Which version is it based on?",
    429: "Too many",
    500: "Something is wrong in the service",
    501: "Not here",
    503: "Something behind the service is not available",
}

_HEAD = """# Error catalogue

Everything that can go wrong for a caller, by its code. Codes are stable: branch on them, and show your users words of
your own.

- The **service** answers `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) whose `type`
  is `urn:inset:problem:<code>`. `title` and `detail` are for people, in English; further members are named below.
  Nothing of it names a secret, or says what JupyterHub said.
- A **session** that can't be had ends as `failed`, with one of [these codes](#why-a-session-failed).
- The **SDK** rejects with an `EmbedError` whose `code` is [one of its own](#codes-of-the-sdk), or the service's.

What `inset doctor` and `diagnose()` find has codes of its own: [when the notebook stays blank](../troubleshooting.md).
"""


@dataclass(frozen=True)
class Entry:
    """A problem that a caller can be told."""

    slug: str
    title: str
    status: int
    meaning: str
    says: str
    """The `detail`, with … for what differs; empty where it is made elsewhere."""


def page(root: Path) -> str:
    """Write the catalogue; a problem that `docs/errors.toml` does not know has its own words alone."""
    helps = tomllib.loads((root / "docs" / "errors.toml").read_text())
    parts = [_HEAD]
    for status, entries in groupby(sorted(problems(root), key=lambda entry: entry.status), lambda entry: entry.status):
        parts.append(f"\n## {status}: {_STATUS.get(status, 'Other')} {{ #{status} }}\n")
        parts += [_entry(entry, helps.get(entry.slug)) for entry in entries]
    parts.append("\n## Why a session failed\n\nThe `failure` of a session in the state `failed`, and the SDK's code.\n")
    parts.append("| code | it says | what helps |\n| --- | --- | --- |")
    parts += [f"| `{code}` | {title} | {detail} |" for code, (title, detail) in failures(root).items()]
    parts.append(
        "\n## Codes of the SDK\n\nAn `EmbedError`'s `code`. [The SDK](../sdk.md#errors) says where it is told.\n"
    )
    parts.append(sdk_codes(root))
    return "\n".join(parts) + "\n"


def slugs(root: Path) -> set[str]:
    """Name every problem."""
    return {entry.slug for entry in problems(root)}


def problems(root: Path) -> list[Entry]:
    """Read the family of problems: those that are raised, which is those that nothing is derived from."""
    tree = ast.parse((root / "service" / "inset" / "errors.py").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    parents = {_parent(node) for node in classes.values()}
    return [
        Entry(
            slug=str(_member(node, "slug", classes)),
            title=str(_member(node, "title", classes)),
            status=int(str(_member(node, "status", classes))),
            meaning=" ".join((ast.get_docstring(node) or "").split()),
            says=_says(node),
        )
        for name, node in classes.items()
        if name not in parents and _parent(node) in classes
    ]


def failures(root: Path) -> dict[str, tuple[str, str]]:
    """Read why sessions fail: what is said of each code, and what helps."""
    tree = ast.parse((root / "service" / "inset" / "failures.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_REASONS":
            reasons: dict[str, tuple[str, str]] = ast.literal_eval(node.value)
            return reasons
    raise LookupError("failures.py has no _REASONS")


def sdk_codes(root: Path) -> str:
    """Take the table of the SDK's codes from its reference."""
    text = (root / "docs" / "sdk.md").read_text().partition("\n## Errors\n")[2]
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def _entry(entry: Entry, helps: dict[str, str] | None) -> str:
    way_out = f"\n*Cause:* {helps['cause']}\n\n*Way out:* {helps['way_out']}\n" if helps else ""
    says = f"\n*It says:* {entry.says}\n" if entry.says else ""
    return (
        f"### `{entry.slug}` {{ #{entry.slug} data-toc-label='{entry.slug}' }}\n\n**{entry.title}.** {entry.meaning}\n"
        f"{way_out}{says}"
    )


def _parent(node: ast.ClassDef) -> str:
    return node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else ""


def _member(node: ast.ClassDef, name: str, classes: dict[str, ast.ClassDef]) -> object:
    """Look up `slug, title, status = …` of a class, or of the one that it is derived from."""
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
            names = [target.id for target in statement.targets[0].elts if isinstance(target, ast.Name)]
            if name in names:
                values: Sequence[object] = ast.literal_eval(statement.value)
                return values[names.index(name)]
    return _member(classes[_parent(node)], name, classes)


def _says(node: ast.ClassDef) -> str:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__" and call.args:
            return re.sub("…+", "…", " ".join("".join(_text(call.args[0])).split()))
    return ""


def _text(node: ast.expr) -> Iterable[str]:
    """Give the parts of a message; what is filled in is an ellipsis."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _text(part) if isinstance(part, ast.Constant) else ["…"]
    elif isinstance(node, ast.BinOp):
        yield from _text(node.left)
        yield from _text(node.right)
