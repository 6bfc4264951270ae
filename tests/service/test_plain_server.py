"""A notebook server without the save bridge: everything but the frame works, over REST."""

import json

import pytest

from tests.fakes.fake_hub import FakeHub
from tests.service.conftest import document, problem, until


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub(bridged=False)


async def test_a_session_on_a_plain_server_is_ready_and_not_embeddable(client, ready_session):
    session = await ready_session()

    assert session["embeddable"] is False
    assert problem(await client.post(f"/v1/sessions/{session['id']}/iframe-url")) == "not-embeddable"


async def test_load_save_and_close_work_over_rest(client, hub, new_notebook, ready_session):
    notebook = await new_notebook(content=document("loaded"))
    session = await ready_session(notebook)
    (path,) = hub.server().files
    assert "loaded" in hub.server().files[path]

    hub.server().files[path] = json.dumps(document("saved by Jupyter"))
    saved = (await client.post(f"/v1/sessions/{session['id']}/save")).json()
    assert (saved["version"], saved["created"], saved["flushed"]) == (2, True, False)
    assert (await client.post(f"/v1/sessions/{session['id']}/save")).json()["created"] is False

    hub.server().files[path] = json.dumps(document("last words"))
    hub.server().kernels = {"k": path}
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    assert "last words" in (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text
    history = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"]
    assert [version["origin"] for version in history] == ["stop", "save", "api"]


async def test_restore_works_over_rest(client, hub, new_notebook, ready_session):
    notebook = await new_notebook(content=document("first"))
    await ready_session(notebook)
    (path,) = hub.server().files
    hub.server().files[path] = json.dumps(document("second"))

    await client.post(f"/v1/notebooks/{notebook['id']}/versions/1/restore")

    assert "first" in hub.server().files[path]
    assert "second" in (await client.get(f"/v1/notebooks/{notebook['id']}/versions/2/content")).text


async def test_a_file_that_jupyter_left_broken_is_kept_and_marked(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    session = await ready_session(notebook)
    (path,) = hub.server().files
    hub.server().files[path] = "half a note"

    saved = (await client.post(f"/v1/sessions/{session['id']}/save")).json()

    version = (await client.get(f"/v1/notebooks/{notebook['id']}/versions/{saved['version']}")).json()
    assert version["valid"] is False
    assert (await client.get(f"/v1/notebooks/{notebook['id']}/content")).text == "half a note"


async def test_who_may_not_edit_leaves_nothing_behind_on_a_plain_server_either(client, hub, host, new_notebook):
    notebook = await new_notebook()
    opened = await client.post(
        "/v1/sessions", json={"notebook_id": notebook["id"]}, headers=host.bearer("ada", may=["run"])
    )
    session = await until(client, opened.json()["id"], "ready")
    server = hub.server()
    (path,) = server.files
    server.files[path] = json.dumps(document("by force"))
    server.kernels = {"k": path}

    saved = await client.post(f"/v1/sessions/{session['id']}/save")
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")

    assert (saved.json()["version"], saved.json()["created"]) == (1, False)
    assert not server.kernels
    stored = (await client.get(f"/v1/notebooks/{notebook['id']}")).json()
    assert stored == {name: notebook[name] for name in stored}
