"""Traces: a host's trace goes on to the hub, and spans are exported where an operator wants that, and nowhere else."""

import subprocess
import sys

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from inset.app import create_app
from inset.traces import ExportingTracer
from tests.service.conftest import until
from tests.support.collector import Collector
from tests.support.serving import served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def heard(hub):
    """Note the `traceparent` of every request that the hub gets."""
    told, app = [], hub.app

    async def listening(scope, receive, send):
        if scope["type"] == "http":
            told.append((scope["path"], dict(scope["headers"]).get(b"traceparent", b"").decode()))
        await app(scope, receive, send)

    hub.app = listening
    return told


async def _open(client, traceparent):
    notebook = (await client.post("/v1/notebooks", json={"name": "N"})).json()
    headers = {"traceparent": traceparent} if traceparent else {}
    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=headers)).json()
    return await until(client, session["id"], "ready")


async def test_the_hosts_trace_reaches_the_hub_though_nothing_is_exported(heard, client):
    await _open(client, SENT)

    starts = [trace for path, trace in heard if path.endswith("/server")]
    assert starts == [SENT]


@pytest.mark.parametrize("wrong", ["", "x", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"{SENT}\tx", f"ff-{TRACE}-1-1"])
async def test_what_is_no_trace_is_not_handed_on(heard, client, wrong):
    await _open(client, wrong)

    assert {trace for path, trace in heard if "/hub/api" in path} == {""}


async def test_spans_lead_from_the_hosts_call_to_the_hubs(heard, settings, hub, host):
    exporter = InMemorySpanExporter()
    app = create_app(settings, tracer=ExportingTracer(exporter))
    async with served(app) as url, httpx.AsyncClient(base_url=url, headers=host.bearer("ada"), timeout=20) as client:
        hub.service = client
        session = await _open(client, SENT)

    spans = {span.name: span for span in exporter.get_finished_spans() if span.context.trace_id == int(TRACE, 16)}
    opening, starting = spans["POST /v1/sessions"], spans["POST /users/{seat}/server"]
    assert f"{opening.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert starting.parent.span_id == opening.context.span_id
    assert opening.attributes["http.response.status_code"] == 202
    assert opening.attributes["inset.session_id"] == session["id"]
    [told] = [trace for path, trace in heard if path.endswith("/server")]
    assert told == f"00-{TRACE}-{starting.context.span_id:016x}-01"


async def test_a_collector_gets_one_trace_from_the_hosts_call_to_the_hubs(heard, settings, hub, host):
    collector = Collector()
    async with served(collector.app) as endpoint:
        app = create_app(settings.model_copy(update={"otlp_endpoint": endpoint}))
        async with (
            served(app) as url,
            httpx.AsyncClient(base_url=url, headers=host.bearer("ada"), timeout=20) as client,
        ):
            hub.service = client
            session = await _open(client, SENT)
        # What was left has been sent as the service ended.
        spans = collector.of(TRACE)

    opening, starting = spans["POST /v1/sessions"], spans["POST /users/{seat}/server"]
    assert collector.services == {"inset"}
    assert opening.parent_span_id.hex() == "00f067aa0ba902b7"
    assert starting.parent_span_id == opening.span_id
    assert (opening.kind, starting.kind) == (opening.SPAN_KIND_SERVER, starting.SPAN_KIND_CLIENT)
    assert opening.start_time_unix_nano < starting.start_time_unix_nano < starting.end_time_unix_nano
    assert session["id"] in {one.value.string_value for one in opening.attributes if one.key == "inset.session_id"}
    [told] = [trace for path, trace in heard if path.endswith("/server")]
    assert told == f"00-{TRACE}-{starting.span_id.hex()}-01"


@pytest.mark.parametrize("hub_timeout", [1])
async def test_a_span_that_failed_says_what_kind_and_no_more(settings, hub, host):
    exporter = InMemorySpanExporter()
    app = create_app(settings, tracer=ExportingTracer(exporter))
    async with served(app) as url, httpx.AsyncClient(base_url=url, headers=host.bearer("ada"), timeout=20) as client:
        hub.trouble = "slow"
        await client.get("/readyz", headers={"traceparent": SENT})

    # Of this trace: the service looks at its hub by itself, too.
    mine = [span for span in exporter.get_finished_spans() if span.context.trace_id == int(TRACE, 16)]
    [told] = [span.to_json() for span in mine if span.name == "GET /user"]
    assert "Timeout" in told
    assert "Traceback" not in told


def test_where_traces_are_off_nothing_of_opentelemetry_is_loaded():
    program = (
        "import sys, inset.serving, inset.app\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.') and 'sdk' in name])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "[]"
