"""The API's reference, as pages, out of its OpenAPI document."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]

_PROBLEM = "ProblemDocument"
_OFFLINE = "\n\n[The OpenAPI document](../../openapi.json), for tools and for generating clients.\n"


def pages(document: Path, *, known: set[str]) -> dict[str, str]:
    """Make an index, a page for each tag, and one of all schemas. `known`: the problems that the catalogue has."""
    api: Json = json.loads(document.read_text())
    tags = {tag["name"]: tag["description"] for tag in api["tags"]}
    made = {"reference/api/index.md": _index(api, tags), "reference/api/schemas.md": _schemas(api)}
    for tag, about in tags.items():
        made[f"reference/api/{_file(tag)}"] = _tag(tag, about, api, known)
    return made


def operations(api: Json) -> Iterable[tuple[str, str, Json]]:
    """Give method, path and description of everything that can be asked."""
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _index(api: Json, tags: Mapping[str, str]) -> str:
    parts = [f"# API\n\n{api['info']['description'].strip()}{_OFFLINE}"]
    for scheme, about in api["components"]["securitySchemes"].items():
        if "description" in about:
            parts.append(f"**{scheme}**: {about['description']}\n")
    for tag, about in tags.items():
        parts.append(f"\n## {_title(tag)}\n\n{about}\n\n| call | does |\n| --- | --- |")
        for method, path, operation in operations(api):
            if tag in operation["tags"]:
                link = f"{quote(_file(tag))}#{operation['operationId']}"
                parts.append(f"| {_verb(method)} `{path}` | [{_summary(operation)}]({link}) |")
    return "\n".join(parts) + "\n"


def _tag(tag: str, about: str, api: Json, known: set[str]) -> str:
    parts = [f"# {_title(tag)}\n\n{about}\n"]
    parts += [
        _operation(method, path, operation, known)
        for method, path, operation in operations(api)
        if tag in operation["tags"]
    ]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Json, known: set[str]) -> str:
    parts = [
        f"## {_summary(operation)} {{ #{operation['operationId']} }}\n",
        f'<p class="operation">{_verb(method)} <code>{path}</code></p>\n',
        operation.get("description", "") + "\n",
    ]
    if parameters := operation.get("parameters"):
        parts.append("| parameter | in | type | meaning |\n| --- | --- | --- | --- |")
        for given in parameters:
            needed = ", required" if given.get("required") and given["in"] != "path" else ""
            meaning = _cell(given.get("description") or given["schema"].get("description", ""))
            parts.append(f"| `{given['name']}` | {given['in']}{needed} | {_type(given['schema'])} | {meaning} |")
        parts.append("")
    if body := operation.get("requestBody"):
        kinds = [f"`{kind}`: {_type(content.get('schema', {}))}" for kind, content in body["content"].items()]
        parts.append(f"**Body** {', or '.join(kinds)}\n")
        parts += _examples(body)
    parts.append("| answer | what comes |\n| --- | --- |")
    for status, answer in operation["responses"].items():
        parts.append(f"| {status} | {_answer(answer, known)} |")
    return "\n".join(parts) + "\n"


def _examples(body: Json) -> Iterable[str]:
    for content in body["content"].values():
        named = content.get("examples") or {}
        for example in [content["example"]] if "example" in content else [one["value"] for one in named.values()]:
            yield f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n"


def _answer(answer: Json, known: set[str]) -> str:
    content = answer.get("content", {})
    if problems := content.get("application/problem+json"):
        slugs = problems.get("examples") or {}
        return ", ".join(f"[`{slug}`](../errors.md#{slug})" if slug in known else f"`{slug}`" for slug in slugs)
    kinds = [
        f"`{kind}` {_type(about['schema'])}" if about.get("schema") else f"`{kind}`" for kind, about in content.items()
    ]
    said = answer["description"] if answer["description"] != "Successful Response" else ""
    return _cell(" ".join(filter(None, [", ".join(kinds), said])) or "nothing further")


def _schemas(api: Json) -> str:
    parts = ["# Schemas\n\nWhat the API takes and gives.\n"]
    for name, schema in sorted(api["components"]["schemas"].items()):
        parts.append(f"## {name} {{ #{name.lower()} }}\n\n{schema.get('description', '')}\n")
        if not (fields := schema.get("properties")):
            parts.append(f"{_type(schema)}\n")
            continue
        told = any("description" in about for about in fields.values())
        parts.append("| field | type | meaning |\n| --- | --- | --- |" if told else "| field | type |\n| --- | --- |")
        for field, about in fields.items():
            meaning = f" {_cell(about.get('description', ''))} |" if told else ""
            needed = "" if field in schema.get("required", []) else ", optional"
            parts.append(f"| `{field}` | {_type(about)}{needed} |{meaning}")
        parts.append("")
        if name != _PROBLEM:
            parts += [
                f"```json\n{json.dumps(one, indent=2, ensure_ascii=False)}\n```\n" for one in schema.get("examples", [])
            ]
    return "\n".join(parts) + "\n"


def _type(schema: Json) -> str:
    """Say in words what a value is."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](schemas.md#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return f"{_FORMATS.get(schema.get('format', ''), kind)}{_bounds(schema)}"


_FORMATS = {"date-time": "time", "uuid": "UUID", "binary": "bytes", "uri": "URL"}


def _bounds(schema: Json) -> str:
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if high is not None:
        return f", {low} to {high}" if low is not None else f", up to {high}"
    return f", at least {low}" if low is not None else ""


def _verb(method: str) -> str:
    return f'<span class="verb verb-{method}">{method.upper()}</span>'


def _summary(operation: Json) -> str:
    return str(operation["summary"]).capitalize()


def _title(tag: str) -> str:
    return tag.capitalize()


def _file(tag: str) -> str:
    return f"{tag.replace(' ', '-')}.md"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
