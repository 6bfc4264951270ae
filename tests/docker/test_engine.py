"""The real engine behind its proxy: what the hub itself, taken over, can have of it."""

import json

import pytest

from tests.docker.deployment import Deployment
from tests.support.hostile_containers import CALLS, bodies, wanted

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ASK = """
import json, sys, urllib.error, urllib.request
for method, path, body in json.load(sys.stdin):
    headers = {"Content-Type": "application/json"}
    data = body.encode() if body is not None else None
    asked = urllib.request.Request("http://engine:2375/v1.41" + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            print(answer.status)
    except urllib.error.HTTPError as refused:
        print(refused.code)
"""

Call = tuple[str, str, str | None]


def ask(running: Deployment, *calls: Call) -> list[int]:
    """Send calls to the engine's proxy from where the hub runs; gives the answers' status codes."""
    return list(map(int, running.inside("hub", "python", "-c", ASK, stdin=json.dumps(calls)).split()))


def test_a_hub_that_was_taken_over_gets_no_other_container(running: Deployment) -> None:
    create = f"/containers/create?name={running.name}-seat-2d002"
    hostile: list[Call] = [("POST", create, body) for body in bodies(running.image, running.name).values()]

    assert set(ask(running, *hostile)) == {403}

    # All were to have this name; of other names others start some meanwhile.
    assert running.docker("ps", "--all", "--quiet", "--filter", f"name={running.name}-seat-2d002") == ""
    # The control: without what is hostile, the same body makes a container.
    good = json.dumps(wanted(running.image, running.name))
    seat = f"/containers/{running.name}-seat-2d002"
    assert ask(running, ("POST", create, good), ("GET", f"{seat}/json", None), ("DELETE", seat, None)) == [
        201,
        200,
        204,
    ]


def test_a_hub_that_was_taken_over_gets_nothing_else_of_the_engine(running: Deployment) -> None:
    assert set(ask(running, *((method, path, None) for method, path in CALLS))) == {403}


@pytest.mark.parametrize("part", ["database", "service", "engine"])
def test_a_hub_that_was_taken_over_touches_no_other_part(running: Deployment, part: str) -> None:
    for container in (running.container(part), running.container(part)[:12], f"{running.name}_{part}_1"):
        one = f"/containers/{container}"
        calls: list[Call] = [
            ("GET", f"{one}/json", None),
            ("POST", f"{one}/stop", None),
            ("POST", f"{one}/start", None),
            ("DELETE", f"{one}?force=1", None),
            ("POST", f"{one}/exec", '{"Cmd": ["sh"]}'),
        ]
        # 404 is what the engine says where Compose names its containers in another way.
        assert set(ask(running, *calls)) <= {403, 404}
    assert running.inspected(running.container(part))["State"]["Running"]
