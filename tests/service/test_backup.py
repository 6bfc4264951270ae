"""Backup and restore as `docs/operations.md` says it: taken beside live saves, whole, and served again."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import httpx
import pytest

from tests.service.conftest import document, running_service, until

pytestmark = pytest.mark.each_database


@pytest.fixture
def backed_up(settings, databases, database_kind, tmp_path):
    """Back the database up, and restore it elsewhere; gives the restored one's URL."""

    async def backup() -> str:
        if database_kind == "sqlite":
            with (
                closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as live,
                closing(sqlite3.connect(tmp_path / "backup.db")) as copy,
            ):
                live.backup(copy)
            shutil.copy(tmp_path / "backup.db", tmp_path / "restored.db")
            return f"sqlite:///{tmp_path}/restored.db"
        name = settings.database_url.rpartition("/inset_")[2].partition("?")[0]
        file = await asyncio.to_thread(databases.server.dump, f"inset_{name}")
        return databases.server.url(await databases.server.restore(file))

    return backup


async def test_a_backup_taken_during_saves_is_whole_and_is_served_again(
    settings, hub, host, backed_up, command, monkeypatch
):
    async with running_service(settings, hub, **host.bearer("ada")) as client:
        notebooks = [(await client.post("/v1/notebooks", json={"name": f"{n}"})).json()["id"] for n in range(4)]
        opened = (await client.post("/v1/sessions", json={"notebook_id": notebooks[0]})).json()
        await until(client, opened["id"], "ready")
        acknowledged = dict.fromkeys(notebooks, 1)
        stopping = asyncio.Event()
        savers = [asyncio.create_task(_save(client, id, acknowledged, stopping)) for id in notebooks]
        while min(acknowledged.values()) < 3:
            await asyncio.sleep(0.02)
        before = dict(acknowledged)

        url = await backed_up()

        stopping.set()
        await asyncio.gather(*savers)
    monkeypatch.setenv("INSET_DATABASE_URL", url)
    assert (await command("db", "upgrade"))[0] == 0
    monkeypatch.setenv("INSET_DATABASE_URL", url)
    code, told, _ = await command("db", "check")
    assert (code, told.strip()) == (0, "All is as it should be.")
    hub.servers.clear()  # as `docs/operations.md` says: those of the lost database are ended first
    async with running_service(settings.model_copy(update={"database_url": url}), hub, **host.bearer("ada")) as client:
        for id, least in before.items():
            found = (await client.get(f"/v1/notebooks/{id}")).json()["version"]
            assert least <= found <= acknowledged[id]
            assert (await client.get(f"/v1/notebooks/{id}/content")).status_code == 200
        gone = await until(client, opened["id"], "failed")
        assert gone["failure"]["code"] == "server-died"
        again = (await client.post("/v1/sessions", json={"notebook_id": notebooks[0]})).json()
        await until(client, again["id"], "ready")


async def _save(client: httpx.AsyncClient, id: str, acknowledged: dict[str, int], stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        headers = {"If-Match": f'"{acknowledged[id]}"'}
        saved = await client.put(
            f"/v1/notebooks/{id}/content", json=document(f"{acknowledged[id]}" * 500), headers=headers
        )
        assert saved.status_code == 200, saved.text
        acknowledged[id] = saved.json()["version"]
        await asyncio.sleep(0.01)
