"""What a history keeps, and that nothing is lost while the rest goes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from inset.db import open_database
from inset.models import Version
from inset.retention import Facts, Policy, thinned
from tests.service.conftest import document, problem, until

POLICY = Policy(by_minute_after=timedelta(hours=1), by_day_after=timedelta(days=30))
NOW = datetime(2026, 11, 27, 0, 30, tzinfo=UTC)


def _fact(number, ago, origin="autosave", **more):
    plain = {"parent": number - 1 or None, "label": None, "aside": None, "size": 100}
    return Facts(number=number, origin=origin, created_at=NOW - ago, **{**plain, **more})


def _going(versions, **more):
    given = {"current": versions[-1].number, "bases": (), "policy": POLICY, "time": NOW, **more}
    return [version.number for version in thinned(versions, **given)]


def test_an_old_minute_keeps_its_newest_autosave_and_a_young_one_keeps_all():
    seconds = [timedelta(hours=2, seconds=second) for second in (59, 40, 20, 1)]
    young = [timedelta(minutes=59, seconds=second) for second in (50, 40, 30)]
    versions = [_fact(1, timedelta(days=2), "api")]
    versions += [_fact(n, ago) for n, ago in enumerate(seconds + young, 2)]

    assert _going(versions) == [2, 3, 4]


def test_a_minute_is_thinned_when_all_of_it_is_old_enough():
    versions = [_fact(n, timedelta(hours=1, seconds=second - 60)) for n, second in enumerate((40, 30, 20, 10), 1)]

    assert _going(versions, time=NOW + timedelta(seconds=59)) == []
    assert _going(versions, time=NOW + timedelta(seconds=60)) == [2], "the first and the current one stay anyway"


def test_an_old_day_keeps_its_newest_autosave():
    versions = [_fact(n, timedelta(days=40, hours=-n)) for n in range(1, 20)] + [_fact(20, timedelta(0), "save")]

    going = _going(versions)

    left = [version for version in versions if version.number not in going]
    days = [version.created_at.date() for version in left if version.number != 1][:-1]
    assert len(days) == len(set(days)) == 1


def test_what_was_beside_the_line_does_not_stand_for_what_was_on_it():
    ago = timedelta(hours=2, seconds=10)
    versions = [_fact(1, ago, "api"), _fact(2, ago), _fact(3, ago, aside="settled"), _fact(4, timedelta(0), "save")]

    assert _going(versions) == []


def test_what_an_open_side_would_be_merged_on_stays():
    ago = timedelta(hours=2, seconds=10)
    versions = [_fact(n, ago) for n in range(1, 6)]
    versions += [_fact(6, ago, parent=2, aside="settled"), _fact(7, ago, parent=6, aside="open")]
    versions += [_fact(8, timedelta(0), "save")]

    assert _going(versions) == [3, 4]
    assert _going(versions, bases={3}) == [4]


AGES = st.one_of(st.integers(0, 7300), st.integers(3600, 3800), st.integers(29 * 86400, 33 * 86400))


@st.composite
def histories(draw):
    ages = sorted(draw(st.lists(AGES, min_size=1, max_size=30)), reverse=True)
    versions = []
    for number, age in enumerate(ages, 1):
        versions.append(
            _fact(
                number,
                timedelta(seconds=age),
                draw(st.sampled_from(["autosave"] * 6 + ["save", "api", "merge", "restore", "stop"])),
                label=draw(st.sampled_from([None] * 6 + ["mine"])),
                aside=draw(st.sampled_from([None] * 6 + ["open", "settled"])),
                parent=draw(st.integers(1, number)) - 1 or None,
            )
        )
    numbers = st.sampled_from([version.number for version in versions])
    return versions, draw(numbers), draw(st.sets(numbers, max_size=2))


@settings(max_examples=400)
@given(histories(), st.integers(0, 40 * 86400))
def test_what_is_protected_never_goes_and_what_has_gone_was_one_of_many(history, later):
    versions, current, bases = history
    time = NOW + timedelta(seconds=later)
    by_number = {version.number: version for version in versions}
    call = {"current": current, "bases": bases, "policy": POLICY, "time": time}

    going = {version.number for version in thinned(versions, **call)}
    left = [version for version in versions if version.number not in going]

    assert thinned(left, **call) == [], "done twice is done once"
    assert not going & {1, current, *bases}
    for number in going:
        gone = by_number[number]
        assert (gone.origin, gone.label) == ("autosave", None)
        assert gone.aside != "open"
        assert gone.created_at < time - timedelta(hours=1)
        newer = [v for v in left if v.number > number and (v.origin, v.aside) == (gone.origin, gone.aside)]
        assert any(v.created_at.date() == gone.created_at.date() for v in newer), "something of its day is left"
    for version in versions:
        if version.aside == "open":
            assert version.parent not in going
    # One after the other is as good as late and at once.
    first = thinned(versions, **{**call, "time": NOW})
    rest = [version for version in versions if version not in first]
    assert {v.number for v in thinned(rest, **call)} <= going


@pytest.fixture
def database(settings):
    """A statement for the service's database."""

    async def run(statement, **values):
        async with open_database(settings.database_url) as database, database.transaction() as db:
            return await (await db.connection()).execute(statement, values)

    return run


@pytest.fixture
def autosaved(client, hub, new_notebook, ready_session, database):
    """A notebook, open in a session, with so many autosaves, all of one minute that is long over."""

    async def save(count):
        notebook = await new_notebook(content=document("0"))
        session = await ready_session(notebook)
        path = hub.server().documents[notebook["id"]]["path"]
        for number in range(1, count + 1):
            await hub.save_in_jupyter(path, json.dumps(document(str(number))), origin="autosave")
        await database(update(Version).values(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
        return notebook["id"], session, path

    return save


async def _numbers(client, notebook_id):
    listed = await client.get(f"/v1/notebooks/{notebook_id}/versions", params={"limit": 200})
    return [version["number"] for version in listed.json()["items"]][::-1]


async def test_autosaves_are_thinned_by_one_command_that_says_what_went(client, command, autosaved):
    notebook_id, _, _ = await autosaved(5)
    size = (await client.get(f"/v1/notebooks/{notebook_id}/versions/2")).json()["size"]

    dry = await command("versions", "thin", "--dry-run")
    before = await _numbers(client, notebook_id)
    thin = await command("versions", "thin")
    again = await command("versions", "thin")

    # 1 was uploaded; 6 is the current one and the session's; of the others, the newest stays.
    assert dry == (0, f"would remove 3 versions of 1 notebooks, {3 * size} bytes\n", "")
    assert before == [1, 2, 3, 4, 5, 6]
    assert thin == (0, f"removed 3 versions of 1 notebooks, {3 * size} bytes\n", "")
    assert again == (0, "removed 0 versions of 0 notebooks, 0 bytes\n", "")
    assert await _numbers(client, notebook_id) == [1, 5, 6]
    assert problem(await client.get(f"/v1/notebooks/{notebook_id}/versions/2/content")) == "version-not-found"
    for number in (1, 5, 6):
        content = (await client.get(f"/v1/notebooks/{notebook_id}/versions/{number}/content")).json()
        assert "".join(content["cells"][0]["source"]) == str(number - 1)


async def test_what_a_running_session_is_based_on_stays_and_goes_when_it_is_over(client, command, autosaved, database):
    notebook_id, session, _ = await autosaved(5)
    await database(text("UPDATE sessions SET version = 3"))

    await command("versions", "thin")
    during = await _numbers(client, notebook_id)
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    await command("versions", "thin")

    assert during == [1, 3, 5, 6]
    assert 3 not in await _numbers(client, notebook_id)


async def test_an_autosave_based_on_what_has_gone_is_kept_on_the_side(client, hub, anonymous, command, autosaved):
    notebook_id, _, _ = await autosaved(5)
    await command("versions", "thin")
    path = f"/bridge/v1/notebooks/{notebook_id}/content"
    content = json.dumps(document("a laptop woke up")).encode()
    headers = {**await hub.credential(), "If-Match": '"3"'}

    late = await anonymous.put(path, content=content, headers=headers)
    again = await anonymous.put(path, content=content, headers=headers)
    over_rest = await client.put(
        f"/v1/notebooks/{notebook_id}/content", json=document("and so did another"), headers={"If-Match": '"2"'}
    )
    never_there = await client.put(
        f"/v1/notebooks/{notebook_id}/content", json=document("x"), headers={"If-Match": '"99"'}
    )

    assert problem(late) == problem(again) == problem(over_rest) == "version-conflict"
    assert late.json()["kept_version"] == again.json()["kept_version"] == 7
    kept = (await client.get(f"/v1/notebooks/{notebook_id}/versions/7")).json()
    assert (kept["parent"], kept["aside"]) == (3, "open")
    assert (await client.get(f"/v1/notebooks/{notebook_id}/versions/7/content")).json() == document("a laptop woke up")
    assert over_rest.json()["kept_version"] == 8
    assert problem(never_there) == "version-not-found"


async def test_nothing_is_lost_that_is_saved_while_the_history_is_thinned(client, hub, command, autosaved):
    notebook_id, _, path = await autosaved(30)
    acknowledged = {}

    async def save():
        for n in range(20):
            source = f"beside {n}"
            await hub.save_in_jupyter(path, json.dumps(document(source)), origin="autosave")
            current = (await client.get(f"/v1/notebooks/{notebook_id}")).json()["version"]
            acknowledged[current] = source

    saving = asyncio.create_task(save())
    told = []
    while not saving.done():
        told.append(await command("versions", "thin"))
    await saving
    told.append(await command("versions", "thin"))

    assert {code for code, _, _ in told} == {0}
    assert sum(int(out.split()[1]) for _, out, _ in told) == 29, "of thirty in one minute the newest is left"
    assert len(acknowledged) == 20
    for number, source in acknowledged.items():
        content = (await client.get(f"/v1/notebooks/{notebook_id}/versions/{number}/content")).json()
        assert "".join(content["cells"][0]["source"]) == source
    asides = [v["aside"] for v in (await client.get(f"/v1/notebooks/{notebook_id}/versions")).json()["items"]]
    assert set(asides) == {None}


async def test_what_was_deleted_long_ago_is_removed_for_good_and_nothing_else(
    client, command, autosaved, new_notebook, database
):
    notebook_id, session, _ = await autosaved(3)
    other, kept = await new_notebook("Deleted today"), await new_notebook("Kept")
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    for id in (notebook_id, other["id"]):
        assert (await client.delete(f"/v1/notebooks/{id}")).status_code == 204
    await database(
        text("UPDATE notebooks SET deleted_at = '2026-01-02 03:04:05.000000' WHERE id = :id"), id=notebook_id
    )

    dry = await command("notebooks", "purge", "--dry-run")
    purge = await command("notebooks", "purge")

    assert dry[1].startswith("would remove 4 versions of 1 notebooks, ")
    assert purge[1] == dry[1].replace("would remove", "removed")
    for table in ("versions", "bodies", "sessions"):
        rows = await database(text(f"SELECT count(*) FROM {table} WHERE notebook_id = :id"), id=notebook_id)
        assert rows.scalar_one() == 0, table
    assert (await database(text("SELECT count(*) FROM session_events"))).scalar_one() == 0
    assert problem(await client.post(f"/v1/notebooks/{notebook_id}/undelete")) == "notebook-not-found"
    assert (await client.post(f"/v1/notebooks/{other['id']}/undelete")).status_code == 200
    assert [item["id"] for item in (await client.get("/v1/notebooks")).json()["items"]] == [kept["id"], other["id"]]
    assert problem(await client.get(f"/v1/sessions/{session['id']}")) == "session-not-found"
    assert (await command("notebooks", "purge"))[1] == "removed 0 versions of 0 notebooks, 0 bytes\n"


@pytest.mark.each_database
async def test_thinning_goes_on_past_what_is_damaged_and_says_so(client, command, autosaved, database):
    notebook_id, _, _ = await autosaved(6)
    await database(text("UPDATE bodies SET content = :c WHERE number = 3"), c=b"damaged")

    code, told, _ = await command("versions", "thin")
    again = await command("versions", "thin")

    assert code == again[0] == 1
    assert f"notebook {notebook_id}, version 3 was left" in told
    assert "removed 3 versions of 1 notebooks" in told
    assert await _numbers(client, notebook_id) == [1, 3, 6, 7]


@pytest.mark.each_database
async def test_what_is_damaged_is_purged_as_well(client, command, new_notebook, database):
    notebook = await new_notebook()
    path = f"/v1/notebooks/{notebook['id']}"
    for number in (1, 2, 3):
        await client.put(f"{path}/content", json=document(str(number)), headers={"If-Match": f'"{number}"'})
    await command("db", "pack")
    await database(text("UPDATE bodies SET content = :c WHERE number < 3"), c=b"damaged")
    await client.delete(path)
    await database(text("UPDATE notebooks SET deleted_at = '2026-01-02 03:04:05.000000'"))

    code, told, _ = await command("notebooks", "purge")

    assert (code, "removed 4 versions of 1 notebooks" in told) == (0, True)
    assert (await database(text("SELECT count(*) FROM versions"))).scalar_one() == 0
