"""Notebooks and their history, at the real service and at every kit."""

import asyncio
import hashlib
import json

import pytest

from inset_client import (
    AsyncInset,
    AsyncUser,
    NotAllowed,
    NotANotebook,
    NotebookNotFound,
    ReceiptInvalid,
    VersionConflict,
    VersionNotFound,
)
from tests.service.conftest import document
from tests.support.insets import ALL

pytestmark = ALL


async def test_a_notebook_is_created_found_renamed_deleted_and_brought_back(user: AsyncUser) -> None:
    made = await user.notebooks.create("Malaria grants", document("1 + 1"))
    assert (made.name, made.version) == ("Malaria grants", 1)

    renamed = await user.notebooks.rename(made.id, "Grants")
    assert await user.notebooks.get(made.id) == renamed
    assert [each.id async for each in user.notebooks.list(query="grant")] == [made.id]
    assert [each.id async for each in user.notebooks.list(query="malaria")] == []

    await user.notebooks.delete(made.id)
    with pytest.raises(NotebookNotFound) as caught:
        await user.notebooks.get(made.id)
    assert caught.value.status == 404
    assert caught.value.slug == "notebook-not-found"
    assert caught.value.instance
    assert (await user.notebooks.undelete(made.id)).id == made.id


async def test_a_list_goes_on_over_its_pages(user: AsyncUser) -> None:
    made = await asyncio.gather(*(user.notebooks.create(f"Number {number}") for number in range(53)))

    listed = [each async for each in user.notebooks.list()]

    assert {each.id for each in listed} == {each.id for each in made}
    assert listed == sorted(listed, key=lambda each: (each.created_at, each.id), reverse=True)


async def test_content_goes_up_and_down(user: AsyncUser, tmp_path) -> None:
    made = await user.notebooks.create("Analysis")
    body = json.dumps(document("x" * 300_000, "y")).encode()
    file = tmp_path / "a.ipynb"
    file.write_bytes(body)

    stored = await user.notebooks.replace(made.id, file, base=1)
    whole = await user.notebooks.content(made.id)
    async with user.notebooks.stream_content(made.id, 2) as stream:
        pieces = [piece async for piece in stream.chunks]

    assert stored.sha256 == hashlib.sha256(whole.body).hexdigest()
    assert (whole.version, whole.document()["cells"][1]["source"]) == (2, ["y"])
    assert (stream.version, b"".join(pieces)) == (2, whole.body)
    assert len(pieces) > 1
    assert (await user.notebooks.replace(made.id, body, base=2)).version == 2
    assert len((await user.notebooks.content(made.id, 1)).document()["cells"]) == 1


async def test_a_conflict_says_what_was_kept_and_is_resolved(user: AsyncUser) -> None:
    made = await user.notebooks.create("Analysis", document("1", "2"))
    await user.notebooks.replace(made.id, document("1", "theirs"), base=1)

    with pytest.raises(VersionConflict) as caught:
        await user.notebooks.replace(made.id, document("1", "mine"), base=1)
    kept = caught.value.kept_version
    assert (caught.value.base_version, caught.value.current_version, kept) == (1, 2, 3)
    assert caught.value.resolve == f"/v1/notebooks/{made.id}/versions/3/resolve"

    current = await user.notebooks.resolve(made.id, kept, take="mine")
    assert (current.number, current.merged) == (4, kept)


async def test_the_history_is_listed_labelled_shown_and_restored(user: AsyncUser) -> None:
    made = await user.notebooks.create("Analysis", document("old"))
    await user.notebooks.replace(made.id, document("new"), base=1)

    labelled = await user.notebooks.label(made.id, 1, "As submitted")
    assert labelled == await user.notebooks.version(made.id, 1)
    assert [each.number async for each in user.notebooks.versions(made.id)] == [2, 1]
    assert await user.notebooks.preview(made.id) != await user.notebooks.preview(made.id, 1)

    assert (await user.notebooks.restore(made.id, 1)).number == 3
    assert (await user.notebooks.content(made.id)).document()["cells"][0]["source"] == ["old"]
    with pytest.raises(VersionNotFound):
        await user.notebooks.restore(made.id, 9)


async def test_two_calls_with_one_key_make_one_notebook(user: AsyncUser) -> None:
    first, second = [await user.notebooks.create("Analysis", idempotency_key="mine") for _ in range(2)]

    assert first == second
    assert (await user.notebooks.create("Analysis")).id != first.id


async def test_what_is_no_notebook_is_refused(user: AsyncUser) -> None:
    with pytest.raises(NotANotebook, match="not a valid notebook"):
        await user.notebooks.create("Analysis", {"cells": 1})


async def test_a_user_does_what_he_may_and_his_backend_does_the_rest(inset: AsyncInset, name: str) -> None:
    reader, backend = inset.as_user(name, may=["run"]), inset.acting_for(name)

    with pytest.raises(NotAllowed) as caught:
        await reader.notebooks.create("Analysis")
    assert caught.value.needs == "edit"
    made = await backend.notebooks.create("Analysis")
    assert (await reader.notebooks.get(made.id)).id == made.id


async def test_someone_elses_notebook_is_not_there(inset: AsyncInset, user: AsyncUser) -> None:
    made = await user.notebooks.create("Analysis")

    with pytest.raises(NotebookNotFound):
        await inset.as_user("somebody else").notebooks.get(made.id)


async def test_a_receipt_is_verified_by_the_published_keys(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    made = await user.notebooks.create("Analysis")

    facts = await inset.verify_receipt(made.receipt)

    assert (facts.host, facts.user, facts.notebook, facts.version) == ("demo", name, made.id, 1)
    assert facts.sha256 == made.sha256
    assert facts == await inset.verify_receipt(await user.notebooks.receipt(made.id, 1))
    head, body, signature = made.receipt.split(".")
    for forged in (
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{body[:-4]}AAAA.{signature}",
        "nonsense",
        inset.token("ada"),
    ):
        with pytest.raises(ReceiptInvalid):
            await inset.verify_receipt(forged)
