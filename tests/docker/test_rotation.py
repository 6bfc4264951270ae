"""The secrets that parts share are made anew, as docs/deploying.md says, while somebody works in a session."""

import asyncio
import json

import httpx
import pytest
from compose import Failed

from tests.docker.deployment import Deployment
from tests.docker.traffic import traffic
from tests.support.hosts import TestHost

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PATIENCE = 150.0
MADE = {
    "hub-token": ("hub", "/secrets/hub/token"),
    "edge-token": ("edge", "/secrets/edge/token"),
    "database-password": ("database", "/secrets/database/password"),
}
"""Where each is shown to its part."""

ASK = """
import json, sys, urllib.error, urllib.request as r
url, headers = json.load(sys.stdin)
try:
    print(r.urlopen(r.Request(url, headers=headers), timeout=30).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""
ORIGINAL = {"X-Original-Method": "GET", "X-Original-Host": "seat-001.nb.localhost", "X-Original-URI": "/user/seat-001/"}


async def test_shared_secrets_are_made_anew_under_a_live_session(
    running: Deployment, host: TestHost, api: httpx.AsyncClient
) -> None:
    people = traffic(running, host, typists=["ada"], authors=["mary"])
    try:
        await people.begin()
        await people.landed(within=PATIENCE)
        old = made(running)
        assert [opened_by(running, old, name) for name in MADE] == [True, True, True]

        await asyncio.to_thread(made_anew, running)

        await people.landed(within=PATIENCE)
        await people.end()
        await people.audit(api, host)
        assert not people.typists[0].failures
    finally:
        await people.stop()
        await people.aclose()
    new = made(running)
    assert [opened_by(running, old, name) for name in MADE] == [False, False, False]
    assert [opened_by(running, new, name) for name in MADE] == [True, True, True]


def made_anew(running: Deployment) -> None:
    files = [f"/secrets/made/{name}" for name in MADE]
    running.composed.compose("run", "--rm", "--entrypoint", "rm", "secrets", *files)
    running.composed.start()
    running.composed.compose("restart", "database", "service", "hub", "edge")
    running.composed.until_well()


def made(running: Deployment) -> dict[str, str]:
    return {name: running.inside(part, "cat", path) for name, (part, path) in MADE.items()}


def opened_by(running: Deployment, secrets: dict[str, str], name: str) -> bool:
    """Tell whether a secret opens what it is for."""
    value = secrets[name]
    if name == "hub-token":
        return asked(running, "http://hub:8081/hub/api/user", {"Authorization": f"token {value}"}) == 200
    if name == "edge-token":
        # Nobody else hears more than that there is nothing; the edge, that this one may not.
        return asked(running, "http://127.0.0.1:8091/edge/check", {**ORIGINAL, "Inset-Edge-Token": value}) == 403
    address = f"postgresql://inset:{value}@127.0.0.1/inset"
    try:
        return running.inside("database", "psql", "--tuples-only", address, "--command=SELECT 'in'").strip() == "in"
    except Failed:
        return False


def asked(running: Deployment, url: str, headers: dict[str, str]) -> int:
    return int(running.inside("service", "python", "-c", ASK, stdin=json.dumps([url, headers])))
