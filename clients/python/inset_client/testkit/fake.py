"""The fake Inset: what a test does to it and looks at. Its answers are in `notebook_calls` and `session_calls`."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inset_client.testkit import notebook_calls, session_calls, user_calls, webhook_calls
from inset_client.testkit.callers import Caller, Registered, read_caller
from inset_client.testkit.posting import post_for_ever
from inset_client.testkit.problems import FakeProblem, missing
from inset_client.testkit.signing import ReceiptSigner
from inset_client.testkit.state import OVER, FakeNotebook, FakeSession, FakeVersion
from inset_client.testkit.webhook_calls import tell_of_session, tell_of_version
from inset_client.testkit.webhooks import EVENTS, FakeDelivery, FakeWebhook, FakeWebhooks


class FakeInset:
    """An Inset service in memory, with a frame that speaks the SDK's protocol. Not for anybody's real work.

    Set `down`, `refusing`, `failure`, `place`, `waits_for`, `step` and `delay` at any time; look into `notebooks`,
    `sessions`, `webhooks` and `seen`.
    """

    def __init__(
        self,
        *,
        url: str,
        key: str,
        issuer: str = "demo",
        key_id: str = "demo-1",
        algorithm: str = "HS256",
        origin: str = "*",
        frames: str = "",
    ) -> None:
        """`key` verifies the host's tokens, `origin` is its page's, `frames` where notebooks are shown."""
        self.url, self.origin, self.frames = url, origin, frames or url
        self.host = Registered(issuer, key_id, key, algorithm, audience=url)
        self.down = False
        """Answer everything with `hub-unavailable`."""
        self.refusing: FakeProblem | None = None
        """Answer everything that is asked with a good token with this."""
        self.failure: dict[str, str] | None = None
        """The `code`, `title` and `detail` by which sessions opened from now on fail."""
        self.place: int | None = None
        """Where sessions opened from now on stand in the queue, until their own `place` is None."""
        self.waits_for: str | None = None
        """What sessions opened from now on wait for, `hub` or `image`, until their own `waits_for` is None."""
        self.step = 0.0
        """Seconds that each of the three steps of opening a session takes."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.retry_after = 0.2
        """Seconds after which a webhook that was not taken is sent again."""
        self.unsettled: list[dict[str, Any]] = []
        """What no merge settles: `cell` and `part` of each place. None: a merge takes the version on the side."""
        self.notebooks: dict[str, FakeNotebook] = {}
        self.sessions: dict[str, FakeSession] = {}
        self.seen: list[dict[str, Any]] = []
        """The claims of every call."""
        self.revoked: dict[str, float] = {}
        self.answered: dict[tuple[str, str, str], tuple[str, Response]] = {}
        """By user, route and `Idempotency-Key`: the hash of what was asked, and its answer."""
        self.signer = ReceiptSigner(url, issuer)
        self.hooks = FakeWebhooks()
        self._event_ids = count(1)
        self.app = self._build()

    def create(self, user: str, name: str, content: bytes) -> FakeNotebook:
        """Store a notebook for a user."""
        made = FakeNotebook(name, user)
        self.notebooks[made.id] = made
        tell_of_version(self, made, made.add(content, origin="api", author=user, parent=None))
        return made

    def save(self, notebook_id: str, content: bytes, *, origin: str = "save", **facts: Any) -> FakeVersion:
        """Store a version, as if somebody had saved it, and tell the notebook's sessions."""
        notebook = self.notebooks[notebook_id]
        made = notebook.add(
            content, **{"origin": origin, "author": notebook.owner, "parent": notebook.current.number, **facts}
        )
        for session in self.live(notebook.owner, notebook_id):
            session.version = made.number
            session.tell("saved", version=made.number, sha256=made.sha256, origin=origin, author=made.author)
        tell_of_version(self, notebook, made)
        return made

    def keep_aside(self, notebook_id: str, content: bytes, *, base: int, origin: str = "autosave") -> FakeVersion:
        """Store what was saved on top of an old version, and tell the notebook's sessions of the conflict."""
        notebook = self.notebooks[notebook_id]
        made = notebook.add(content, origin=origin, author=notebook.owner, parent=base, aside="open")
        for session in self.live(notebook.owner, notebook_id):
            session.tell("conflict", **self.conflict(notebook, made))
        tell_of_version(self, notebook, made)
        return made

    def conflict(self, notebook: FakeNotebook, kept: FakeVersion) -> dict[str, Any]:
        """Say what a version on the side is beside."""
        resolve = f"/v1/notebooks/{notebook.id}/versions/{kept.number}/resolve"
        numbers = {"base_version": kept.parent, "current_version": notebook.current.number, "kept_version": kept.number}
        return {**numbers, "resolve": resolve}

    def open(self, notebook_id: str, **facts: Any) -> FakeSession:
        """Begin a session."""
        notebook = self.notebooks[notebook_id]
        facts = {"may": ["edit", "run", "download", "terminals"], **facts}
        session = FakeSession(
            notebook_id,
            notebook.owner,
            step=self.step,
            failure=self.failure,
            place=self.place,
            waits_for=self.waits_for,
            new_id=self._next_event,
            heard=self._heard,
            **facts,
        )
        self.sessions[session.id] = session
        return session

    def rename_inside_jupyter(self, notebook_id: str, name: str) -> None:
        """Rename a notebook as its user does inside Jupyter."""
        notebook = self.notebooks[notebook_id]
        notebook.name = name
        for session in self.live(notebook.owner, notebook_id):
            session.tell("renamed", name=name)

    def live(self, owner: str, notebook_id: str | None = None) -> list[FakeSession]:
        """Give the sessions of a user that are not over."""
        wanted = [each for each in self.sessions.values() if each.owner == owner]
        return [each for each in wanted if each.state not in OVER and notebook_id in (None, each.notebook_id)]

    # -- what the calls ask ---------------------------------------------------------------------------

    def caller(self, request: Request) -> Caller:
        """Say who calls. Raises the service's problems, and those that the test has set."""
        if self.down:
            raise FakeProblem(503, "hub-unavailable", "The hub is unavailable", "Notebooks can't be reached just now.")
        caller = read_caller(self.host, request.headers.get("Authorization", ""), self.revoked)
        self.seen.append(caller.claims)
        if self.refusing:
            raise self.refusing
        return caller

    def notebook(self, request: Request, caller: Caller, *, deleted: bool = False) -> FakeNotebook:
        """Find the notebook that a path names among the caller's."""
        found = self.notebooks.get(request.path_params["id"])
        if found is None or found.owner != caller.user or found.deleted != deleted:
            raise missing("notebook")
        return found

    def session(self, request: Request, caller: Caller) -> FakeSession:
        """Find the session that a path names among the caller's."""
        found = self.sessions.get(request.path_params["id"])
        if found is None or found.owner != caller.user:
            raise missing("session")
        found.advance(self.notebooks[found.notebook_id].current.number)
        return found

    async def once(self, request: Request, caller: Caller, make: Callable[[], Awaitable[Response]]) -> Response:
        """Do what an `Idempotency-Key` names, unless it was done before."""
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return await make()
        route, asked = (caller.user, request.url.path, key), hashlib.sha256(await request.body()).hexdigest()
        if route not in self.answered:
            self.answered[route] = asked, await make()
        known, answer = self.answered[route]
        if known != asked:
            raise FakeProblem(422, "idempotency-key-reused", "Idempotency-Key reused")
        return answer

    def revoke(self, user: str) -> int:
        """Turn a user away; gives how many sessions end."""
        self.revoked[user] = time.time()
        live = self.live(user)
        for session in live:
            session.end("revoked")
        return len(live)

    @property
    def webhook_secret(self) -> str:
        """What webhooks are signed with, unless an endpoint has a secret of its own."""
        return self.hooks.secret

    @property
    def webhooks(self) -> list[FakeWebhook]:
        """All that has happened, oldest first: `client.post(path, content=hook.body, headers=hook.headers())`."""
        self.advance()
        return self.hooks.told

    @property
    def deliveries(self) -> list[FakeDelivery]:
        """What was posted, or waits to be, oldest first."""
        return self.hooks.deliveries

    def send_webhooks(self, url: str, *, events: Sequence[str] = EVENTS, secret: str | None = None) -> None:
        """Post what happens from now on to this address, while the fake runs on a socket."""
        self.hooks.send(url, events, secret)

    def advance(self) -> None:
        """Bring every session up to the clock."""
        for session in list(self.sessions.values()):
            session.advance(self.notebooks[session.notebook_id].current.number)

    def _next_event(self) -> int:
        return next(self._event_ids)

    def _heard(self, session: FakeSession, kind: str) -> None:
        tell_of_session(self, session, kind)

    @asynccontextmanager
    async def _posting(self, _: Starlette) -> AsyncIterator[None]:
        posting = asyncio.create_task(post_for_ever(self))
        try:
            yield
        finally:
            posting.cancel()
            with suppress(asyncio.CancelledError):
                await posting

    def _build(self) -> Starlette:
        async def answer_problem(_: Request, exc: Exception) -> Response:
            assert isinstance(exc, FakeProblem)
            named = {**exc.body, "instance": f"urn:inset:request:{uuid4().hex}"}
            return JSONResponse(named, exc.status, exc.headers, media_type="application/problem+json")

        modules = (notebook_calls, session_calls, user_calls, webhook_calls)
        return Starlette(
            lifespan=self._posting,
            routes=[
                Route(path, self._answering(call), methods=[method])
                for module in modules
                for method, path, call in module.CALLS
            ],
            exception_handlers={FakeProblem: answer_problem},
            middleware=[
                Middleware(
                    CORSMiddleware,
                    allow_origins=[self.origin],
                    allow_methods=["*"],
                    allow_headers=["*"],
                    expose_headers=["Date", "ETag", "Location", "Retry-After"],
                )
            ],
        )

    def _answering(
        self, call: Callable[["FakeInset", Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            await asyncio.sleep(self.delay)
            return await call(self, request)

        return answer
