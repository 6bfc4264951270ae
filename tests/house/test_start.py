"""What the service and its commands import at their start: only what they need for it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from benchmarks.serving import Inset
from tests.support.real_hub import ROOT

LATER = [
    "alembic",
    "asyncpg",
    "jsonschema",
    "nbconvert",
    "nbdime",
    "nbformat",
    "opentelemetry.sdk",
    "pydantic.v1.main",
    "rich",
    "websockets.asyncio.client",
]
"""Needed by few requests, by another database or by other commands."""


def test_serving_on_sqlite_imports_only_what_its_first_answers_need(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        inset = Inset(tmp_path / "inset")
        # It starts all that it is, finds its port taken, and ends.
        environment = {**inset.environment, "INSET_LISTEN_PORT": str(taken.getsockname()[1])}
        imported = _imported("serve", environment=environment)

    assert {"fastapi.routing", "sqlalchemy", "inset.routes.sessions"} <= imported
    assert imported.isdisjoint(LATER), sorted(imported.intersection(LATER))


def test_other_commands_import_no_web_framework(tmp_path: Path) -> None:
    imported = _imported("keygen", str(tmp_path / "signing.pem"), environment=dict(os.environ))

    assert "inset.cli" in imported
    assert imported.isdisjoint({*LATER, "fastapi", "starlette", "uvicorn"})


def test_fastapis_models_of_a_description_are_built_when_one_is_asked_for() -> None:
    program = """
from inset.importing import import_fastapi, without_the_unneeded
without_the_unneeded()
import_fastapi()

from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel
assert not OpenAPI.__pydantic_complete__
assert "defer_build" not in BaseModel.model_config

from inset.cli import main
main(["openapi"])
assert OpenAPI.__pydantic_complete__
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == (ROOT / "docs" / "openapi.json").read_text()


def _imported(*arguments: str, environment: dict[str, str]) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "inset", *arguments]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False).stderr
    lines = (line for line in told.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}
