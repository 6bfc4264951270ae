"""What a process remembers of documents makes saves and loads fast, and changes nothing else."""

import asyncio
import json
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager

import httpx
import nbformat
import pytest
from pydantic import ByteSize

from inset.app import create_app
from inset.cells import cut
from inset.recent import Recent, RecentDocuments
from tests.service.conftest import document, problem, running_service
from tests.support.serving import served

ADA = ("demo", "ada")


def _bytes(notebook: dict) -> bytes:
    return (nbformat.writes(nbformat.from_dict(notebook)) + "\n").encode()


def _notebook(cells: int, characters: int = 2_000) -> dict:
    made = document(*[f"# {number}" for number in range(cells)])
    for number, cell in enumerate(made["cells"]):
        lines = [f"{number} {line:0190}\n" for line in range(characters // 200)]
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": lines}]
    return made


def _recent(size: int, number: int = 1) -> Recent:
    whole, _ = cut(_bytes(document("1", "2")))
    return Recent(ADA, number, "a hash", size, whole, frozenset())


async def _save(client: httpx.AsyncClient, id: str, notebook: dict, base: int) -> httpx.Response:
    return await client.put(f"/v1/notebooks/{id}/content", content=_bytes(notebook), headers={"If-Match": f'"{base}"'})


async def _load(client: httpx.AsyncClient, id: str, number: int) -> bytes:
    answer = await client.get(f"/v1/notebooks/{id}/versions/{number}/content")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_at_most_so_many_bytes_are_remembered_and_of_the_others_only_hashes():
    recent = RecentDocuments(most=100)
    for id in ("a", "b", "c"):
        recent.remember(id, _recent(40))

    known = {id: recent.known(id, ADA) for id in ("a", "b", "c")}

    assert [len(each.cells) for each in known.values()] == [0, 2, 2]
    assert len(known["a"].ids) == 2


def test_a_notebooks_newer_version_takes_the_place_of_the_older_one():
    recent = RecentDocuments(most=100)
    for number in range(1, 10):
        recent.remember("a", _recent(90, number))

    assert recent.of("a").number == 9
    assert recent.known("a", ADA).cells


def test_one_that_is_too_large_is_known_by_its_hashes():
    recent = RecentDocuments(most=100)
    recent.remember("a", _recent(50, 1))
    recent.remember("a", _recent(200, 2))
    assert (recent.of("a").number, len(recent.of("a").cut.ids)) == (2, 2)

    recent.remember("a", _recent(50, 3))
    assert recent.of("a").number == 3


def test_nobody_but_a_notebooks_owner_is_faster_for_what_is_known_of_it():
    recent = RecentDocuments()
    recent.remember("a", _recent(40))

    assert recent.known("a", ("demo", "eve")) is None
    assert recent.known("a", ("other", "ada")) is None


@pytest.mark.each_database
async def test_versions_that_two_replicas_store_in_turns_are_read_back_at_both(settings, hub, host, new_notebook):
    made = _notebook(6)
    id = (await new_notebook(content=made))["id"]
    async with (
        running_service(settings, hub, **host.bearer("ada")) as one,
        running_service(settings, hub, **host.bearer("ada")) as other,
    ):
        stored = [_bytes(made)]
        for base, replica in enumerate([one, other, other, one, one, other], start=1):
            made["cells"][base % 6]["source"] = f"{base}"
            made["cells"][-base % 6]["outputs"][0]["text"].append(f"{base}\n")
            assert (await _save(replica, id, made, base)).status_code == 200
            stored.append(_bytes(made))
            for each in (one, other):
                assert await _load(each, id, base + 1) == stored[-1]
        for number, content in enumerate(stored, start=1):
            assert await _load(one, id, number) == await _load(other, id, number) == content


@pytest.mark.each_database
async def test_a_save_that_was_refused_or_kept_aside_leaves_nothing_wrong_behind(client, new_notebook):
    made = _notebook(4)
    id = (await new_notebook(content=made))["id"]
    for base in (1, 2):
        made["cells"][0]["source"] = f"{base}"
        assert (await _save(client, id, made, base)).status_code == 200
    made["cells"][1]["outputs"][0]["text"].append("aside\n")
    assert problem(await _save(client, id, made, 1)) == "version-conflict"
    aside = _bytes(made)
    made["cells"][2]["outputs"][0]["text"].append("refused\n")
    assert problem(await _save(client, id, made, 99)) == "version-not-found"
    assert (await _save(client, id, made, 3)).status_code in (200, 409)

    assert await _load(client, id, 4) == aside
    assert await _load(client, id, 5) == _bytes(made)


class _Loop(asyncio.SelectorEventLoop):
    """Notes how long its thread has computed, at most, in one turn: what everybody else waits for."""

    longest = 0.0

    def _run_once(self) -> None:
        begin = time.thread_time()
        super()._run_once()
        self.longest = max(self.longest, time.thread_time() - begin)


@contextmanager
def _serving_beside(settings):
    """Run the service on a loop in a thread of its own. Gives its address and the loop."""
    up: Future[tuple[str, _Loop]] = Future()

    async def serve() -> None:
        async with served(create_app(settings)) as url:
            ended = asyncio.Event()
            up.set_result((url, asyncio.get_running_loop(), ended))
            await ended.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(serve())
        except BaseException as exc:
            up.set_exception(exc)

    thread = threading.Thread(target=run)
    thread.start()
    url, loop, ended = up.result(60)
    try:
        yield url, loop
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


async def test_no_save_of_10_mb_holds_the_event_loop_for_20_ms(settings, host, new_notebook):
    made = json.loads(_bytes(_notebook(700, 14_500)))
    id = (await new_notebook())["id"]
    longest = []
    with _serving_beside(settings.model_copy(update={"notebook_limit": ByteSize(20_000_000)})) as (url, loop):
        async with httpx.AsyncClient(base_url=url, headers=host.bearer("ada"), timeout=120) as client:
            # What is done once in a process is done.
            assert (await _save(client, id, _notebook(2), 1)).status_code == 200
            for base in range(2, 7):
                made["cells"][base]["source"] = [f"{base}"]
                content = (json.dumps(made, indent=1, sort_keys=True) + "\n").encode()
                assert 10_000_000 < len(content) < 12_000_000
                loop.longest = 0.0
                answer = await client.put(
                    f"/v1/notebooks/{id}/content", content=content, headers={"If-Match": f'"{base}"'}
                )
                assert answer.status_code == 200, answer.text
                longest.append(loop.longest)
            assert await _load(client, id, 7) == content
    # By the thread's own processor time: what else the machine does is not in it. Python's collector may be, in one.
    assert sorted(longest)[-2] < 0.02, longest
