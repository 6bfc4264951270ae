"""Every save reaches the service; none is failed, skipped or lost."""

import asyncio
import hashlib
import json

import pytest

from tests.singleuser.conftest import SEAT, Seat, notebook

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_loaded_notebook_is_the_exact_text(seat: Seat):
    content = b'{"cells": [],  "metadata":{"odd": "\\ud800 \xc3\xbc"},\r\n "nbformat":4, "nbformat_minor":5}'
    notebook_id = seat.service.add_notebook(content)
    path = f"work/{notebook_id}/odd.ipynb"

    answer = await seat.put_document(notebook_id, path, version=1, content=content)

    assert answer.json() == {"bridge": "0.1.0", "protocol": 1, "path": path}
    assert (await seat.text(path)).encode() == content


async def test_what_jupyter_has_acknowledged_is_stored(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]

    for number, source in enumerate(("2", "3", "4"), start=2):
        await seat.save(path, source)

        assert [version.number for version in stored.versions] == list(range(1, number + 1))
        newest = stored.newest
        assert (newest.content, newest.origin, newest.parent) == (notebook(source), "autosave", number - 1)


async def test_a_save_that_says_that_it_is_meant_is_sent_once(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]

    await seat.save(path, "2", inset_origin="save")
    assert stored.newest.origin == "save"

    assert (await seat.flush(path)).json()["version"] == 2
    assert stored.sent == 1


async def test_a_save_that_names_what_it_replaces_replaces_nothing_else(seat: Seat):
    notebook_id, path = await seat.load("1")
    opened = hashlib.sha256(notebook("1")).hexdigest()

    answers = [await seat.put(path, f"page {n}", inset_replaces=opened, inset_save=str(n)) for n in range(2)]

    assert [answer.status_code for answer in answers] == [200, 412]
    assert await seat.text(path) == notebook("page 0").decode()
    assert answers[0].json()["hash"] == hashlib.sha256(notebook("page 0")).hexdigest()
    assert [version.content for version in seat.service.notebooks[notebook_id].versions[1:]] == [notebook("page 0")]


async def test_of_two_pages_that_save_at_once_one_is_told_of_the_other(seat: Seat):
    _, path = await seat.load("1")
    for turn in range(10):
        opened = hashlib.sha256((await seat.text(path)).encode()).hexdigest()
        saves = (seat.put(path, f"page {n}, {turn}", inset_replaces=opened, inset_save=f"{turn}.{n}") for n in range(2))
        assert sorted(answer.status_code for answer in await asyncio.gather(*saves)) == [200, 412]


async def test_a_save_after_one_that_its_page_had_no_answer_to_is_no_conflict_with_it(seat: Seat):
    _, path = await seat.load("1")
    opened = hashlib.sha256(notebook("1")).hexdigest()
    await seat.put(path, "answered to nobody", inset_replaces=opened, inset_save="a")

    again = {"inset_replaces": opened, "inset_save": "c", "inset_unanswered": ["a", "b"]}
    answers = [await seat.put(path, "saved again", **again) for _ in range(2)]
    answers.append(await seat.put(path, "too late", **{**again, "inset_save": "d"}))

    assert [answer.status_code for answer in answers] == [200, 200, 412]
    assert await seat.text(path) == notebook("saved again").decode()


async def test_a_file_that_was_deleted_meanwhile_is_there_again(seat: Seat):
    _, path = await seat.load("1")
    await seat.http.delete(f"api/contents/{path}")

    answer = await seat.put(path, "2", inset_replaces=hashlib.sha256(notebook("1")).hexdigest())

    assert answer.status_code == 201
    assert await seat.text(path) == notebook("2").decode()


async def test_saves_at_the_same_time_are_sent_one_after_the_other_and_none_twice(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]

    await asyncio.gather(*[seat.save(path, source) for source in "23456"])

    contents = [version.content for version in stored.versions]
    assert (await seat.text(path)).encode() == stored.newest.content
    assert len(set(contents)) == len(contents)
    assert [version.parent for version in stored.versions[1:]] == [version.number for version in stored.versions[:-1]]


async def test_a_service_that_says_nothing_holds_up_one_save_and_that_for_a_while(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]
    seat.service.taking.clear()
    try:
        await seat.save(path, "held up")
        async with asyncio.timeout(10):  # a fourth of what it would be if each was held up
            for count in range(20):
                await seat.save(path, str(count))
        assert len(stored.versions) == 1
        assert stored.sent == 1, "the first goes on; nothing else is sent meanwhile"
    finally:
        seat.service.taking.set()

    await seat.service.until(lambda: stored.newest.content == notebook("19"))
    assert [version.content for version in stored.versions] == [notebook("1"), notebook("held up"), notebook("19")]
    await seat.save(path, "stored again")
    assert stored.newest.content == notebook("stored again")


async def test_a_service_that_is_away_for_a_moment_has_the_save_before_jupyter_acknowledges_it(seat: Seat):
    notebook_id, path = await seat.load("1")
    before = len(seat.service.calls)
    seat.service.down = True
    try:
        saving = asyncio.create_task(seat.save(path, "2"))
        await seat.service.until(lambda: "put" in seat.service.calls[before:])
    finally:
        seat.service.down = False
    await saving

    assert seat.service.notebooks[notebook_id].newest.content == notebook("2")


async def test_a_flush_right_after_a_save_names_its_origin_and_answers_what_is_stored(seat: Seat):
    notebook_id, path = await seat.load("1")

    await seat.save(path, "2")
    answer = await seat.flush(path)

    stored = seat.service.notebooks[notebook_id]
    assert answer.json() == {
        "version": 2,
        "sha256": stored.newest.sha256,
        "flushed": True,
        "path": path,
        "receipt": "receipt of version 2",
        "disk_full": False,
    }
    assert stored.newest.origin == "save"
    assert len(stored.versions) == 2


async def test_a_user_s_save_of_what_was_autosaved_says_so(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]
    await seat.save(path, "2")
    assert stored.newest.origin == "autosave"

    assert (await seat.flush(path)).json()["version"] == 2

    assert (stored.newest.number, stored.newest.origin) == (2, "save")


async def test_saves_while_the_service_is_down_succeed_and_the_newest_is_sent_later(seat: Seat):
    notebook_id, path = await seat.load("1")
    seat.service.down = True
    try:
        for source in ("2", "3", "4"):
            await seat.save(path, source)
        assert (await seat.flush(path)).json()["code"] == "service-unavailable"
    finally:
        seat.service.down = False

    stored = seat.service.notebooks[notebook_id]
    await seat.service.until(lambda: stored.newest.content == notebook("4"))
    assert [version.number for version in stored.versions] == [1, 2]


async def test_a_save_after_one_whose_answer_got_lost_is_no_conflict_with_it(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]
    seat.service.loses_answers = True
    try:
        await seat.save(path, "2")
        assert len(stored.versions) == 2
        await seat.save(path, "3")
    finally:
        seat.service.loses_answers = False

    assert (await seat.flush(path)).status_code == 200
    assert (stored.newest.content, stored.newest.parent, stored.current) == (notebook("3"), 2, 3)


async def test_what_is_not_sent_yet_is_on_disk(seat: Seat):
    notebook_id, path = await seat.load("1")
    journal = next(seat.hub.data.glob(f"seats/{SEAT}/*/.inset/journal.json"))
    seat.service.down = True
    try:
        await seat.save(path, "2")
        await seat.service.until(lambda: _entry(journal.read_text(), path)["saved"])
        assert _entry(journal.read_text(), path)["version"] == 1
    finally:
        seat.service.down = False
    await seat.service.until(lambda: not _entry(journal.read_text(), path)["saved"])
    assert _entry(journal.read_text(), path)["notebook_id"] == notebook_id


async def test_a_save_over_another_ones_version_is_kept_on_the_side(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]
    stored.add(notebook("someone else's"), parent=1, origin="api")

    await seat.save(path, "mine")
    answer = await seat.flush(path)

    assert answer.status_code == 409
    assert answer.json() == {
        "code": "version-conflict",
        "message": "Someone else saved this notebook; both versions are kept.",
        "current_version": 2,
        "kept_version": 3,
        "resolve": f"/v1/notebooks/{notebook_id}/versions/3/resolve",
        "sha256": hashlib.sha256(notebook("mine")).hexdigest(),
    }
    await seat.save(path, "mine again")
    await seat.flush(path)
    assert (stored.newest.content, stored.newest.parent) == (notebook("mine again"), 3)
    assert stored.current == 2


async def test_a_notebook_that_is_too_large_is_not_sent_again_and_again(seat: Seat):
    notebook_id, path = await seat.load("1")
    seat.service.largest = 1000
    journal = next(seat.hub.data.glob(f"seats/{SEAT}/*/.inset/journal.json"))
    try:
        for _ in range(2):
            await seat.save(path, "x" * 2000)
            assert not _entry(journal.read_text(), path)["saved"], "there is nothing left to try"
        assert (await seat.flush(path)).status_code == 413
        assert seat.service.notebooks[notebook_id].sent == 1
    finally:
        seat.service.largest = 10_000_000
    await seat.save(path, "2")
    await seat.flush(path)
    assert seat.service.notebooks[notebook_id].newest.content == notebook("2")


async def test_one_refused_notebook_does_not_hold_up_another(seat: Seat):
    refused_id, refused = await seat.load("1")
    notebook_id, path = await seat.load("1")
    del seat.service.notebooks[refused_id]

    await seat.save(refused, "2")
    await seat.save(path, "2")

    await seat.service.until(lambda: len(seat.service.notebooks[notebook_id].versions) == 2)


async def test_a_credential_that_ran_out_is_renewed(seat: Seat):
    _, path = await seat.load("1")
    seat.service.forget_credentials()
    await seat.save(path, "2")
    assert (await seat.flush(path)).status_code == 200


async def test_a_new_notebook_made_in_jupyter_becomes_a_stored_one(seat: Seat):
    known = set(seat.service.notebooks)
    created = (await seat.http.post("api/contents/", json={"type": "notebook"})).json()["path"]

    [notebook_id] = set(seat.service.notebooks) - known
    stored = seat.service.notebooks[notebook_id]
    assert stored.name == created.removesuffix(".ipynb")
    await seat.save(created, "2")
    await seat.flush(created)
    assert stored.newest.content == notebook("2")


async def test_a_checkpoint_or_another_file_becomes_nothing(seat: Seat):
    _, path = await seat.load("1")
    known = set(seat.service.notebooks)
    await seat.http.post(f"api/contents/{path}/checkpoints")
    await seat.http.put("api/contents/notes.txt", json={"type": "file", "format": "text", "content": "hello"})
    await seat.save(path, "2")
    await seat.flush(path)
    assert set(seat.service.notebooks) == known


async def test_renaming_the_file_renames_the_notebook_and_saves_follow(seat: Seat):
    notebook_id, path = await seat.load("1")
    moved = path.replace("analysis", "Ärger & Co")
    stored = seat.service.notebooks[notebook_id]

    assert (await seat.http.patch(f"api/contents/{path}", json={"path": moved})).status_code == 200
    await seat.service.until(lambda: stored.name == "Ärger & Co")
    await seat.save(moved, "2")
    answer = await seat.flush(moved)

    assert seat.service.paths[notebook_id] == moved
    assert answer.json()["path"] == moved
    assert stored.newest.content == notebook("2")
    assert (await seat.flush(path)).status_code == 404


async def test_renaming_the_folder_leaves_the_name_and_saves_follow(seat: Seat):
    notebook_id, path = await seat.load("1")
    folder = path.rsplit("/", 1)[0]
    moved = path.replace(notebook_id, "elsewhere")
    await seat.http.patch(f"api/contents/{folder}", json={"path": moved.rsplit("/", 1)[0]})
    await seat.service.until(lambda: notebook_id in seat.service.paths)
    await seat.save(moved, "2")
    await seat.flush(moved)
    stored = seat.service.notebooks[notebook_id]
    assert (seat.service.paths[notebook_id], stored.name) == (moved, "analysis")
    assert stored.newest.content == notebook("2")


async def test_a_copy_made_in_jupyter_is_a_notebook_of_its_own(seat: Seat):
    _, path = await seat.load("1")
    copied = (await seat.http.post(f"api/contents/{path.rsplit('/', 1)[0]}", json={"copy_from": path})).json()["path"]
    await seat.service.until(lambda: any(one.name == "analysis-Copy1" for one in seat.service.notebooks.values()))
    assert (await seat.flush(copied)).status_code == 200


async def test_a_folder_that_is_named_like_a_notebook_holds_up_nothing(seat: Seat):
    notebook_id, path = await seat.load("1")
    assert (await seat.http.put("api/contents/folder.ipynb", json={"type": "directory"})).status_code == 201
    await seat.save(path, "2")
    await seat.service.until(lambda: len(seat.service.notebooks[notebook_id].versions) == 2)


async def test_renaming_a_new_notebook_at_once_makes_one_notebook_of_the_new_name(seat: Seat):
    known = set(seat.service.notebooks)
    created = (await seat.http.post("api/contents/", json={"type": "notebook"})).json()["path"]
    await seat.http.patch(f"api/contents/{created}", json={"path": "Chosen.ipynb"})

    await seat.service.until(lambda: any(n.name == "Chosen" for n in seat.service.notebooks.values()))
    assert len(set(seat.service.notebooks) - known) == 1


async def test_deleting_the_file_deletes_nothing_stored(seat: Seat):
    notebook_id, path = await seat.load("1")
    await seat.save(path, "2")
    await seat.flush(path)

    assert (await seat.http.delete(f"api/contents/{path}")).status_code == 204
    await asyncio.sleep(0.5)

    assert [version.number for version in seat.service.notebooks[notebook_id].versions] == [1, 2]
    assert seat.service.calls[-1] != "rename"


async def test_loading_a_restored_version_sends_first_what_was_saved_here(seat: Seat):
    notebook_id, path = await seat.load("1")
    stored = seat.service.notebooks[notebook_id]
    seat.service.down = True
    try:
        await seat.save(path, "mine")
        restored = stored.add(notebook("1"), parent=1, origin="restore")
    finally:
        seat.service.down = False

    answer = await seat.put_document(notebook_id, path, version=restored.number, content=restored.content)

    assert answer.status_code == 200
    assert (await seat.text(path)).encode() == notebook("1")
    assert notebook("mine") in [version.content for version in stored.versions]
    assert stored.current == restored.number


async def test_loading_the_same_version_twice_keeps_what_was_saved_in_between(seat: Seat):
    notebook_id, path = await seat.load("1")
    seat.service.down = True
    try:
        await seat.save(path, "2")
    finally:
        seat.service.down = False
    await seat.put_document(notebook_id, path, version=1, content=notebook("1"))
    await seat.flush(path)
    assert seat.service.notebooks[notebook_id].newest.content == notebook("2")


async def test_a_path_that_leaves_the_folder_is_refused(seat: Seat):
    for path in ("../out.ipynb", "/etc/out.ipynb", ".hidden/out.ipynb", "a/../../out.ipynb", "work/out.txt", ""):
        answer = await seat.put_document("some-id", path, version=1, content=notebook("1"))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request"), path


async def test_the_api_is_for_those_who_may_open_the_server(seat: Seat):
    _, path = await seat.load("1")
    stranger = seat.anonymous
    for call in (
        stranger.put("inset/api/documents/some-id", json={"path": path}),
        stranger.post("inset/api/flush", json={"path": path}),
        stranger.delete("inset/api/documents/some-id"),
    ):
        answer = await call
        assert answer.status_code == 403
        assert answer.json()["code"]


async def test_an_unknown_document_is_404(seat: Seat):
    assert (await seat.flush("work/none.ipynb")).json()["code"] == "unknown-document"
    assert (await seat.http.delete("inset/api/documents/none")).status_code == 404


def _entry(journal: str, path: str) -> dict[str, object]:
    return next(entry for entry in json.loads(journal) if entry["path"] == path)
