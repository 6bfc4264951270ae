"""How Jupyter's interface is set up inside a frame."""

from typing import Any

import pytest

from tests.singleuser.conftest import Seat

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_jupyter_saves_every_ten_seconds_and_announces_nothing(seat: Seat):
    documents = await _settings(seat, "@jupyterlab/docmanager-extension:plugin")
    assert documents["autosaveInterval"] == 10
    notifications = await _settings(seat, "@jupyterlab/apputils-extension:notification")
    assert (notifications["checkForUpdates"], notifications["fetchNews"]) == (False, "false")


async def test_the_page_s_own_side_of_the_bridge_is_installed(seat: Seat):
    page = await seat.http.get("notebooks/any.ipynb")
    assert '"name": "inset-bridge"' in page.text


async def _settings(seat: Seat, plugin: str) -> dict[str, Any]:
    answer = await seat.http.get(f"lab/api/settings/{plugin}")
    properties = answer.json()["schema"]["properties"]
    return {name: one.get("default") for name, one in properties.items()}
