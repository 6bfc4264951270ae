"""The store, driven at random beside a plain model of what histories should be, on either database."""

import asyncio
import base64
import os
import random
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlmodel import col, delete, func, select, update

from inset.callers import Caller
from inset.checking import check_database
from inset.clock import now
from inset.db import Database, open_database
from inset.documents import Document, document_from_jupyter
from inset.errors import MergeConflict, NotebookNotFound, NotMergeable, NotOnTheSide, VersionNotFound
from inset.models import EVERY_CAPABILITY, Blob, BlobBase, BlobUse, Body, Host, Limits, Notebook, Version
from inset.notebooks import Notebooks, create_notebook
from inset.receipts import Receipts
from inset.retention import Policy, purge_notebooks, thin_versions
from inset.signing import Signer
from inset.store import blobs
from inset.store.garbage import remove_unused_blobs
from inset.store.packing import pack
from inset.store.splitting import split
from inset.versions import Stored, get_version, read_document, store
from tests.faults.ledger import exact
from tests.service.conftest import document
from tests.support.histories import History, described, rows_of

EXAMPLES = int(os.environ.get("INSET_MODEL_EXAMPLES", "10"))
"""How many histories are driven on each database. `make soak` takes more, and others each time."""
STEPS = 40
THOROUGH = hypothesis.settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize="INSET_MODEL_EXAMPLES" not in os.environ,
    database=None,
    # Without looking for a shorter example: that takes minutes, and the long one says what was done.
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
POLICY = Policy(by_minute_after=timedelta(hours=1), by_day_after=timedelta(days=30))
START = now()
LIMIT = 10_000_000

WHICH = st.integers(0, 3)
BACK = st.integers(0, 6)
ORIGINS = st.sampled_from(["autosave", "autosave", "autosave", "save", "api"])
AUTHORS = st.sampled_from(["ada", "ada", "grace"])
_BASES = select(BlobBase.host_id, BlobBase.key, BlobBase.base)


@lru_cache
def _output(number: int) -> dict[str, Any]:
    if number < 3:
        # Alike enough for one to be written as what differs from another.
        image = base64.b64encode(random.Random(0).randbytes(5_000) + random.Random(number).randbytes(1_000)).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": image}}
    return {"output_type": "stream", "name": "stdout", "text": f"{number} " * 1_500}


@lru_cache(maxsize=10_000)
def _notebook(cells: tuple[tuple[int, int | None], ...]) -> Document:
    made = document(*[f"step({source})" for source, _ in cells])
    for cell, (_, output) in zip(made["cells"], cells, strict=True):
        cell["outputs"] = [] if output is None else [_output(output)]
    return document_from_jupyter(exact(made))


NOTEBOOKS = st.lists(
    st.tuples(st.integers(0, 4), st.none() | st.integers(0, 4)), min_size=1, max_size=4
).map(lambda cells: _notebook(tuple(cells)))  # fmt: skip
BROKEN = st.builds(
    lambda whole, cut, end: document_from_jupyter(whole.content[:-cut] + end),
    NOTEBOOKS,
    st.integers(1, 3_000),
    st.sampled_from([b"", b"\0", b"\xff\0\0"]),
)
DOCUMENTS = st.one_of(NOTEBOOKS, NOTEBOOKS, NOTEBOOKS, NOTEBOOKS, BROKEN)


class StoreMachine(RuleBasedStateMachine):
    """Does the same to the store and to the model, and compares them after each step."""

    runner: asyncio.Runner
    database: Database
    receipts: Receipts

    @initialize()
    def begin(self) -> None:
        self.histories: list[History] = []
        self.tokens = 0
        for host_id in ("demo", "demo", "demo", "other"):
            self.histories.append(self._created(host_id, _notebook(((0, 0), (1, 3)))))

    # Saves

    @rule(which=WHICH, document=DOCUMENTS, origin=ORIGINS, author=AUTHORS)
    def save_on_the_current_version(self, which, document, origin, author):
        if history := self._there(which):
            self._save(history, document, base=history.current, origin=origin, author=author)

    @rule(which=WHICH, cell=st.integers(0, 3), source=st.integers(0, 4), output=st.none() | st.integers(0, 4))
    def change_one_cell(self, which, cell, source, output):
        if history := self._there(which):
            cells = [(0, 0), (1, 3), (2, None), (3, 1)]
            cells[cell] = source, output
            self._save(history, _notebook(tuple(cells)), base=history.current, origin="autosave", author="ada")

    @rule(which=WHICH, document=DOCUMENTS, back=BACK, origin=ORIGINS, author=AUTHORS, again=st.booleans())
    def save_on_an_old_version(self, which, document, back, origin, author, again):
        if history := self._there(which):
            base = max(1, history.last - back)
            stored = self._save(history, document, base=base, origin=origin, author=author)
            assert (stored.conflict is None) == (stored.version.number == history.current)
            if again and stored.version.parent == base:
                # As by a client that got no answer.
                resent = self._save(history, document, base=base, origin=origin, author=author)
                assert not resent.created
                assert resent.version.number == stored.version.number

    @rule(which=WHICH, lost=DOCUMENTS, arrived=st.booleans(), document=DOCUMENTS, back=BACK)
    def save_after_one_without_an_answer(self, which, lost, arrived, document, back):
        if history := self._there(which):
            base = max(1, history.last - back)
            call = {"base": base, "origin": "autosave", "author": "ada"}
            if arrived:
                self._save(history, lost, **call)
            self._save(history, document, unanswered=[lost.sha256], **call)

    @rule(which=WHICH, document=DOCUMENTS)
    def save_on_a_version_that_never_was(self, which, document):
        if history := self._there(which):
            with pytest.raises(VersionNotFound):
                self._run(self._stored(history, document, base=history.last + 1, origin="api", author="ada"))

    @rule(which=WHICH, document=DOCUMENTS)
    def save_and_break_off_before_the_commit(self, which, document):
        async def broken() -> None:
            async with self.database.transaction() as db:
                notebook = await db.get_one(Notebook, history.id)
                await store(db, notebook, document, base=history.current, origin="save", author="ada")
                raise ZeroDivisionError

        if history := self._there(which):
            with pytest.raises(ZeroDivisionError):
                self._run(broken())

    @rule(which=WHICH, back=BACK, writers=st.integers(2, 4), output=st.integers(0, 4))
    def save_at_the_same_moment_on_one_version(self, which, back, writers, output):
        if history := self._there(which):
            base = max(1, history.last - back)
            documents = [self._unique(output) for _ in range(writers)]
            call = {"base": base, "origin": "autosave", "author": "ada"}
            was = history.current
            answers = self._run(_together(*[self._stored(history, document, **call) for document in documents]))
            for answer, document in sorted(
                zip(answers, documents, strict=True), key=lambda pair: pair[0].version.number
            ):
                made, _ = history.save(document, **call)
                assert made.number == answer.version.number
            assert sum(answer.conflict is None for answer in answers) == (base == was)

    # What people do with versions

    @rule(which=WHICH, back=BACK)
    def restore(self, which, back):
        if (history := self._there(which)) and (number := _some(history, back)):
            restored = self._run(self._as_owner(history, "restore", number))
            document = history.versions[number].document
            made, created = history.save(document, base=history.current, origin="restore", author="ada")
            assert (restored.version.number, restored.created) == (made.number, created)
            assert history.versions[history.current].document.content == document.content

    @rule(which=WHICH, back=BACK, label=st.sampled_from(["As submitted", None]))
    def label(self, which, back, label):
        if (history := self._there(which)) and (number := _some(history, back)):
            self._run(self._as_owner(history, "label", number, label))
            history.versions[number].label = label

    @rule(which=WHICH, back=BACK, take=st.sampled_from(["mine", "theirs", "merge", "merge"]))
    def resolve(self, which, back, take):
        history = self._there(which)
        beside = [each for each in history.versions.values() if each.aside] if history else []
        if not beside:
            return
        kept = history.newest_beside(beside[back % len(beside)].number)
        call = self._as_owner(history, "resolve", beside[back % len(beside)].number, take)
        if kept.aside == "settled":
            assert not self._run(call).created
        elif take == "theirs":
            assert self._run(call).version.number == history.take(kept, None, origin="", author="").number
        elif take == "mine":
            made = history.take(kept, kept.document, origin="restore", author="ada")
            assert self._run(call).version.number == made.number
        else:
            with suppress(MergeConflict, NotMergeable):
                merged = self._run(call).version.number
                made = history.take(kept, self._content(history, merged), origin="merge", author="ada")
                assert made.number == merged

    @rule(which=WHICH)
    def resolve_what_no_conflict_kept(self, which):
        if history := self._there(which):
            with pytest.raises(NotOnTheSide):
                self._run(self._as_owner(history, "resolve", history.current, "mine"))

    # What operators do

    @rule(which=WHICH, days=st.sampled_from([20, 60]), apart=st.sampled_from([7, 25, 18_000]))
    def grow_old_and_thin(self, which, days, apart):
        history = self.histories[which]
        begin = START.replace(second=3) - timedelta(days=days)
        for number, version in history.versions.items():
            version.aged = begin + timedelta(seconds=number * apart)
        self._run(self._aged(history))
        going = {each.id: each.thin(POLICY, START) for each in self.histories}
        removed = self._run(thin_versions(self.database, POLICY))
        assert removed.versions == sum(map(len, going.values()))
        assert removed.notebooks == {id for id, numbers in going.items() if numbers}

    @rule()
    def pack(self):
        self._run(pack(self.database, print))

    @rule()
    def remove_unused_blobs(self):
        self._run(remove_unused_blobs(self.database))
        self._run(self._check_blobs(all_are_used=True))

    @rule(output=st.integers(0, 4), alike=st.booleans())
    def save_beside_all_of_that(self, output, alike):
        documents = [self._unique(output, *(range(5) if alike else [each % 5])) for each in range(len(self.histories))]
        saves = []
        for history, made in zip(self.histories, documents, strict=True):
            if not history.deleted:
                call = {"base": history.current, "origin": "autosave", "author": "ada"}
                history.save(made, **call)
                saves.append(self._stored(history, made, **call))
        beside = (pack(self.database, print), remove_unused_blobs(self.database), thin_versions(self.database, POLICY))
        self._run(_together(*saves, *beside))
        for history in self.histories:
            history.thin(POLICY, START)
        self._run(thin_versions(self.database, POLICY))

    @rule(which=WHICH, back=st.booleans())
    def delete(self, which, back):
        if history := self._there(which):
            self._run(self._as_owner(history, "delete"))
            history.deleted = True
            with pytest.raises(NotebookNotFound):
                self._run(self._as_owner(history, "content"))
            if back:
                self._run(self._as_owner(history, "undelete"))
                history.deleted = False

    @rule(beside=st.booleans())
    def purge(self, beside):
        """Remove for good what was deleted, also beside the packer, and put a new notebook in its place."""
        purging = [purge_notebooks(self.database, undelete_for=timedelta(0))]
        if beside:
            purging += [pack(self.database, print), remove_unused_blobs(self.database)]
        purged, *_ = self._run(_together(*purging))
        assert purged.notebooks == {history.id for history in self.histories if history.deleted}
        for which, history in enumerate(self.histories):
            if history.deleted:
                with pytest.raises(NotebookNotFound):
                    self._run(self._as_owner(history, "undelete"))
                self.histories[which] = self._created(history.host_id, _notebook(((0, 0),)))

    # What holds always

    @invariant()
    def histories_are_those_of_the_model(self):
        self._run(self._check_histories())

    def teardown(self):
        try:
            self._run(self._check_everything())
        finally:
            self._run(self._remove_everything())

    # How it is done

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def _there(self, which: int) -> History | None:
        history = self.histories[which]
        return None if history.deleted else history

    def _unique(self, *outputs: int) -> Document:
        self.tokens += 1
        return _notebook(tuple((100 + self.tokens + place, output) for place, output in enumerate(outputs)))

    def _created(self, host_id: str, document: Document) -> History:
        async def create() -> str:
            async with self.database.transaction() as db:
                return (await create_notebook(db, host_id, "ada", "Analysis", document, origin="api")).id

        history = History(self._run(create()), host_id)
        history.save(document, base=0, origin="api", author="ada")
        return history

    def _save(self, history: History, document: Document, **call: Any) -> Stored:
        stored = self._run(self._stored(history, document, **call))
        made, created = history.save(document, **call)
        assert (stored.version.number, stored.created) == (made.number, created)
        return stored

    async def _stored(self, history: History, document: Document, **call: Any) -> Stored:
        async with self.database.transaction() as db:
            return await store(db, await db.get_one(Notebook, history.id), document, **call)

    async def _as_owner(self, history: History, verb: str, *arguments: Any, host_id: str | None = None) -> Any:
        caller = Caller(
            host_id=host_id or history.host_id,
            user="ada",
            origins=(),
            may=frozenset(EVERY_CAPABILITY),
            backend=False,
            limits=Limits(),
            data_policy="open",
            profiles=("default",),
            until=START,
        )
        async with self.database.transaction() as db:
            notebooks = Notebooks(db, caller, self.receipts, limit=LIMIT, undelete_for=timedelta(days=1))
            return await getattr(notebooks, verb)(history.id, *arguments)

    def _content(self, history: History, number: int) -> Document:
        return self._run(self._as_owner(history, "content", number)).document

    async def _aged(self, history: History) -> None:
        async with self.database.transaction() as db:
            for number, version in history.versions.items():
                here = (col(Version.notebook_id) == history.id, col(Version.number) == number)
                await db.exec(update(Version).where(*here).values(created_at=version.aged))

    async def _check_histories(self) -> None:
        async with self.database.transaction(read_only=True) as db:
            notebooks = {notebook.id: notebook for notebook in (await db.exec(select(Notebook))).all()}
            versions = (await db.exec(select(Version))).all()
        assert notebooks.keys() == {history.id for history in self.histories}
        for history in self.histories:
            assert rows_of([each for each in versions if each.notebook_id == history.id]) == history.rows()
            assert described(notebooks[history.id]) == (history.current, history.last, history.deleted)

    async def _check_everything(self) -> None:
        for history in self.histories:
            async with self.database.transaction(read_only=True) as db:
                for number, saved in history.versions.items():
                    version = await get_version(db, history.id, number)
                    content = (await read_document(db, version)).content
                    assert content == saved.document.content
            elsewhere = "other" if history.host_id == "demo" else "demo"
            with pytest.raises(NotebookNotFound):
                await self._as_owner(history, "content", host_id=elsewhere)
        await self._check_blobs()
        assert [finding async for finding in check_database(self.database, told=lambda _: None)] == []

    async def _check_blobs(self, *, all_are_used: bool = False) -> None:
        """Each notebook has noted the pieces of its versions and no others, by the names that its host has for them."""
        async with self.database.transaction(read_only=True) as db:
            keys = {host.id: host.store_key for host in (await db.exec(select(Host))).all()}
            uses = (await db.exec(select(BlobUse.notebook_id, BlobUse.host_id, BlobUse.key))).all()
            stored = (await db.exec(select(Blob.host_id, Blob.key))).all()
            bases = {(host_id, key): base for host_id, key, base in (await db.exec(_BASES)).all()}
        expected = {
            (history.id, history.host_id, blobs.name(piece, keys[history.host_id]))
            for history in self.histories
            for version in history.versions.values()
            for piece in split(version.document.content).pieces
        }
        assert {tuple(use) for use in uses} == expected
        used = {(host_id, key) for _, host_id, key in expected}
        for host_id, key in list(used):
            while base := bases.get((host_id, key)):
                key = base
                used.add((host_id, key))
        there = {tuple(blob) for blob in stored}
        assert there == used if all_are_used else there >= used
        assert len({key for _, key in there}) == len(there), "two hosts have one name for something"

    async def _remove_everything(self) -> None:
        try:
            async with self.database.transaction() as db:
                await db.exec(update(Notebook).values(deleted_at=START - timedelta(days=1)))
            await purge_notebooks(self.database, undelete_for=timedelta(0))
            await remove_unused_blobs(self.database)
            async with self.database.transaction(read_only=True) as db:
                for table in (Notebook, Version, Body, BlobUse, BlobBase, Blob):
                    assert (await db.exec(select(func.count()).select_from(table))).one() == 0, table
        finally:
            # Whatever is wrong: the next history shall not suffer from it.
            async with self.database.transaction() as db:
                for table in (BlobUse, BlobBase, Blob, Body, Version, Notebook):
                    await db.exec(delete(table))


async def _together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    return await asyncio.gather(*work)


def _some(history: History, back: int) -> int:
    numbers = sorted(history.versions)
    return numbers[-1 - back % len(numbers)]


@pytest.mark.each_database
def test_whatever_is_done_to_histories_they_are_what_a_plain_model_says(settings):
    async def opened() -> Database:
        return await databases.__aenter__()

    databases = open_database(settings.database_url, settings.database)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:

        class Machine(StoreMachine):
            database = runner.run(opened())
            receipts = Receipts(Signer(settings.signing_key_file.read_bytes()), issuer=settings.public_url)

        Machine.runner = runner
        try:
            run_state_machine_as_test(Machine, settings=THOROUGH)
        finally:
            runner.run(databases.__aexit__(None, None, None))
