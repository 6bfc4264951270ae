"""`/metrics`: what Prometheus reads, and who may; the dashboard and the alerts ask for nothing that is not there."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE, STDOUT
from datetime import timedelta

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from inset.db import open_database
from inset.hosts import apply_hosts
from inset.settings import WebhookSettings
from tests.service.conftest import document, events, problem, running_service, until
from tests.support.hosts import write_hosts_file
from tests.support.real_hub import ROOT
from tests.support.serving import served
from tests.support.webhooks import SECRET, Receiver

TOKEN = "what Prometheus shows"


@pytest.fixture
async def settings(settings):
    webhooks = WebhookSettings(retry_after=timedelta(seconds=0.2))
    return settings.model_copy(update={"metrics_token": SecretStr(TOKEN), "queue_length": 3, "webhooks": webhooks})


async def scraped(client):
    """Give every sample, by its name and labels."""
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}


async def test_without_the_token_there_is_nothing_at_the_path(anonymous, host, settings, hub):
    for headers in ({"Authorization": ""}, {"Authorization": f"Bearer {TOKEN}x"}, host.bearer("ada"), {"X": TOKEN}):
        refused = await anonymous.get("/metrics", headers=headers)
        assert (refused.status_code, problem(refused)) == (404, "not-found")
    async with running_service(settings.model_copy(update={"metrics_token": None}), hub) as client:
        for headers in ({"Authorization": "Bearer"}, {"Authorization": "Bearer None"}, {}):
            assert (await client.get("/metrics", headers=headers)).status_code == 404


@pytest.mark.each_database
async def test_sessions_and_seats_are_counted_by_their_states(client, new_notebook, ready_session):
    await ready_session()
    notebook = await new_notebook()

    told = await scraped(client)

    assert told["inset_sessions", "ready"] == 1
    assert told["inset_sessions", "queued"] == 0
    assert (told["inset_seats", "default", "running"], told["inset_seats", "default", "free"]) == (1, 2)
    assert told["inset_versions",] >= 1
    assert told["inset_versions_bytes",] > 0
    assert told["inset_database_up",] == 1
    assert told["inset_driver_silent_seconds",] < 30
    assert notebook["id"] not in str(told)


async def test_who_waits_for_a_seat_is_seen_waiting(client, host):
    opened = []
    for user in ("ada", "grace", "mary", "joan"):
        client.headers.update(host.bearer(user))
        notebook = (await client.post("/v1/notebooks", json={"name": "N"})).json()
        opened.append((await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json())
        if user != "joan":
            await until(client, opened[-1]["id"], "ready")

    told = await scraped(client)

    assert (told["inset_sessions", "queued"], told["inset_seats", "default", "free"]) == (1, 0)
    assert told["inset_queue_sessions", "demo"] == 1
    assert told["inset_queue_oldest_seconds",] > 0


async def test_the_way_to_ready_is_timed_by_its_phases(client, ready_session):
    async def counted():
        told = await scraped(client)
        phases = ("queued", "starting", "loading", "total")
        return {phase: told.get(("inset_session_phase_seconds_count", phase), 0) for phase in phases}

    before = await counted()

    await ready_session()

    async with asyncio.timeout(30):
        # Who drives it counts in his next turn, and the whole way last of all.
        while (after := await counted())["total"] == before["total"]:
            await asyncio.sleep(0.05)
    assert after == {phase: count + 1 for phase, count in before.items()}


async def test_saves_are_counted_by_what_became_of_them(client, hub, new_notebook, ready_session):
    notebook = await new_notebook()
    await ready_session(notebook)
    path = hub.server().documents[notebook["id"]]["path"]
    before = await scraped(client)

    text = json.dumps(document("2 + 2"))
    assert (await hub.save_in_jupyter(path, text)).status_code == 200
    assert (await hub.save_in_jupyter(path, text)).status_code == 200
    old = {"If-Match": '"1"'}
    refused = await client.put(f"/v1/notebooks/{notebook['id']}/content", json=document("3"), headers=old)
    assert refused.status_code == 409

    after = await scraped(client)
    counted = {key: after[key] - before.get(key, 0) for key in after if key[0] == "inset_saves_total"}
    assert {key[1:]: value for key, value in counted.items() if value} == {
        ("autosave", "stored"): 1,
        ("autosave", "unchanged"): 1,
        ("api", "conflict"): 1,
    }
    assert after["inset_save_seconds_count",] == before.get(("inset_save_seconds_count",), 0) + 3
    assert after["inset_save_bytes_count",] == before.get(("inset_save_bytes_count",), 0) + 2


async def test_requests_are_counted_by_the_routes_template_and_whatever_else_comes_as_none(client, host, new_notebook):
    notebook = await new_notebook()
    before = await scraped(client)

    await client.get(f"/v1/notebooks/{notebook['id']}")
    await client.get("/v1/notebooks/none-of-mine")
    await client.get("/v1/somewhere/else")
    await client.request("PROPFIND", "/v1/coffee")
    await client.post("/v1/users/ada%20lovelace/revoke", headers=host.backend_bearer("ada"))

    after = await scraped(client)
    counted = {key[1:]: after[key] - before.get(key, 0) for key in after if key[0] == "inset_requests_total"}
    assert {key: value for key, value in counted.items() if value and "/metrics" not in key} == {
        ("/v1/notebooks/{id}", "200", "GET"): 1,
        ("/v1/notebooks/{id}", "404", "GET"): 1,
        ("404", "GET", "none"): 1,
        ("404", "none", "other"): 1,
        ("/v1/users/{user:path}/revoke", "200", "POST"): 1,
    }
    assert "lovelace" not in str(after)


async def test_an_open_event_stream_is_seen_and_does_not_count_as_a_slow_request(client, ready_session):
    session = await ready_session()
    followed = events(client, session["id"])
    await anext(followed)

    assert (await scraped(client))["inset_event_streams", "session"] >= 1
    await followed.aclose()
    async with asyncio.timeout(30):
        while (await scraped(client))["inset_event_streams", "session"]:
            await asyncio.sleep(0.05)


async def test_calls_to_the_hub_are_timed_by_what_they_are_and_how_they_end(client, hub, ready_session):
    await ready_session()
    hub.trouble = "down"
    await client.get("/readyz")

    told = await scraped(client)

    assert told["inset_hub_call_seconds_count", "POST /users/{seat}/server", "default", "ok"] >= 1
    assert told["inset_hub_call_seconds_count", "GET /user", "default", "error"] >= 1
    assert "seat-001" not in str(told)


@pytest.mark.each_database
async def test_webhooks_that_wait_are_counted_with_the_age_of_the_oldest(
    client, settings, host, new_notebook, tmp_path
):
    receiver = Receiver(answer=503)
    async with served(receiver) as url:
        host.webhooks[:] = [{"name": "main", "url": url, "events": ["notebook.saved"], "secrets": [SECRET]}]
        async with open_database(settings.database_url) as database:
            file = write_hosts_file(tmp_path / "hosts.toml", host)
            await apply_hosts(database, file, signing_key_file=settings.signing_key_file)
        before = await scraped(client)
        assert (before["inset_webhooks_waiting",], before["inset_webhooks_oldest_seconds",]) == (0, 0)

        # The second notebook's is told beside the first's, whose endpoint refuses both.
        await new_notebook()
        await new_notebook("Other")
        await receiver.until(4)
        waiting, later = await scraped(client), await scraped(client)

        assert waiting["inset_webhooks_waiting",] == 2
        assert 0 < waiting["inset_webhooks_oldest_seconds",] < later["inset_webhooks_oldest_seconds",]
        receiver.answer = 204
        both = before["inset_webhook_attempts_total", "delivered"] + 2
        async with asyncio.timeout(60):
            # An attempt is counted once what became of it is in the database.
            while (await scraped(client))["inset_webhook_attempts_total", "delivered"] < both:
                await asyncio.sleep(0.05)
        told = await scraped(client)

    assert (told["inset_webhooks_waiting",], told["inset_webhooks_oldest_seconds",]) == (0, 0)
    counted = {
        outcome: told["inset_webhook_attempts_total", outcome] - before["inset_webhook_attempts_total", outcome]
        for outcome in ("delivered", "retried", "given-up", "switched-off")
    }
    assert (counted["delivered"], counted["given-up"], counted["switched-off"]) == (2, 0, 0)
    assert counted["retried"] >= 2


async def test_a_scrape_of_everything_has_what_the_dashboard_and_the_alerts_ask_for(client, hub, host, ready_session):
    session = await ready_session()
    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    hub.spawns_fail = True
    notebook = (await client.post("/v1/notebooks", json={"name": "Fails"})).json()
    failing = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]})).json()
    await until(client, failing["id"], "failed")
    await _fill_queue(client, hub, host)
    there = {name for name, *_ in await scraped(client)}

    asked = _names((ROOT / "deploy/grafana/inset.json").read_text())
    alerted = _names((ROOT / "deploy/prometheus/inset.rules.yml").read_text())

    assert len(asked) > 12
    assert len(alerted) > 6
    assert {name for name in alerted if "webhook" in name} | {"inset_webhooks_waiting"} <= asked
    assert asked | alerted <= there, (asked | alerted) - there
    listed = set(re.findall(r"^\| `(inset_\w+)`", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))
    assert {re.sub("_(total|count|sum|bucket|created)$", "", name) for name in there if "inset_" in name} == listed


async def _fill_queue(client, hub, host):
    """Have one more ask for a place than may wait for one."""
    hub.spawns_fail, hub.spawns_hold = False, True
    for number in range(9):
        bearer = host.bearer(f"user-{number}")
        notebook = (await client.post("/v1/notebooks", json={"name": "N"}, headers=bearer)).json()
        opened = await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)
        if opened.status_code == 503:
            assert problem(opened) == "queue-full"
            return
    raise AssertionError("the queue has no end")


def test_the_dashboard_and_the_rules_are_whole():
    dashboard = json.loads((ROOT / "deploy/grafana/inset.json").read_text())
    assert dashboard["uid"] == "inset"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    rules = [
        rule
        for group in yaml.safe_load((ROOT / "deploy/prometheus/inset.rules.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    table = (ROOT / "docs/operations.md").read_text()
    for rule in rules:
        assert rule["annotations"]["summary"], rule
        assert f"`{rule['alert']}`" in table, "what to do about it"


async def test_prometheus_own_tool_finds_nothing_wrong_with_a_scrape(client, ready_session):
    await ready_session()
    scrape = (await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).content

    assert await _promtool("check", "metrics", given=scrape) == ""


async def test_prometheus_own_tool_takes_the_rules_and_each_query_of_the_dashboard(tmp_path):
    dashboard = json.loads((ROOT / "deploy/grafana/inset.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 25
    # As Grafana sends them: it alone knows its variables.
    asked = [query.replace("$__rate_interval", "1m").replace("$instance", ".*") for query in queries]
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(asked)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert not [query for query in asked if "$" in query]
    assert f"{len(rules)} rules found" in await _promtool("check", "rules", str(file))
    alerts = ROOT / "deploy/prometheus/inset.rules.yml"
    assert "rules found" in await _promtool("check", "rules", str(alerts))
    file.write_text(file.read_text().replace("histogram_quantile(", "histogram_quantile(("))
    with pytest.raises(AssertionError, match="could not parse expression"):
        await _promtool("check", "rules", str(file))


async def _promtool(*arguments, given=b""):
    """Run it; gives what it says. Where it finds something wrong, it says so and fails."""
    promtool = await asyncio.create_subprocess_exec("promtool", *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said, _ = await promtool.communicate(given)
    assert promtool.returncode == 0, said.decode()
    return said.decode()


def _names(text):
    return set(re.findall(r"\b(?:inset|process)_[a-z_]+", text))
