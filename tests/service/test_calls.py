"""Where no bridge takes what the service has signed, it calls with a hub token, once."""

import httpx
import pytest

from inset.calls import CallKeys
from inset.errors import HubUnavailable, ServerGone
from inset.notebook_server import NotebookServer

FLUSHED = {"version": 1, "sha256": "x", "flushed": True}


class Seat:
    """What stands in a seat: answers a signed call as given, and flushes for a hub token."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self.answer = answer
        self.schemes: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.schemes.append(request.headers["Authorization"].split()[0])
        if self.schemes[-1] == "token":
            return httpx.Response(200, json=FLUSHED)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def flush(seat: Seat, *, hub_is_away: bool = False) -> int:
    async def mint() -> str:
        if hub_is_away:
            raise HubUnavailable
        return "a-token"

    async with httpx.AsyncClient(transport=httpx.MockTransport(seat)) as http:
        server = NotebookServer(http, dial="http://hub", url="http://seat/user/seat/", key="key", mint=mint)
        return (await server.flush("a.ipynb", "save", base=1)).version


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(status) for status in (302, 401, 403, 404, 424, 502, 503, 504)),
        httpx.Response(403, json={"code": "error", "message": "Forbidden"}),
        httpx.Response(404, json={"message": "Not Found"}),
        httpx.Response(503, html="<h1>503 : Service Unavailable</h1>"),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("nobody there"),
        httpx.RemoteProtocolError("the proxy was started anew"),
    ],
    ids=repr,
)
async def test_what_is_no_bridges_answer_is_asked_again_with_a_hub_token(answer):
    seat = Seat(answer)
    assert await flush(seat) == 1
    assert seat.schemes == ["Inset", "token"]

    with pytest.raises(HubUnavailable):
        await flush(Seat(answer), hub_is_away=True)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"code": "unknown-document"}),
        httpx.Response(502, json={"code": "refused-by-service"}),
        httpx.Response(503, json={"code": "service-unavailable"}),
        httpx.Response(500),
        httpx.ReadTimeout("it takes too long"),
    ],
    ids=repr,
)
async def test_what_a_bridge_refuses_or_has_begun_is_not_asked_again(answer):
    seat = Seat(answer)

    with pytest.raises(ServerGone):
        await flush(seat)

    assert seat.schemes == ["Inset"]


async def test_what_a_bridge_answers_needs_no_hub():
    assert await flush(Seat(httpx.Response(200, json=FLUSHED)), hub_is_away=True) == 1


def test_no_two_servers_have_one_key(settings):
    pem = settings.signing_key_file.read_bytes()

    assert CallKeys(pem).of("server-1") == CallKeys(pem).of("server-1")
    assert CallKeys(pem).of("server-1") != CallKeys(pem).of("server-2")
