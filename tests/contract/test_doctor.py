"""`inset doctor` against a real hub: it finds nothing wrong where all is well, and what is wrong where it is not."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from inset.cli import main
from inset.clock import now
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.models import Server, ServerState
from inset.schema import upgrade
from tests.support.hosts import AUDIENCE, TestHost, write_hosts_file
from tests.support.real_hub import ROOT, RealHub, real_hub

_ADMIN = """
exec(open({config!r}).read())
c.JupyterHub.load_roles[0]["scopes"] += ["admin:users", "servers"]
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[RealHub]:
    async with real_hub(tmp_path, {"INSET_SEATS": "3"}) as hub:
        yield hub


@pytest.fixture
async def database_url(tmp_path: Path) -> str:
    """A database with one host application."""
    url = f"sqlite+aiosqlite:///{tmp_path}/inset.db"
    await asyncio.to_thread(upgrade, url)
    async with open_database(url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "hosts.toml", TestHost()))
    return url


def doctor(hub: RealHub, database_url: str, **settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the command; gives its exit code, and its findings by their codes."""
    key = hub.data / "signing.pem"
    if not key.exists():
        main(["keygen", str(key)])
    environment = {
        **os.environ,
        "INSET_PUBLIC_URL": AUDIENCE,
        "INSET_DATABASE_URL": database_url,
        "INSET_SIGNING_KEY_FILE": str(key),
        "INSET_HUB__TOKEN": hub.token,
        "INSET_HUB__API_URL": hub.api_url,
        "INSET_HUB__PROXY_URL": hub.bind_url,
        "INSET_HUB__SEATS": "3",
        **settings,
    }
    command = [sys.executable, "-m", "inset", "doctor", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    assert hub.token not in done.stdout + done.stderr
    return done.returncode, {finding["code"]: finding for finding in json.loads(done.stdout)}


async def test_a_good_set_up_is_found_good_with_and_without_a_server(hub: RealHub, database_url: str):
    code, found = doctor(hub, database_url)
    assert code == 0, found
    assert {name for name, finding in found.items() if finding["level"] != "ok"} == {"websocket", "framing"}, found

    host = TestHost()
    server_id = await hub.start_server("seat-001", origins=host.origins)
    url = f"{hub.seat_origin('seat-001')}/user/seat-001/"
    async with open_database(database_url) as database, database.transaction() as db:
        server = Server(id=server_id, host_id=host.id, owner="ada", seat="seat-001", state=ServerState.RUNNING, url=url)
        server.checked_at = now()
        db.add(server)

    code, found = doctor(hub, database_url)
    assert (code, {finding["level"] for finding in found.values()}) == (0, {"ok"}), found


async def test_more_seats_than_the_hub_has_and_a_token_that_it_does_not_know(hub: RealHub, database_url: str):
    code, found = doctor(hub, database_url, INSET_HUB__SEATS="5")
    assert code == 1, found
    assert "takes 5 seats and finds 3" in found["seats-missing"]["message"]

    code, found = doctor(hub, database_url, INSET_HUB__TOKEN="not the hub's")
    assert code == 1, found
    assert {name for name, finding in found.items() if finding["level"] == "error"} == {"token-refused"}


async def test_a_token_that_may_too_much(tmp_path: Path, database_url: str):
    config = tmp_path / "admin_config.py"
    config.write_text(_ADMIN.format(config=str(ROOT / "hub" / "jupyterhub_config.py")))
    async with real_hub(tmp_path, {"INSET_SEATS": "3"}, config=config) as hub:
        code, found = doctor(hub, database_url)

    assert code == 1, found
    assert "admin:users" in found["scopes-too-wide"]["message"]
    assert "load_roles" in found["scopes-too-wide"]["fix"]


async def test_seats_that_share_an_origin(tmp_path: Path, database_url: str):
    shared = {"INSET_SEATS": "3", "INSET_ISOLATION": "off", "INSET_ALLOW_SHARED_ORIGIN": "1"}
    async with real_hub(tmp_path, shared) as hub:
        code, found = doctor(hub, database_url)

    assert code == 1, found
    assert found["shared-origin"]["level"] == "error"
