"""What a server's start leaves out: only what no server uses, and nothing that somebody else in it could miss."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

OF_NO_USE = {"alembic", "jupyterhub.handlers.base", "jupyterhub.orm", "rich", "sqlalchemy"}


def test_a_start_imports_nothing_of_the_hub_itself() -> None:
    told = _python("-X", "importtime", "-m", "inset_bridge", "--version").stderr
    imported = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}

    assert {"inset_bridge.app", "jupyterhub.singleuser.extension"} <= imported
    assert imported.isdisjoint(OF_NO_USE), sorted(imported.intersection(OF_NO_USE))


def test_what_was_left_out_is_there_for_others_in_the_server() -> None:
    said = _python(
        "-c",
        "from inset_bridge.imports import without_the_hub\n"
        "with without_the_hub():\n"
        "    import jupyterhub.singleuser.extension\n"
        "import jupyterhub.orm, sqlalchemy as sa\n"
        "print(sa.create_engine('sqlite://').connect().execute(sa.text('select 42')).scalar())\n"
        "print(issubclass(sa.exc.OperationalError, sa.exc.SQLAlchemyError), jupyterhub.orm.User.__table__)",
    ).stdout

    assert said.split() == ["42", "True", "users"]


@pytest.mark.parametrize("without", [True, False], ids=["as a server", "by itself"])
def test_yarn_is_not_asked_although_jupyterlab_would(tmp_path: Path, without: bool) -> None:
    asked = tmp_path / "asked"
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho asked > {asked}\n", encoding="utf-8")
    node.chmod(0o755)
    first = "from inset_bridge.imports import without_yarn; without_yarn()\n" if without else ""

    _python("-c", f"{first}import jupyterlab.labapp", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert asked.exists() is not without


def _python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=True
    )
