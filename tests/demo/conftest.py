"""The demo on its own, in front of a fake Inset."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from inset_client.testkit import FakeInset
from tests.support.webhooks import SECRET

FRONTEND = Path(__file__).parents[2] / "frontend-snippet"
sys.path.insert(0, str(FRONTEND))

HOST = "http://localhost:8090"
SERVICE = "http://localhost:8091"
KEY = "the tests' own key, of more than thirty-two bytes"


@pytest.fixture
def inset() -> FakeInset:
    return FakeInset(url=SERVICE, key=KEY, origin=HOST)


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    folder = tmp_path / "sdk"
    folder.mkdir()
    (folder / "inset-notebook.js").write_text("export const embedNotebook = () => {};\n")
    return folder


@pytest.fixture
async def app(tmp_path: Path, sdk: Path, inset: FakeInset) -> AsyncIterator[Any]:
    from demo.app import create_app
    from demo.settings import Settings

    settings = Settings(secret=KEY, webhook_secret=SECRET, data=tmp_path / "data", service_url=SERVICE, sdk=sdk)
    app = create_app(settings, service_transport=httpx.ASGITransport(app=inset.app))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        yield with_state


@pytest.fixture
def browser(app: Any) -> Callable[[], httpx.AsyncClient]:
    """Make one browser after the other, each with cookies of its own and nobody logged in."""
    return lambda: httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url=HOST,
        headers={"Accept": "text/html", "Origin": HOST},
        follow_redirects=True,
    )
