"""Profiles: the kinds of server that an operator offers, and what each host application may have of them."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from inset.clock import now
from inset.db import open_database
from inset.hosts import apply_hosts
from inset.models import Session
from tests.service.conftest import execute, problem, quiet_for, running_service, until
from tests.support.hosts import write_hosts_file

pytestmark = pytest.mark.each_database

PROFILES = """
[profiles.default]
image = "inset-singleuser"
[profiles.large]
memory = "8 GiB"
allow_environment = ["PLATFORM_*", "*"]
[profiles.short]
idle_timeout = 600
[profiles.other-hosts]
"""


@pytest.fixture
async def settings(settings, host, tmp_path):
    """With the profiles, of which the host may have all but one and one that is not there (yet)."""
    file = tmp_path / "profiles.toml"
    file.write_text(PROFILES)
    registered = dataclasses.replace(host, registration={"profiles": ["default", "large", "short", "to-come"]})
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "profiled.toml", registered))
    return settings.model_copy(update={"profiles_file": file})


@pytest.fixture
def open_as(client, new_notebook):
    async def open(notebook=None, **wish):
        notebook = notebook or await new_notebook()
        return await client.post("/v1/sessions", json={"notebook_id": notebook["id"], **wish})

    return open


async def test_a_session_has_the_profile_and_the_environment_that_its_host_asks_for(client, hub, open_as):
    environment = {"PLATFORM_PROJECT": "reach-2026"}

    session = (await open_as(profile="large", environment=environment)).json()

    assert session["profile"] == "large"
    await until(client, session["id"], "ready")
    assert (hub.server().options["profile"], hub.server().options["environment"]) == ("large", environment)


async def test_without_a_word_it_is_the_hosts_first_profile(client, hub, open_as):
    session = (await open_as()).json()

    await until(client, session["id"], "ready")
    assert (session["profile"], hub.server().options["profile"]) == ("default", "default")
    assert hub.server().options["environment"] == {}


@pytest.mark.parametrize("name", ["other-hosts", "nonsense", "to-come"])
async def test_a_profile_that_is_not_the_hosts_is_a_problem_that_names_those_that_are(open_as, name):
    answer = await open_as(profile=name)

    assert (answer.status_code, problem(answer)) == (422, "unknown-profile")
    assert answer.json()["profiles"] == ["default", "large", "short"]
    assert "`large`" in answer.json()["detail"]


async def test_only_names_that_the_profile_allows_come_into_the_environment(open_as):
    answer = await open_as(environment={"PLATFORM_PROJECT": "x"})

    assert (answer.status_code, problem(answer)) == (422, "environment-not-allowed")
    assert (answer.json()["names"], answer.json()["allowed"]) == (["PLATFORM_PROJECT"], [])


@pytest.mark.parametrize(
    "name",
    [
        "JUPYTERHUB_API_TOKEN", "JUPYTER_CONFIG_DIR", "INSET_SERVICE_URL", "inset_may", "LD_PRELOAD", "PYTHONPATH",
        "PYTHONSTARTUP", "PATH", "HOME", "HTTPS_PROXY", "all_proxy", "SSL_CERT_FILE", "SSLKEYLOGFILE", "BASH_ENV",
        "JPY_PARENT_PID", "GIT_SSH_COMMAND", "XDG_CONFIG_HOME", "NETRC",
    ],
)  # fmt: skip
async def test_what_steers_the_server_itself_is_never_a_hosts_to_set_even_where_all_names_are(open_as, name):
    answer = await open_as(profile="large", environment={"FINE": "1", name: "x"})

    assert problem(answer) == "environment-not-allowed"
    assert answer.json()["names"] == [name]


@pytest.mark.parametrize(
    "environment",
    [{"A-B": "x"}, {"1A": "x"}, {"A=B": "x"}, {"": "x"}, {"A": "x\0y"}, {"A": "x" * 4097}, {"A": 7}, {"A" * 65: "x"}],
)
async def test_what_can_be_no_environment_is_refused(open_as, environment):
    assert problem(await open_as(profile="large", environment=environment)) == "invalid-request"


async def test_sessions_of_another_profile_or_environment_have_a_server_of_their_own(client, hub, open_as):
    for wish in (
        {},
        {"profile": "large"},
        {"profile": "large", "environment": {"PLATFORM_PROJECT": "a"}},
        {"profile": "large", "environment": {"PLATFORM_PROJECT": "a"}},
        {"profile": "large"},
    ):
        session = (await open_as(**wish)).json()
        await until(client, session["id"], "ready")

    kinds = [(server.options["profile"], server.options["environment"]) for server in hub.servers.values()]
    assert kinds == [("default", {}), ("large", {}), ("large", {"PLATFORM_PROJECT": "a"})]


async def test_a_notebook_that_is_open_is_joined_as_it_is_and_not_as_something_else(client, open_as, new_notebook):
    notebook = await new_notebook()
    session = (await open_as(notebook, profile="large", environment={"A": "1"})).json()

    assert (await open_as(notebook)).json()["id"] == session["id"]
    assert (await open_as(notebook, profile="large", environment={"A": "1"})).json()["id"] == session["id"]
    for other in ({"profile": "default"}, {"profile": "large", "environment": {"A": "2"}}):
        answer = await open_as(notebook, **other)
        assert (answer.status_code, problem(answer)) == (409, "session-differs")
        assert (answer.json()["session_id"], answer.json()["profile"]) == (session["id"], "large")


async def test_an_operators_file_with_a_misspelt_time_is_refused_at_the_start(command, monkeypatch, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text('[profiles.default]\nmax_age = "soon"\n')
    monkeypatch.setenv("INSET_PROFILES_FILE", str(file))

    code, _, errors = await command("serve")

    assert code == 2
    assert errors.startswith("inset: profiles.default.max_age: ")


async def test_a_profile_says_when_its_servers_are_idle(settings, client, hub, open_as):
    session = (await open_as(profile="short")).json()
    other = (await open_as()).json()
    for opened in (session, other):
        await until(client, opened["id"], "ready")

    await quiet_for(settings, hub, timedelta(minutes=30))

    assert (await until(client, session["id"], "ended"))["ending_reason"] == "idle"
    assert (await client.get(f"/v1/sessions/{other['id']}")).json()["state"] == "ready"


async def test_a_host_can_have_its_sessions_end_sooner_and_not_later(settings, client, hub, host, tmp_path, open_as):
    limited = dataclasses.replace(host, registration={"limits.idle_timeout": 600, "limits.max_age": "PT9H"})
    async with open_database(settings.database_url) as database:
        await apply_hosts(database, write_hosts_file(tmp_path / "limited.toml", limited))
    session = (await open_as()).json()
    assert _until_it_expires(session) <= timedelta(hours=9)
    await until(client, session["id"], "ready")

    await quiet_for(settings, hub, timedelta(minutes=30))

    assert (await until(client, session["id"], "ended"))["ending_reason"] == "idle"


async def test_a_session_ends_at_its_age_saved_first_however_busy_it_is(settings, hub, host):
    async with running_service(
        settings.model_copy(update={"max_age": timedelta(hours=1)}), hub, **host.bearer()
    ) as client:
        notebook = (await client.post("/v1/notebooks", json={"name": "N"})).json()
        session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
        assert timedelta() < _until_it_expires(session) <= timedelta(hours=1)
        await until(client, session["id"], "ready")
        [path] = hub.server().files
        hub.server().page_edits[path] = json.dumps(
            {"nbformat": 4, "nbformat_minor": 5, "metadata": {"edited": "last"}, "cells": []}
        )

        await execute(settings, update(Session).values(expires_at=now()))

        await until(client, session["id"], "ending")
        ended = await until(client, session["id"], "ended")

        assert ended["ending_reason"] == "expired"
        content = (await client.get(f"/v1/notebooks/{notebook['id']}/content")).json()
        assert content["metadata"]["edited"] == "last"


def _until_it_expires(session):
    return datetime.fromisoformat(session["expires_at"]) - datetime.now(UTC)
