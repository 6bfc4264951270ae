"""Routes as they are found and answered past FastAPI's own way, which they must not be told from."""

from inset.app import create_app
from inset.flat import FlatRoute
from inset.settings import Settings


def test_every_route_that_only_reads_is_laid_out(settings: Settings) -> None:
    routes = [route for route in create_app(settings).routes if isinstance(route, FlatRoute)]
    reading = [route for route in routes if "GET" in (route.methods or ())]
    assert len(reading) > 15
    assert all(route.laid_out for route in reading)


async def test_a_path_that_takes_other_methods_says_which(anonymous) -> None:
    answer = await anonymous.put("/healthz")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert answer.json()["type"] == "urn:inset:problem:method-not-allowed"


async def test_a_path_with_a_slash_too_many_leads_to_the_one_without(anonymous) -> None:
    answer = await anonymous.get("/healthz/", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"].rpartition("/")[2]) == (307, "healthz")


async def test_all_that_is_wrong_with_a_request_is_told_at_once(client) -> None:
    answer = await client.get("/v1/notebooks", params={"limit": "none", "cursor": "x" * 501})
    assert answer.status_code == 422
    assert sorted(error["where"] for error in answer.json()["errors"]) == ["query.cursor", "query.limit"]


async def test_who_is_not_known_is_not_told_what_else_is_wrong(anonymous) -> None:
    answer = await anonymous.get("/v1/notebooks", params={"limit": "none"})
    assert answer.json()["type"] == "urn:inset:problem:token-missing"


async def test_no_cache_takes_an_answer_to_a_program_for_one_to_a_page(client) -> None:
    assert (await client.get("/v1/notebooks")).headers["Vary"] == "Origin"
