"""What is looked up once: the answers are Jupyter's, and what was installed meanwhile is in them."""

import asyncio
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import pytest
from jupyter_core.paths import jupyter_path
from jupyterlab_server import settings_utils, translation_utils
from nbconvert.exporters.base import get_export_names

from inset_bridge import lookups
from tests.singleuser.conftest import Seat


def test_what_is_installed_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    real = importlib.metadata.entry_points

    def counting() -> object:
        nonlocal asked
        asked += 1
        return real()

    monkeypatch.setattr(importlib.metadata, "entry_points", counting)
    monkeypatch.setattr(lookups, "_found", ((), None))
    # As if every folder had been left alone for long.
    monkeypatch.setattr(lookups, "_SETTLED_SECONDS", -(10**6))

    found = [lookups.entry_points(group="nbconvert.exporters", name=name) for name in ("html", "script", "html")]

    assert asked == 1
    assert [[one.name for one in some] for some in found] == [["html"], ["script"], ["html"]]
    assert list(lookups.entry_points(group="nbconvert.exporters")) == list(real(group="nbconvert.exporters"))


def test_what_is_installed_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert not lookups.entry_points(group="inset.test")

    package = tmp_path / "added-1.dist-info"
    package.mkdir()
    assert not lookups.entry_points(group="inset.test")
    (package / "METADATA").write_text("Name: added\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[inset.test]\none = added:one\n")

    assert [one.name for one in lookups.entry_points(group="inset.test")] == ["one"]


def test_settings_are_as_with_checked_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = f"{sys.prefix}/share/jupyter/lab/schemas"
    theme = tmp_path / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    theme.parent.mkdir(parents=True)
    theme.write_text('{"theme": 3}')
    folders: dict[str, Any] = {"settings_dir": str(tmp_path), "labextensions_path": jupyter_path("labextensions")}
    jupyters = settings_utils.get_settings("", schemas, **folders)
    for module, name in ((settings_utils, "Validator"), (translation_utils, "entry_points")):
        monkeypatch.setattr(module, name, vars(module)[name])

    lookups.remember()

    ours = settings_utils.get_settings("", schemas, **folders)
    assert isinstance(vars(settings_utils)["Validator"], lookups._OfUsersSettings)
    assert ours == jupyters
    assert "Failed validating settings" in ours[1][0]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_server_s_export_formats_are_those_that_are_installed(seat: Seat) -> None:
    usable = set(await asyncio.to_thread(get_export_names))
    assert {"html", "script"} <= usable
    for _ in range(2):
        assert set((await seat.http.get("api/nbconvert")).json()) == usable
