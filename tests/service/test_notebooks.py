"""Stored notebooks, through HTTP."""

import json

import nbformat
import pytest

from tests.service.conftest import document, problem, running_service

pytestmark = pytest.mark.each_database


async def test_an_empty_notebook_is_created_and_is_one_that_jupyter_opens(client):
    created = await client.post("/v1/notebooks", json={"name": "Reach"})

    assert created.status_code == 201
    notebook = created.json()
    assert created.headers["Location"] == f"/v1/notebooks/{notebook['id']}"
    assert (notebook["name"], notebook["version"]) == ("Reach", 1)
    content = await client.get(f"/v1/notebooks/{notebook['id']}/content")
    nbformat.validate(nbformat.reads(content.text, as_version=4))
    assert content.headers["ETag"] == '"1"'


async def test_a_notebook_comes_back_as_the_bytes_that_jupyter_would_write(client, new_notebook):
    notebook = await new_notebook(content=document("print('a')\nprint('b')"))

    content = (await client.get(f"/v1/notebooks/{notebook['id']}/content")).content

    written = nbformat.writes(nbformat.from_dict(document("print('a')\nprint('b')"))) + "\n"
    assert content == written.encode()
    assert len(content) == notebook["size"]


async def test_unknown_fields_big_numbers_and_lone_surrogates_survive(client, new_notebook):
    odd = document("x")
    odd["metadata"] = {"mine": {"deep": [1, 2.5, 12345678901234567890123]}, "half": "\ud83d"}
    answer = await client.put(
        f"/v1/notebooks/{(await new_notebook())['id']}/content", content=json.dumps(odd), headers={"If-Match": '"1"'}
    )

    assert answer.status_code == 200, answer.text
    content = (await client.get(f"/v1/notebooks/{answer.json()['id']}/content")).content
    assert json.loads(content)["metadata"] == odd["metadata"]


async def test_notebooks_are_listed_newest_first_page_by_page(client, new_notebook):
    for number in range(5):
        await new_notebook(f"Analysis {number}")

    first = (await client.get("/v1/notebooks", params={"limit": 3})).json()
    second = (await client.get("/v1/notebooks", params={"limit": 3, "cursor": first["next_cursor"]})).json()

    names = [item["name"] for item in first["items"] + second["items"]]
    assert names == [f"Analysis {number}" for number in (4, 3, 2, 1, 0)]
    assert second["next_cursor"] is None


async def test_notebooks_are_found_by_a_part_of_their_name(client, new_notebook):
    for name in ("Open access", "100 % open", "Citations"):
        await new_notebook(name)

    found = (await client.get("/v1/notebooks", params={"q": "OPEN"})).json()["items"]
    literal = (await client.get("/v1/notebooks", params={"q": "%"})).json()["items"]

    assert {item["name"] for item in found} == {"Open access", "100 % open"}
    assert [item["name"] for item in literal] == ["100 % open"]


@pytest.mark.parametrize("name", ["a/b/../c", "...", "🚀 Größe №1", "x" * 200, "<script>alert(1)</script>", "日本語"])
async def test_a_name_may_be_anything_that_people_read(client, new_notebook, name):
    notebook = await new_notebook(name)

    assert notebook["name"] == name
    renamed = await client.patch(f"/v1/notebooks/{notebook['id']}", json={"name": name[::-1]})
    assert renamed.json()["name"] == name[::-1]


@pytest.mark.parametrize("name", ["", "   ", "x" * 300, "line\nbreak", "nul\0", "bell\a"])
async def test_a_name_that_nobody_can_read_is_refused(client, name):
    answer = await client.post("/v1/notebooks", json={"name": name})

    assert answer.status_code == 422
    assert problem(answer) == "invalid-request"
    assert answer.json()["errors"][0]["where"] == "body.name"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not json", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b"[]", "not-a-notebook"),
        (b"{}", "not-a-notebook"),
        (b'{"nbformat": 3, "nbformat_minor": 0, "worksheets": [], "metadata": {}}', "unsupported-nbformat"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "poem"}]}', "not-a-notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 7}', "not-a-notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "not-a-notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {"x": 1e999}, "cells": []}', "not-json"),
    ],
)
async def test_what_is_no_notebook_is_refused_and_leaves_nothing_behind(client, new_notebook, content, expected):
    notebook = await new_notebook()

    answer = await client.put(f"/v1/notebooks/{notebook['id']}/content", content=content, headers={"If-Match": '"1"'})

    assert answer.status_code == 422
    assert problem(answer) == expected
    history = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"]
    assert [version["number"] for version in history] == [1]


async def test_a_notebook_that_is_too_large_is_refused_with_the_limit(client, new_notebook):
    notebook = await new_notebook()
    path, headers = f"/v1/notebooks/{notebook['id']}/content", {"If-Match": '"1"'}

    announced = await client.put(path, content=b"x" * 3_000_000, headers=headers)

    async def chunks():
        for _ in range(3000):
            yield b"x" * 1000

    streamed = await client.put(path, content=chunks(), headers=headers)
    in_json = await client.post("/v1/notebooks", json={"name": "Big", "content": document("x" * 3_000_000)})

    for answer in (announced, streamed, in_json):
        assert answer.status_code == 413
        assert problem(answer) == "notebook-too-large"
        assert answer.json()["limit"] == 2 * 1024 * 1024
    assert len((await client.get("/v1/notebooks")).json()["items"]) == 1


async def test_two_hundred_megabytes_are_refused_before_they_are_read(settings, hub, host):
    async with running_service(
        settings.model_copy(update={"notebook_limit": 100 * 1024**2}), hub, **host.bearer()
    ) as client:
        notebook = (await client.post("/v1/notebooks", json={"name": "N"})).json()

        answer = await client.put(
            f"/v1/notebooks/{notebook['id']}/content", content=bytes(200_000_000), headers={"If-Match": '"1"'}
        )

        assert problem(answer) == "notebook-too-large"
        assert answer.json()["detail"] == "A notebook may have at most 104857600 bytes."


async def test_replacing_content_makes_the_next_version(client, new_notebook):
    notebook = await new_notebook()

    replaced = await client.put(
        f"/v1/notebooks/{notebook['id']}/content", json=document("2 + 2"), headers={"If-Match": '"1"'}
    )

    assert replaced.json()["version"] == 2
    assert replaced.headers["ETag"] == '"2"'
    history = (await client.get(f"/v1/notebooks/{notebook['id']}/versions")).json()["items"]
    assert [(version["number"], version["parent"], version["origin"]) for version in history] == [
        (2, 1, "api"),
        (1, None, "api"),
    ]


async def test_replacing_with_equal_content_makes_no_version(client, new_notebook):
    notebook = await new_notebook(content=document("same"))

    replaced = await client.put(
        f"/v1/notebooks/{notebook['id']}/content", json=document("same"), headers={"If-Match": '"1"'}
    )

    assert replaced.json()["version"] == 1


async def test_replacing_without_a_base_version_is_refused(client, new_notebook):
    answer = await client.put(f"/v1/notebooks/{(await new_notebook())['id']}/content", json=document("2"))

    assert answer.status_code == 428
    assert problem(answer) == "base-version-required"


async def test_a_write_over_a_newer_version_is_a_conflict_and_is_kept_on_the_side(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}"
    await client.put(f"{path}/content", json=document("theirs"), headers={"If-Match": '"1"'})

    answer = await client.put(f"{path}/content", json=document("mine"), headers={"If-Match": '"1"'})

    assert answer.status_code == 409
    assert problem(answer) == "version-conflict"
    assert (answer.json()["current_version"], answer.json()["kept_version"]) == (2, 3)
    assert "theirs" in (await client.get(f"{path}/content")).text
    assert "mine" in (await client.get(f"{path}/versions/3/content")).text
    assert (await client.get(f"{path}/versions/3")).json()["parent"] == 1


async def test_restoring_appends_an_old_versions_content(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook(content=document('first')))['id']}"
    await client.put(f"{path}/content", json=document("second"), headers={"If-Match": '"1"'})

    restored = await client.post(f"{path}/versions/1/restore")

    assert restored.status_code == 201
    assert (restored.json()["number"], restored.json()["parent"], restored.json()["origin"]) == (3, 2, "restore")
    assert (await client.get(f"{path}/content")).content == (await client.get(f"{path}/versions/1/content")).content


async def test_history_is_listed_page_by_page(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}"
    for number in range(1, 5):
        await client.put(f"{path}/content", json=document(str(number)), headers={"If-Match": f'"{number}"'})

    first = (await client.get(f"{path}/versions", params={"limit": 3})).json()
    second = (await client.get(f"{path}/versions", params={"limit": 3, "cursor": first["next_cursor"]})).json()

    assert [version["number"] for version in first["items"] + second["items"]] == [5, 4, 3, 2, 1]


async def test_content_that_the_reader_has_is_not_sent_again(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/content"

    answer = await client.get(path, headers={"If-None-Match": '"1"'})

    assert (answer.status_code, answer.content) == (304, b"")


async def test_content_cannot_run_in_the_services_origin(client, new_notebook):
    answer = await client.get(f"/v1/notebooks/{(await new_notebook())['id']}/content")

    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_a_deleted_notebook_is_gone_and_can_be_brought_back(client, new_notebook):
    path = f"/v1/notebooks/{(await new_notebook())['id']}"

    assert (await client.delete(path)).status_code == 204

    assert problem(await client.get(path)) == "notebook-not-found"
    assert (await client.get("/v1/notebooks")).json()["items"] == []
    assert (await client.post(f"{path}/undelete")).status_code == 200
    assert (await client.get(f"{path}/content")).status_code == 200


async def test_a_creating_request_sent_again_makes_nothing_twice(client):
    headers = {"Idempotency-Key": "analysis-42"}

    first = await client.post("/v1/notebooks", json={"name": "Once"}, headers=headers)
    again = await client.post("/v1/notebooks", json={"name": "Once"}, headers=headers)
    other = await client.post("/v1/notebooks", json={"name": "Other"}, headers=headers)

    assert again.json() == first.json()
    assert problem(other) == "idempotency-key-reused"
    assert len((await client.get("/v1/notebooks")).json()["items"]) == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_number_that_json_cannot_hold_is_refused_by_every_door(client, new_notebook, number):
    text = json.dumps(document("x")).replace('"metadata": {}, "cells"', f'"metadata": {{"n": {number}}}, "cells"')
    assert number in text
    path = f"/v1/notebooks/{(await new_notebook())['id']}/content"

    put = await client.put(path, content=text, headers={"If-Match": '"1"'})
    post = await client.post(
        "/v1/notebooks", content=f'{{"name": "N", "content": {text}}}', headers={"Content-Type": "application/json"}
    )

    assert problem(put) == problem(post) == "not-json"


async def test_a_document_that_grows_beyond_the_limit_when_it_is_written_out_is_refused(client, new_notebook):
    deep = document("x")
    level = deep["metadata"]
    for _ in range(150):
        level["l"] = [0] * 300
        level["m"] = level = {}
    small = json.dumps(deep)
    assert len(small) < 200_000

    answer = await client.post("/v1/notebooks", json={"name": "Deep", "content": deep})

    assert problem(answer) == "notebook-too-large"


@pytest.mark.parametrize("minor", ["1e999", "null", '"x"', "-1", "[]"])
async def test_an_odd_minor_version_is_no_accident(client, new_notebook, minor):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/content"
    text = json.dumps(document("x")).replace('"nbformat_minor": 5', f'"nbformat_minor": {minor}')

    answer = await client.put(path, content=text, headers={"If-Match": '"1"'})

    assert answer.status_code == 422


@pytest.mark.parametrize("nbformat", ["\ud800", "x" * 100_000, [1], None])
async def test_an_odd_format_is_named_in_few_words(client, nbformat):
    content = {**document("x"), "nbformat": nbformat}
    body = json.dumps({"name": "N", "content": content})

    answer = await client.post("/v1/notebooks", content=body, headers={"Content-Type": "application/json"})

    assert problem(answer) == "unsupported-nbformat"
    assert len(answer.text) < 500


@pytest.mark.parametrize("if_match", ['W/"1"', '"1"', "1"])
async def test_an_etag_that_a_proxy_has_weakened_still_names_its_version(client, new_notebook, if_match):
    path = f"/v1/notebooks/{(await new_notebook())['id']}/content"
    assert (await client.put(path, json=document("2"), headers={"If-Match": if_match})).status_code == 200


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIiwiYiJd", "bnVsbA", "WzFd"])
async def test_a_cursor_that_no_list_gave_is_refused(client, cursor):
    assert problem(await client.get("/v1/notebooks", params={"cursor": cursor})) == "invalid-cursor"
