"""What two do at the same moment comes out as if one had come first, on either database."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, func, select

from inset.db import open_database
from inset.documents import document_from_jupyter
from inset.events import tell
from inset.hubs import Hubs
from inset.models import Host, Notebook, Server, ServerState, Session, SessionEvent, SessionState
from inset.notebooks import create_notebook
from inset.retention import purge_notebooks
from inset.servers import let_go, seat_for
from inset.store.garbage import remove_unused_blobs, remove_versions
from inset.store.packing import pack
from inset.versions import get_version, read_document
from tests.service.conftest import document, problem, running_service

pytestmark = pytest.mark.each_database

LIST = "/v1/notebooks"


@pytest.fixture
async def database(settings):
    async with open_database(settings.database_url, settings.database) as database:
        yield database


@pytest.fixture
async def replicas(settings, hub):
    hub.spawns_hold = True
    async with running_service(settings, hub) as one, running_service(settings, hub) as two:
        yield one, two


async def _add_session(database, **values) -> str:
    async with database.transaction() as db:
        host = (await db.exec(select(Host))).first()
        notebook = Notebook(host_id=host.id, owner="ada", name="N")
        db.add(notebook)
        await db.flush()
        session = Session(host_id=host.id, owner="ada", notebook_id=notebook.id, **values)
        db.add(session)
    return session.id


async def test_who_has_seen_an_event_misses_none_that_is_committed_later(database):
    sessions = [await _add_session(database) for _ in range(6)]
    writing = 6

    async def write(session_id: str) -> None:
        nonlocal writing
        for number in range(30):
            async with database.transaction() as db:
                tell(db, session_id, "progress", number=number)
        writing -= 1

    async def read() -> list[int]:
        seen = [0]
        while True:
            last_time = not writing
            later = select(SessionEvent.id).where(col(SessionEvent.id) > seen[-1]).order_by("id")
            async with database.transaction(read_only=True) as db:
                seen += (await db.exec(later)).all()
            if last_time:
                return seen[1:]
            await asyncio.sleep(0)

    seen, *_ = await asyncio.gather(read(), *map(write, sessions))

    async with database.transaction(read_only=True) as db:
        assert seen == (await db.exec(select(SessionEvent.id).order_by("id"))).all()
    assert len(seen) == 180


async def test_an_event_of_a_transaction_that_takes_long_holds_up_nobody_elses(database):
    slow, quick = [await _add_session(database) for _ in range(2)]
    async with database.transaction() as db:
        tell(db, slow, "progress")
        async with asyncio.timeout(30), database.transaction() as other:
            tell(other, quick, "progress")

    async with database.transaction(read_only=True) as db:
        assert (await db.exec(select(SessionEvent.session_id).order_by("id"))).all() == [quick, slow]


async def test_what_a_transaction_that_is_rolled_back_wanted_to_tell_is_not_told(database):
    session_id = await _add_session(database)

    async def fail() -> None:
        async with database.transaction() as db:
            tell(db, session_id, "progress")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as db:
        tell(db, session_id, "progress")
        await db.rollback()

    async with database.transaction(read_only=True) as db:
        assert (await db.exec(select(func.count()).select_from(SessionEvent))).one() == 0


async def test_a_server_that_a_session_takes_is_not_let_go_by_another_that_ends(database, settings):
    async with httpx.AsyncClient() as http:
        [hub] = Hubs(settings.every_hub, http)  # of which nothing is asked
    ended = await _add_session(database, state=SessionState.ENDED)
    taking = await _add_session(database)
    async with database.transaction() as db:
        session = await db.get_one(Session, ended)
        server = await seat_for(db, session, hub)
        session.server_id = server.id

    async def let_it_go() -> None:
        async with database.transaction() as db:
            await let_go(db, server.id)

    async with database.transaction() as db:
        session = await db.get_one(Session, taking)
        assert (await seat_for(db, session, hub)).id == server.id
        letting_go = asyncio.create_task(let_it_go())
        await asyncio.wait([letting_go], timeout=0.3)
        assert not letting_go.done()
        session.server_id = server.id
    await letting_go

    async with database.transaction(read_only=True) as db:
        assert (await db.get_one(Server, server.id)).state is ServerState.STARTING


async def test_a_notebook_is_deleted_or_opened_and_never_both(replicas, host):
    one, two = replicas
    for _ in range(8):
        notebook = (await one.post(LIST, json={"name": "N"}, headers=host.bearer())).json()

        opened, deleted = await asyncio.gather(
            one.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=host.bearer()),
            two.delete(f"{LIST}/{notebook['id']}", headers=host.bearer()),
        )

        assert (opened.status_code, deleted.status_code) in ((202, 409), (404, 204))


async def test_a_call_that_comes_to_all_replicas_at_once_with_one_key_is_done_once(replicas, host):
    headers = {**host.bearer(), "Idempotency-Key": "once"}

    answers = await asyncio.gather(
        *[replica.post(LIST, json={"name": "Once"}, headers=headers) for replica in replicas * 4]
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await replicas[1].get(LIST, headers=host.bearer())).json()["items"]) == 1


async def test_a_key_of_a_call_that_failed_can_be_used_again(replicas, host):
    headers = {**host.bearer(), "Idempotency-Key": "again"}
    notebook = (await replicas[0].post(LIST, json={"name": "N"}, headers=host.bearer())).json()
    path = f"{LIST}/{notebook['id']}/versions/%s/restore"

    assert problem(await replicas[0].post(path % 2, headers=headers)) == "version-not-found"
    await replicas[0].put(
        f"{LIST}/{notebook['id']}/content", json=document("x"), headers={**host.bearer(), "If-Match": '"1"'}
    )
    assert (await replicas[1].post(path % 2, headers=headers)).status_code == 201


async def test_a_restore_is_current_whatever_is_saved_at_that_moment(replicas, host):
    one, two = replicas
    notebook = (await one.post(LIST, json={"name": "N"}, headers=host.bearer())).json()
    path = f"{LIST}/{notebook['id']}"
    for number in range(1, 13, 2):
        base = (await one.get(path, headers=host.bearer())).json()["version"]
        saved, restored = await asyncio.gather(
            one.put(f"{path}/content", json=document(f"{number}"), headers={**host.bearer(), "If-Match": f'"{base}"'}),
            two.post(f"{path}/versions/1/restore", headers=host.bearer()),
        )

        assert restored.status_code in (200, 201)
        line = (await two.get(f"{path}/versions/{restored.json()['number']}", headers=host.bearer())).json()
        assert line["aside"] is None
        assert saved.status_code in (200, 409)


async def test_a_piece_that_a_save_is_about_to_use_is_kept_by_a_removal_at_that_moment(database):
    content = document_from_jupyter(json.dumps(document("x" * 10_000)).encode())
    async with database.transaction() as db:
        host = (await db.exec(select(Host))).first()
        gone = await create_notebook(db, host.id, "ada", "Gone", content, origin="api")
    async with database.transaction() as db:
        await remove_versions(db, gone.id, [1])

    async with database.transaction() as db:
        kept = await create_notebook(db, host.id, "ada", "Kept", content, origin="api")
        removing = asyncio.create_task(remove_unused_blobs(database))
        await asyncio.wait([removing], timeout=0.3)

    assert await removing == (0, 0)
    async with database.transaction(read_only=True) as db:
        assert await read_document(db, await get_version(db, kept.id, 1)) == content


async def test_notebooks_that_are_purged_while_others_are_packed_do_not_end_the_packing(database):
    content = document_from_jupyter(json.dumps(document("x")).encode())
    async with database.transaction() as db:
        host = (await db.exec(select(Host))).first()
        for _ in range(30):
            notebook = await create_notebook(db, host.id, "ada", "Deleted", content, origin="api")
            notebook.deleted_at = notebook.created_at

    _, purged = await asyncio.gather(pack(database, print), purge_notebooks(database, undelete_for=timedelta(0)))

    assert len(purged.notebooks) == 30
