"""Users with real servers and kernels at two replicas: each save that was acknowledged is there, byte for byte."""

import asyncio
import os

import pytest

from benchmarks.replicated import replicated
from benchmarks.working_user import WorkingUser
from tests.faults.ledger import audit

USERS = int(os.environ.get("INSET_LOAD_USERS", "3"))
"""`make soak` takes more."""
SAVES = int(os.environ.get("INSET_LOAD_USERS_SAVES", "3"))
SEED = int(os.environ.get("INSET_FAULT_SEED", "2026"))


@pytest.fixture
async def inset(database_url, tmp_path):
    async with replicated(tmp_path, database_url, seats=USERS) as inset:
        yield inset


async def test_what_users_with_kernels_of_their_own_have_saved_is_all_there(inset, http, capsys):
    users = {f"user-{number}": WorkingUser(inset, f"user-{number}", seed=SEED) for number in range(USERS)}
    try:
        async with asyncio.TaskGroup() as at_once:
            for user in users.values():
                at_once.create_task(_day(user))
    finally:
        for user in users.values():
            await user.aclose()

    assert sum(user.ran for user in users.values()) > 0
    versions = 0
    for name, user in users.items():
        # The notebook as it was opened, and each save: ending its session has made no other.
        assert len(user.ledger.acknowledged) == SAVES + 1
        versions += await audit(http, inset.url, user.ledger, inset.host.bearer(name))
    assert versions == USERS * (SAVES + 1)
    with capsys.disabled():
        print(f"\n{USERS} users with kernels: {USERS * SAVES} saves acknowledged, lost: 0")


async def _day(user: WorkingUser) -> None:
    await user.open()
    await user.work(SAVES, pause=1)
    await user.close()
