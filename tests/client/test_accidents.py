"""Calls that come to grief on their way, by the sync client: what is sent again, and what is not."""

import json
import time

import httpx
import pytest

from inset_client import (
    HubUnavailable,
    Inset,
    InsetError,
    NotebookNotFound,
    Problem,
    RateLimited,
    Retries,
    TokenSignature,
    Unreachable,
)
from tests.client.conftest import QUICK, Line
from tests.service.conftest import document


def lost_before(line: Line, request: httpx.Request) -> httpx.Response:
    """The connection can't be made."""
    raise httpx.ConnectError("refused")


def lost_after(line: Line, request: httpx.Request) -> httpx.Response:
    """The service does it, and nobody hears of it."""
    line.forward(request).read()
    raise httpx.ReadError("reset")


def answering(status: int, slug: str = "", **headers: str):
    """Something in between answers."""

    def answer(line: Line, request: httpx.Request) -> httpx.Response:
        body = {"type": f"urn:inset:problem:{slug}", "title": "So", "status": status, "detail": "…", "limit": 7}
        content = json.dumps(body) if slug else "<html>Bad gateway</html>"
        return httpx.Response(
            status, content=content.encode(), headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


def test_a_creation_whose_answer_was_lost_makes_one_notebook(over) -> None:
    line = Line(lost_after, lost_before, answering(504), lost_after)
    user = over(line, retries=Retries(tries=5, first=0.01))

    made = user.notebooks.create("Analysis")

    assert [each.id for each in user.notebooks.list()] == [made.id]
    assert len({request.headers["Idempotency-Key"] for request in line.sent[:5]}) == 1


def test_each_call_has_a_key_of_its_own(over) -> None:
    line = Line()
    user = over(line)

    assert user.notebooks.create("Analysis").id != user.notebooks.create("Analysis").id


def test_a_replacing_write_whose_answer_was_lost_is_sent_again_from_the_file(over, tmp_path) -> None:
    file = tmp_path / "a.ipynb"
    file.write_text(json.dumps(document("2")))
    user = over(line := Line())
    made = user.notebooks.create("Analysis")
    line.accidents = [lost_after, lost_before]

    assert user.notebooks.replace(made.id, file, base=1).version == 2
    assert user.notebooks.content(made.id).document()["cells"][0]["source"] == ["2"]


def test_a_deletion_is_not_sent_again_unless_it_never_arrived(over) -> None:
    user = over(line := Line())
    first, second = user.notebooks.create("First"), user.notebooks.create("Second")

    line.accidents = [lost_before, answering(503, "database-unavailable", Retry_After="0")]
    user.notebooks.delete(first.id)
    line.accidents = [lost_after]
    with pytest.raises(Unreachable, match="reset"):
        user.notebooks.delete(second.id)
    with pytest.raises(NotebookNotFound):
        user.notebooks.get(second.id)


def test_the_client_waits_as_long_as_it_is_asked_to(over) -> None:
    line = Line(answering(429, "rate-limited", Retry_After="1"))
    began = time.monotonic()

    over(line).notebooks.create("Analysis")

    assert time.monotonic() - began >= 1
    assert len(line.sent) == 2


def test_it_does_not_wait_longer_than_it_wants_to(over) -> None:
    with pytest.raises(RateLimited) as caught:
        over(Line(answering(429, "rate-limited", Retry_After="3600"))).notebooks.create("Analysis")

    assert caught.value.limit == 7


def test_it_gives_up_in_the_end(over) -> None:
    line = Line(*[answering(503, "hub-unavailable")] * 9)
    with pytest.raises(HubUnavailable):
        over(line).notebooks.create("Analysis")
    assert len(line.sent) == QUICK.tries

    with pytest.raises(Unreachable) as caught:
        over(Line(*[lost_before] * 9)).notebooks.create("Analysis")
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_what_is_wrong_is_not_tried_again(over) -> None:
    with pytest.raises(NotebookNotFound):
        over(line := Line()).notebooks.get("nothing")

    assert len(line.sent) == 1


def test_what_this_package_does_not_know_is_a_plain_problem(over) -> None:
    with pytest.raises(Problem) as caught:
        over(Line(answering(418, "teapot"))).notebooks.create("Analysis")
    assert (type(caught.value), caught.value.slug, caught.value.status) == (Problem, "teapot", 418)
    assert caught.value.members["limit"] == 7

    with pytest.raises(Problem) as caught:
        over(Line(answering(403))).notebooks.create("Analysis")
    assert (type(caught.value), caught.value.slug, str(caught.value)) == (Problem, "", "Status 403")


def test_an_answer_that_is_none_of_insets_is_an_error_of_its_own(over) -> None:
    def page(line: Line, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"<html>Log in")

    with pytest.raises(InsetError, match="not one of Inset's"):
        over(Line(page)).notebooks.create("Analysis")


def test_a_token_is_signed_anew_and_a_wrong_key_is_told(access, name) -> None:
    with (
        Inset(**{**access, "key": "another secret, of more than thirty-two bytes"}) as inset,
        pytest.raises(TokenSignature),
    ):
        inset.as_user(name).notebooks.create("Analysis")


class _Cut(httpx.SyncByteStream):
    """An answer that breaks off after some lines."""

    def __init__(self, whole: httpx.Response, events: int) -> None:
        self._whole, self._events = whole, events

    def __iter__(self):
        for line in self._whole.iter_lines():
            yield f"{line}\n".encode()
            self._events -= line == ""
            if not self._events:
                raise httpx.ReadError("reset")

    def close(self) -> None:
        self._whole.close()


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(over) -> None:
    def cut(line: Line, request: httpx.Request) -> httpx.Response:
        whole = line.forward(request)
        return httpx.Response(200, headers=whole.headers, stream=_Cut(whole, events=2))

    user = over(line := Line())
    session = user.sessions.open(user.notebooks.create("Analysis", document("1")).id)
    user.sessions.wait_until_ready(session.id)
    user.sessions.close(session.id)
    user.sessions.wait_until_over(session.id)
    whole = list(user.sessions.follow(session.id))
    line.sent.clear()

    line.accidents = [cut, lost_before, answering(503)]

    assert list(user.sessions.follow(session.id)) == whole
    resumed = [request.headers["Last-Event-ID"] for request in line.sent if request.url.path.endswith("/events")]
    assert resumed[0] == "0"
    assert resumed[-1] == str(whole[1].id)
