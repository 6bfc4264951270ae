"""Imports point one way, so that the tree can be read from the top down."""

import ast
from pathlib import Path

import pytest

from tests.support.real_hub import ROOT

SERVICE = ROOT / "service" / "inset"

# Each layer may import those below it, and modules of its own layer only where the order within it says so.
LAYERS = [
    ["__main__"],
    ["cli"],
    ["database_commands", "webhook_commands", "serving"],
    ["audit_command", "hubs_command"],
    ["app"],
    ["routes"],
    ["routers"],
    ["middleware", "observing", "deps", "receiving", "flat", "route_table"],
    ["gauges", "readiness"],
    ["problems", "once", "driver"],
    ["steps", "upkeep", "sweeping", "pool"],
    ["bridges", "clearing", "doctor", "edge", "hosts", "preview", "retention", "users"],
    ["sessions", "control"],
    ["queue"],
    ["notebooks", "lifecycle", "room", "pool_plan"],
    ["sides"],
    ["webhooks"],
    ["receipts", "checking", "vault"],
    ["servers", "versions", "events", "callers", "rates", "signing"],
    ["hubs", "draining", "lookout"],
    ["store", "transfer", "audit"],
    ["notebook_server", "hub", "jwks", "tokens", "db", "schema"],
    ["diffs", "diff_page", "merging"],
    ["documents", "calls", "keys", "paging", "failures", "offload", "progress", "event_stream", "rounds"],
    ["encryption", "seals", "engines", "profiles", "recent", "turns"],
    ["canonical", "cells"],
    ["models"],
    ["errors", "settings", "clock"],
    ["logs", "traces"],
    ["acting", "metrics", "departure", "importing"],
    [""],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def _layer(module: str) -> str:
    return module.removeprefix("inset").lstrip(".").split(".")[0]


def _imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "inset":
            if node.module == "inset":
                found |= {alias.name if alias.name in RANK else "" for alias in node.names}
            else:
                found.add(_layer(node.module))
        elif isinstance(node, ast.Import):
            found |= {_layer(alias.name) for alias in node.names if alias.name.split(".")[0] == "inset"}
    return found


@pytest.mark.parametrize("file", sorted(SERVICE.rglob("*.py")), ids=lambda file: str(file.relative_to(SERVICE)))
def test_the_services_imports_point_one_way(file: Path) -> None:
    if "migrations" in file.parts:
        return
    layer = file.relative_to(SERVICE).with_suffix("").parts[0].replace("__init__", "")
    for imported in _imports(file):
        if imported != layer:
            assert RANK[layer] < RANK[imported], f"{layer} must not import {imported}"


def test_the_verbs_know_nothing_of_http() -> None:
    for name in (
        "sessions",
        "notebooks",
        "retention",
        "diffs",
        "diff_page",
        "bridges",
        "calls",
        "edge",
        "versions",
        "sides",
        "steps",
        "servers",
        "lifecycle",
        "control",
        "upkeep",
        "hub",
        "hubs",
        "draining",
        "jwks",
        "profiles",
        "vault",
        "rates",
        "users",
        "audit",
        "sweeping",
        "queue",
        "turns",
        "pool",
        "pool_plan",
        "offload",
        *(f"webhooks/{file.stem}" for file in (SERVICE / "webhooks").glob("*.py")),
        *(f"store/{file.stem}" for file in (SERVICE / "store").glob("*.py")),
    ):
        text = (SERVICE / f"{name}.py").read_text()
        assert "fastapi" not in text, name
        assert "starlette" not in text, name


@pytest.mark.parametrize(
    ("folder", "foreign"),
    [
        ("service/inset", ("inset_hub", "inset_bridge", "demo")),
        ("hub/inset_hub", ("inset", "inset_bridge", "demo")),
        ("singleuser/inset_bridge", ("inset", "inset_hub", "demo")),
        ("frontend-snippet/demo", ("inset_hub", "inset_bridge")),
        ("deploy/engine/inset_engine", ("inset", "inset_hub", "inset_bridge", "demo")),
        ("clients/python/inset_client", ("inset", "inset_hub", "inset_bridge", "demo")),
    ],
)
def test_the_parts_meet_over_http_and_never_import_each_other(folder: str, foreign: tuple[str, ...]) -> None:
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            assert not [module for module in modules if module.split(".")[0] in foreign], file
