"""Sessions in containers: waiting for their states, and for their containers' end."""

import asyncio

import httpx

from tests.docker.deployment import Deployment
from tests.service.conftest import events


async def reached(api: httpx.AsyncClient, session_id: str, state: str) -> None:
    """Follow a session's events until one says so; how it failed is the failure's text."""
    seen = []
    async with asyncio.timeout(120):
        async for kind, detail in events(api, session_id):
            seen.append((kind, detail))
            if kind == state:
                return
    raise AssertionError(f"the session never was {state}: {seen}")


async def opened(running: Deployment, api: httpx.AsyncClient, name: str) -> str:
    """Open a new notebook; gives its seat's container."""
    notebook = (await api.post("/v1/notebooks", json={"name": name})).json()
    session = (await api.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await reached(api, session["id"], "ready")
    [seat] = running.seat_containers()
    return seat


async def no_session_left(running: Deployment, api: httpx.AsyncClient) -> None:
    """End what is open, and wait until the last seat's container is gone: a session ends once its saves are home."""
    for session in (await api.get("/v1/sessions", params={"state": "live"})).json()["items"]:
        await api.delete(f"/v1/sessions/{session['id']}")
        await reached(api, session["id"], "ended")
    async with asyncio.timeout(60):
        while await asyncio.to_thread(running.seat_containers):
            await asyncio.sleep(0.2)
