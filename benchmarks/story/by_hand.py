"""The seed's flow, as a careful person writes it by hand: each call after the other, a look every second."""

import asyncio
import time

import requests

from benchmarks.story.opening import NOTEBOOK, Opened, Watch
from tests.support.real_hub import RealHub

LOOK_SECONDS = 1.0


async def open_notebook(hub: RealHub, user: str, name: str, watch: Watch) -> Opened:
    """Create the user, make him a token, start his server, wait for it, put the notebook there."""
    return await asyncio.to_thread(_open, hub, user, name, watch)


async def stop(hub: RealHub, user: str) -> None:
    """End the user's server, and forget him."""
    await asyncio.to_thread(_stop, hub, user)


def _open(hub: RealHub, user: str, name: str, watch: Watch) -> Opened:
    api, headers = f"{hub.bind_url}/hub/api/users/{user}", {"Authorization": f"token {hub.token}"}
    created = requests.post(api, headers=headers, timeout=60)
    assert created.status_code in (201, 409), created.text
    made = requests.post(f"{api}/tokens", headers=headers, timeout=60)
    made.raise_for_status()
    token = made.json()["token"]
    started = requests.post(f"{api}/server", headers=headers, timeout=60)
    # 400: it runs already.
    assert started.status_code in (201, 202, 400), started.text
    watch.at("accepted")
    while not _ready(api, headers):
        time.sleep(LOOK_SECONDS)
    watch.at("server")
    base, user_headers = f"{hub.bind_url}/user/{user}/", {"Authorization": f"token {token}"}
    body = {"name": name, "type": "notebook", "format": "json", "content": NOTEBOOK}
    put = requests.put(f"{base}api/contents/{name}", json=body, headers=user_headers, timeout=60)
    put.raise_for_status()
    watch.at("restored")
    url = f"{hub.public_url}/user/{user}/notebooks/{name}?token={token}"
    watch.at("signed")
    return Opened(url, base, user_headers, name)


def _ready(api: str, headers: dict[str, str]) -> bool:
    looked = requests.get(api, headers=headers, timeout=60)
    looked.raise_for_status()
    return bool(looked.json()["servers"].get("", {}).get("ready"))


def _stop(hub: RealHub, user: str) -> None:
    api, headers = f"{hub.bind_url}/hub/api/users/{user}", {"Authorization": f"token {hub.token}"}
    requests.delete(f"{api}/server", headers=headers, timeout=60)
    while requests.get(api, headers=headers, timeout=60).json()["servers"]:
        time.sleep(0.2)
    requests.delete(api, headers=headers, timeout=60)
