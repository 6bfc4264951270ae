"""Two writers of one notebook: nothing that either wrote is lost, and a conflict has a way out."""

import asyncio
import json

import pytest

from tests.service.conftest import document, events, problem, running_service


@pytest.fixture
def conflict(client, new_notebook):
    """Have two writers change the same version; gives the notebook's path and the number that was kept aside."""

    async def make(base, theirs, mine):
        path = f"/v1/notebooks/{(await new_notebook(content=base))['id']}"
        first = await client.put(f"{path}/content", json=theirs, headers={"If-Match": '"1"'})
        assert first.status_code == 200, first.text
        second = await client.put(f"{path}/content", json=mine, headers={"If-Match": '"1"'})
        assert problem(second) == "version-conflict"
        return path, second.json()["kept_version"]

    return make


async def sources(client, path):
    content = (await client.get(f"{path}/content")).json()
    return ["".join(cell["source"]) for cell in content["cells"]]


async def described(client, path, number):
    return (await client.get(f"{path}/versions/{number}")).json()


async def test_a_conflict_names_the_way_out(client, conflict):
    path, kept = await conflict(document("a"), document("b"), document("c"))

    version = await described(client, path, kept)
    again = await client.put(f"{path}/content", json=document("c"), headers={"If-Match": '"1"'})

    assert version["aside"] == "open"
    assert again.json()["resolve"] == f"{path}/versions/{kept}/resolve"
    taken = await client.post(again.json()["resolve"], json={"take": "mine"})
    assert taken.status_code == 201


async def test_changes_of_different_cells_merge(client, conflict):
    path, kept = await conflict(document("a", "b"), document("a", "theirs"), document("mine", "b"))

    merged = await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"})

    assert merged.status_code == 201, merged.text
    version = merged.json()
    assert (version["number"], version["parent"], version["merged"], version["origin"]) == (4, 2, kept, "merge")
    assert version["author"] == "ada"
    assert await sources(client, path) == ["mine", "theirs"]
    assert (await described(client, path, kept))["aside"] == "settled"


async def test_changes_of_different_lines_of_one_cell_merge(client, conflict):
    path, kept = await conflict(document("1\n2\n3"), document("1\n2\nthree"), document("one\n2\n3\n4"))

    await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"})

    assert await sources(client, path) == ["one\n2\nthree\n4"]


async def test_changes_of_the_same_cell_are_named_and_nothing_is_changed(client, conflict):
    path, kept = await conflict(document("a", "b", "c"), document("a", "theirs", "C"), document("A", "mine", "c"))

    refused = await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"})

    assert refused.status_code == 409
    assert problem(refused) == "merge-conflict"
    told = refused.json()
    assert told["unsettled"] == [{"cell": "c1", "part": "source"}]
    assert (told["current_version"], told["kept_version"]) == (2, kept)
    assert (await described(client, path, kept))["aside"] == "open"
    assert await sources(client, path) == ["a", "theirs", "C"]


async def test_mine_becomes_current_and_theirs_stays_in_the_history(client, conflict):
    path, kept = await conflict(document("a"), document("theirs"), document("mine"))

    taken = (await client.post(f"{path}/versions/{kept}/resolve", json={"take": "mine"})).json()

    assert (taken["number"], taken["parent"], taken["merged"], taken["origin"]) == (4, 2, kept, "restore")
    assert await sources(client, path) == ["mine"]
    assert "theirs" in (await client.get(f"{path}/versions/2/content")).text
    assert (await described(client, path, kept))["aside"] == "settled"


async def test_theirs_leaves_what_is_current_and_mine_stays_in_the_history(client, conflict):
    path, kept = await conflict(document("a"), document("theirs"), document("mine"))

    taken = (await client.post(f"{path}/versions/{kept}/resolve", json={"take": "theirs"})).json()

    assert (taken["number"], taken["merged"]) == (2, None)
    assert await sources(client, path) == ["theirs"]
    assert "mine" in (await client.get(f"{path}/versions/{kept}/content")).text
    assert (await described(client, path, kept))["aside"] == "settled"


async def test_what_is_settled_stays_so(client, conflict):
    path, kept = await conflict(document("a", "b"), document("a", "B"), document("A", "b"))
    merged = (await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"})).json()
    del merged["receipt"]  # each is signed anew

    for take in ("mine", "theirs", "merge"):
        again = await client.post(f"{path}/versions/{kept}/resolve", json={"take": take})
        assert again.status_code == 201
        assert merged.items() <= again.json().items()

    assert await sources(client, path) == ["A", "B"]


async def test_a_version_of_the_notebooks_own_line_has_nothing_to_resolve(client, conflict):
    path, _ = await conflict(document("a"), document("b"), document("c"))

    for number, expected in ((1, "not-on-the-side"), (2, "not-on-the-side"), (9, "version-not-found")):
        answer = await client.post(f"{path}/versions/{number}/resolve", json={"take": "mine"})
        assert problem(answer) == expected


async def test_a_writer_who_goes_on_beside_the_line_leaves_only_his_newest_version_open(client, conflict):
    path, kept = await conflict(document("a", "b"), document("a", "theirs"), document("mine", "b"))
    for number, source in ((kept, "mine, 2"), (kept + 1, "mine, 3")):
        answer = await client.put(f"{path}/content", json=document(source, "b"), headers={"If-Match": f'"{number}"'})
        assert answer.json()["kept_version"] == number + 1

    sides = [(await described(client, path, number))["aside"] for number in range(1, kept + 3)]
    merged = (await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"})).json()

    assert sides == [None, None, "settled", "settled", "open"]
    assert merged["merged"] == kept + 2
    assert await sources(client, path) == ["mine, 3", "theirs"]


async def test_a_writer_who_goes_on_after_a_merge_is_merged_from_what_it_took_in(client, conflict):
    path, kept = await conflict(document("a", "b"), document("a", "theirs"), document("mine", "b"))
    await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"})

    late = await client.put(f"{path}/content", json=document("mine, later", "b"), headers={"If-Match": f'"{kept}"'})
    await client.post(late.json()["resolve"], json={"take": "merge"})

    assert await sources(client, path) == ["mine, later", "theirs"]


async def test_the_same_change_on_both_sides_is_no_conflict(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook(content=document('a')))['id']}"

    first = await client.put(f"{path}/content", json=document("b"), headers={"If-Match": '"1"'})
    second = await client.put(f"{path}/content", json=document("b"), headers={"If-Match": '"1"'})

    assert (first.json()["version"], second.json()["version"]) == (2, 2)


async def test_an_old_version_sent_unchanged_needs_no_resolving(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook(content=document('a')))['id']}"
    await client.put(f"{path}/content", json=document("b"), headers={"If-Match": '"1"'})

    answer = await client.put(f"{path}/content", json=document("a"), headers={"If-Match": '"1"'})

    assert problem(answer) == "version-conflict"
    assert (answer.json()["kept_version"], answer.json()["resolve"]) == (1, None)


async def test_a_hosts_put_during_a_session_is_merged_with_what_the_page_holds(
    client, hub, new_notebook, ready_session
):
    notebook = await new_notebook(content=document("a", "b"))
    session = await ready_session(notebook)
    path, url = hub.server().documents[notebook["id"]]["path"], f"/v1/notebooks/{notebook['id']}"
    await client.put(f"{url}/content", json=document("a", "host's"), headers={"If-Match": '"1"'})
    await hub.save_in_jupyter(path, json.dumps(document("page's", "b")))
    told = await _conflict_told(client, session)
    hub.server().page_edits[path] = json.dumps(document("page's, not saved yet", "b"))

    merged = await client.post(told["resolve"], json={"take": "merge"})

    assert merged.status_code == 201, merged.text
    assert told["kept_version"] == 3
    assert merged.json()["merged"] == 4
    assert await sources(client, url) == ["page's, not saved yet", "host's"]
    assert "host's" in hub.server().files[path]
    assert hub.server().documents[notebook["id"]]["version"] == 5


async def test_an_autosave_after_a_laptops_sleep_is_kept_and_merged(client, hub, new_notebook, ready_session):
    notebook = await new_notebook(content=document("a", "b"))
    await ready_session(notebook)
    document_there, url = hub.server().documents[notebook["id"]], f"/v1/notebooks/{notebook['id']}"
    for number, source in ((1, "b1"), (2, "b2"), (3, "b3")):
        await client.put(f"{url}/content", json=document("a", source), headers={"If-Match": f'"{number}"'})

    slept = await hub.save_in_jupyter(document_there["path"], json.dumps(document("before the sleep", "b")))

    assert problem(slept) == "version-conflict"
    assert (slept.json()["base_version"], slept.json()["current_version"]) == (1, 4)
    merged = await client.post(slept.json()["resolve"], json={"take": "merge"})
    assert merged.status_code == 201, merged.text
    assert await sources(client, url) == ["before the sleep", "b3"]


async def test_a_resolve_that_races_with_a_save_loses_neither(settings, hub, host):
    async with (
        running_service(settings, hub, **host.bearer()) as one,
        running_service(settings, hub, **host.bearer()) as two,
    ):
        for _ in range(5):
            created = await one.post("/v1/notebooks", json={"name": "N", "content": document("a", "b", "c")})
            path = f"/v1/notebooks/{created.json()['id']}"
            await one.put(f"{path}/content", json=document("a", "theirs", "c"), headers={"If-Match": '"1"'})
            await one.put(f"{path}/content", json=document("mine", "b", "c"), headers={"If-Match": '"1"'})

            merged, saved = await asyncio.gather(
                one.post(f"{path}/versions/3/resolve", json={"take": "merge"}),
                two.put(f"{path}/content", json=document("a", "theirs", "saved"), headers={"If-Match": '"2"'}),
            )

            assert merged.status_code == 201, merged.text
            if saved.status_code == 409:
                await two.post(saved.json()["resolve"], json={"take": "merge"})
            assert await sources(one, path) == ["mine", "theirs", "saved"]


async def test_a_resolve_sent_again_makes_one_version(client, conflict):
    path, kept = await conflict(document("a", "b"), document("a", "B"), document("A", "b"))
    headers = {"Idempotency-Key": "resolve-1"}

    first = await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"}, headers=headers)
    again = await client.post(f"{path}/versions/{kept}/resolve", json={"take": "merge"}, headers=headers)
    other = await client.post(f"{path}/versions/{kept}/resolve", json={"take": "mine"}, headers=headers)

    assert first.json() == again.json()
    assert problem(other) == "idempotency-key-reused"
    assert len((await client.get(f"{path}/versions")).json()["items"]) == 4


async def test_what_is_no_valid_notebook_is_not_merged_and_can_be_taken(client, hub, new_notebook, ready_session):
    notebook = await new_notebook(content=document("a"))
    await ready_session(notebook)
    url = f"/v1/notebooks/{notebook['id']}"
    await client.put(f"{url}/content", json=document("b"), headers={"If-Match": '"1"'})
    broken = await hub.save_in_jupyter(hub.server().documents[notebook["id"]]["path"], '{"cells": 7}')

    refused = await client.post(broken.json()["resolve"], json={"take": "merge"})
    taken = await client.post(broken.json()["resolve"], json={"take": "mine"})

    assert problem(refused) == "not-mergeable"
    assert taken.status_code == 201
    assert (await client.get(f"{url}/content")).content == b'{"cells": 7}'


async def test_nobody_elses_conflict_can_be_resolved(client, host, other_host, conflict):
    path, kept = await conflict(document("a"), document("b"), document("c"))

    for caller in (host.bearer("grace"), other_host.bearer("ada")):
        answer = await client.post(f"{path}/versions/{kept}/resolve", json={"take": "mine"}, headers=caller)
        labelled = await client.patch(f"{path}/versions/{kept}", json={"label": "Mine"}, headers=caller)
        assert problem(answer) == problem(labelled) == "notebook-not-found"
    assert await sources(client, path) == ["b"]


@pytest.mark.parametrize("body", [{}, {"take": "both"}, {"take": None}, {"take": "mine", "more": 1}, []])
async def test_a_side_that_there_is_not_is_refused(client, conflict, body):
    path, kept = await conflict(document("a"), document("b"), document("c"))

    assert problem(await client.post(f"{path}/versions/{kept}/resolve", json=body)) == "invalid-request"


async def test_a_version_is_given_a_label_and_it_is_taken_away(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/versions/1"

    given = await client.patch(path, json={"label": " As submitted 🎓 "})
    listed = (await client.get(path)).json()
    taken = await client.patch(path, json={"label": None})

    assert given.json()["label"] == listed["label"] == "As submitted 🎓"
    assert taken.json()["label"] is None


@pytest.mark.parametrize("body", [{}, {"label": ""}, {"label": "x" * 201}, {"label": "a\nb"}, {"label": 7}])
async def test_a_label_that_nobody_can_read_is_refused(client, new_notebook, body):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/versions/1"

    assert problem(await client.patch(path, json=body)) == "invalid-request"
    assert (await client.get(path)).json()["label"] is None


async def _conflict_told(client, session):
    async with asyncio.timeout(10):
        async for kind, data in events(client, session["id"]):
            if kind == "conflict":
                return data
    raise AssertionError("the session's stream is over")
