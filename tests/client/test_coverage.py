"""The client says what `docs/openapi.json` says: every call, every shape, every problem."""

import ast
import json
import re
from typing import Any, get_args

import pytest
import unasync
from pydantic import BaseModel

import inset_client
from inset_client import events, models, operations, problems
from inset_client.operations import Operation
from tests.support.real_hub import ROOT

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
CALLS = {
    (method.upper(), path): call
    for path, calls in DOCUMENT["paths"].items()
    for method, call in calls.items()
    if path.startswith("/v1/")
}
OPERATIONS = {name: each for name, each in vars(operations).items() if isinstance(each, Operation)}
ELSEWHERE = {"LIST_KEYS"}
"""Operations of the client that are not of `/v1`."""
_ANSWERS = [each for each in models.Answer.__subclasses__() if each.__module__ == models.__name__]
MODELS = [each for each in _ANSWERS if not issubclass(each, models.Page)] + [
    models.NotebookStored,
    models.VersionStored,
]
NAMES = {
    models.Notebook: "NotebookPublic",
    models.Version: "VersionPublic",
    models.Session: "SessionPublic",
    models.Act: "AuditPublic",
    models.Delivery: "DeliveryPublic",
}
"""Where the client's word is another than the document's."""


def schema_of(model: Any) -> str:
    return NAMES.get(model, model.__name__)


def test_every_call_of_the_api_is_reachable() -> None:
    ours = {(each.method, each.path) for name, each in OPERATIONS.items() if name in set(OPERATIONS) - ELSEWHERE}

    assert ours == set(CALLS)


def test_every_operation_is_used() -> None:
    source = "".join(file.read_text() for file in (ROOT / "clients/python/inset_client/_async").glob("*.py"))

    assert {name for name in OPERATIONS if not re.search(rf"\bops\.{name}\b", source)} == set()


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - ELSEWHERE))
def test_an_operation_is_as_documented(name: str) -> None:
    operation: Operation[Any] = OPERATIONS[name]
    call = CALLS[operation.method, operation.path]
    headers = {one["name"] for one in call.get("parameters", []) if one["in"] == "header"}
    [good, *_] = [answer for status, answer in call["responses"].items() if status < "300"]
    schemas = [each.get("schema", {}) for each in good.get("content", {}).values()]
    references = [schema["$ref"].rpartition("/")[2] for schema in schemas if "$ref" in schema]

    assert operation.once == ("Idempotency-Key" in headers)
    if not references:
        assert operation.answer in (bytes, str, type(None))
    elif arguments := operation.answer.__pydantic_generic_metadata__["args"]:
        items = DOCUMENT["components"]["schemas"][references[0]]["properties"]["items"]["items"]["$ref"]
        assert schema_of(arguments[0]) == items.rpartition("/")[2]
    else:
        assert [schema_of(operation.answer)] == references


@pytest.mark.parametrize(
    "model",
    [
        each
        for each in vars(models).values()
        if isinstance(each, type)
        and issubclass(each, BaseModel)
        and each not in (models.Answer, models.Page, BaseModel)
    ],
)
def test_a_model_has_the_fields_that_the_document_has(model: type[BaseModel]) -> None:
    documented = DOCUMENT["components"]["schemas"][schema_of(model)]
    ours = model.model_json_schema(ref_template="{model}")

    shapes, said = _shapes(ours, ours.get("$defs", {})), _shapes(documented, DOCUMENT["components"]["schemas"])
    # What not every service says is optional here, and not there.
    optional = shapes.keys() - set(ours["required"])
    assert shapes.keys() - said.keys() <= optional
    for name, shape in said.items():
        assert shapes[name] == (shape | {"null"} if name in optional else shape), name


def test_every_problem_of_the_api_has_a_class() -> None:
    documented = {
        slug
        for call in CALLS.values()
        for answer in call["responses"].values()
        for slug in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }

    assert documented <= problems.known_problems().keys()
    assert {kind.__name__ for kind in problems.known_problems().values()} <= set(inset_client.__all__)


def test_every_member_of_a_problem_is_typed() -> None:
    """Of the service's classes, as it says them; where it hands some on, they are named there as well."""
    tree = ast.parse((ROOT / "service" / "inset" / "errors.py").read_text())
    said: dict[str, set[str]] = {}
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        slugs = re.findall(r'slug, title.* = "([a-z-]+)"', ast.unparse(kind).replace("'", '"').replace("(", ""))
        calls = [node for node in ast.walk(kind) if isinstance(node, ast.Call) and "__init__" in ast.unparse(node.func)]
        said |= {slug: {each.arg for call in calls for each in call.keywords if each.arg} for slug in slugs}

    typed = {slug: set(vars(kind).get("__annotations__", ())) for slug, kind in problems.known_problems().items()}

    assert len(said) > 40
    assert {slug: names for slug, names in typed.items() if names != said.get(slug, names)} == {
        "invalid-request": {"errors"}
    }


def test_every_event_of_a_session_has_a_class_with_what_it_says() -> None:
    table = CALLS["GET", "/v1/sessions/{id}/events"]["description"]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines() if line.startswith("| `")]

    assert {row[0].strip("`") for row in rows} == events._KINDS.keys()
    for kind, says in rows:
        fields = events._KINDS[kind.strip("`")].model_fields.keys()
        # What a reason may be stands there, too, and in which state something is said.
        words = {"in", *get_args(models.SessionState)}
        named = set(re.findall(r"`([a-z0-9_]+)`(?=[,:; ]|$)", re.sub(r": `.*?;", ";", says))) - words
        assert named <= fields, kind


def test_the_words_of_a_list_are_those_of_the_document() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert list(get_args(models.SessionState)) == schemas["SessionState"]["enum"]
    assert list(get_args(models.Take)) == schemas["VersionResolve"]["properties"]["take"]["enum"]
    assert list(get_args(models.Interface)) == schemas["IframeUrlCreate"]["properties"]["interface"]["enum"]


def test_the_sync_half_is_what_the_async_half_makes_it() -> None:
    folder = unasync.PACKAGE / "_sync"
    there = {file.name: file.read_text() for file in folder.glob("*.py") if file.name not in unasync.BY_HAND}

    assert there == unasync.written(), "`python dev/unasync.py` writes it anew"


def _shapes(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return {name: _shape(each, definitions) for name, each in schema["properties"].items()}


def _shape(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Say what a field is: its types, and the words it may have. A model is its name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        target = definitions[name]
        return frozenset(target["enum"]) if "enum" in target else frozenset({name})
    if "anyOf" in schema:
        return _open(frozenset().union(*(_shape(each, definitions) for each in schema["anyOf"])))
    if "enum" in schema:
        return frozenset(schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return frozenset({("array", _shape(schema["items"], definitions))})
    if kind == "object":
        further = schema.get("additionalProperties")
        return frozenset({("object", _shape(further, definitions) if isinstance(further, dict) else further)})
    return frozenset({schema.get("format", kind)})


def _open(shape: frozenset[Any]) -> frozenset[Any]:
    """Take away what lets further words through."""
    return shape - {"string"} if len(shape - {"null"}) > 1 else shape
