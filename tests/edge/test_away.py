"""What a host's page is told by the edge while nothing answers behind it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.conftest import in_chromium
from tests.support.edge import DOMAIN, SERVICE_NAME, Answer, Edge, edge
from tests.support.real_hub import free_ports
from tests.support.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SAVE = """async (url) => {
    const headers = { Authorization: 'Bearer x', 'If-Match': '"1"' };
    const answer = await fetch(url, { method: 'PUT', headers, body: '{}' });
    return [answer.status, answer.headers.get('Retry-After'), (await answer.json()).type];
}"""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Edge]:
    """An edge behind which there is nobody."""
    port, service, hub_proxy = free_ports(3)
    with edge(tmp_path / "edge", port=port, service=f"127.0.0.1:{service}", hub_proxy=f"127.0.0.1:{hub_proxy}") as made:
        yield made


async def test_a_page_reads_that_the_service_is_away_and_when_to_come_again(
    alone: Edge, site: Site, tmp_path: Path
) -> None:
    async with in_chromium(tmp_path, alone) as browser:
        page = browser.pages[0]
        await page.goto(site.url)
        told = await page.evaluate(SAVE, f"https://{SERVICE_NAME}:{alone.port}/v1/notebooks/1/content")

    assert told == [503, "2", "urn:inset:problem:service-unavailable"]


async def test_what_a_browser_asks_before_a_call_is_answered_as_by_the_service(
    alone: Edge, site: Site, in_front: Edge
) -> None:
    asked = {
        "Origin": site.origin("host"),
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, if-match",
    }
    target = "/v1/notebooks/1/content"
    by_edge = await alone.ask(SERVICE_NAME, target, method="OPTIONS", headers=asked)
    by_service = await in_front.ask(SERVICE_NAME, target, method="OPTIONS", headers=asked)

    assert (by_edge.status, by_service.status) == (204, 200)
    assert allowed(by_edge, "methods") == allowed(by_service, "methods")
    # Pages may send these whatever a list says.
    assert allowed(by_edge, "headers") == allowed(by_service, "headers") - {
        "accept",
        "accept-language",
        "content-language",
    }
    assert header(by_edge, "Access-Control-Max-Age") == "0", "the service would have said no to another origin"


async def test_no_page_reads_anything_of_a_seat_that_is_away(alone: Edge) -> None:
    answer = await alone.ask(f"seat-001.{DOMAIN}", "/user/seat-001/api", headers={"Origin": "https://research.example"})

    assert (answer.status, json.loads(answer.body)["type"]) == (503, "urn:inset:problem:service-unavailable")
    assert header(answer, "Access-Control-Allow-Origin") is None


def allowed(answer: Answer, what: str) -> set[str]:
    return {one.strip().lower() for one in (header(answer, f"Access-Control-Allow-{what}") or "").split(",")}


def header(answer: Answer, name: str) -> str | None:
    return {key.lower(): value for key, value in answer.headers.items()}.get(name.lower())
