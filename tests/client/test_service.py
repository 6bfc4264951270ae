"""What the client asks of the service that no kit stands in for."""

from datetime import UTC, datetime, timedelta

import pytest

from inset_client import AsyncInset, AsyncUser, MergeConflict, VersionConflict
from tests.service.conftest import document


async def test_versions_are_compared_and_shown(user: AsyncUser) -> None:
    made = await user.notebooks.create("Analysis", document("old"))
    await user.notebooks.replace(made.id, document("new"), base=1)

    diff = await user.notebooks.diff(made.id, 1)

    assert (diff.from_version, diff.to_version) == (1, 2)
    assert [line.text for line in diff.cells[0].source[0].lines] == ["old", "new"]
    assert "new" in await user.notebooks.preview(made.id)
    assert "old" in await user.notebooks.preview(made.id, 1)


async def test_a_merge_says_what_both_sides_changed(user: AsyncUser) -> None:
    made = await user.notebooks.create("Analysis", document("1", "2"))
    await user.notebooks.replace(made.id, document("1", "theirs"), base=1)
    with pytest.raises(VersionConflict) as conflict:
        await user.notebooks.replace(made.id, document("1", "mine"), base=1)

    with pytest.raises(MergeConflict) as caught:
        await user.notebooks.resolve(made.id, conflict.value.kept_version, take="merge")

    assert caught.value.unsettled == [{"cell": "c1", "part": "source"}]
    assert (caught.value.current_version, caught.value.kept_version) == (2, 3)


async def test_the_log_says_who_did_what(inset: AsyncInset, user: AsyncUser, name: str) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    notebook = await user.notebooks.create("Analysis", document("1"))
    await inset.acting_for(name).notebooks.rename(notebook.id, "Another")

    acts = [act async for act in inset.audit(user=name, since=before)]

    assert [(act.action, act.actor) for act in acts] == [
        ("notebook.renamed", "backend"),
        ("notebook.created", "user"),
    ]
    assert [act async for act in inset.audit(user=name, until=before)] == []
    assert [act.id async for act in inset.audit(notebook_id=notebook.id, action="notebook.created")] == [acts[1].id]


async def test_the_service_examines_itself(inset: AsyncInset) -> None:
    assert "ok" in {finding.level for finding in (await inset.diagnose()).findings}
