"""One user's sessions: notebooks that are open."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import httpx

from inset_client import operations as ops
from inset_client._async.transport import AsyncTransport
from inset_client._async.waiting import aclosing, sleep
from inset_client.content import DataCredential, credentials_json
from inset_client.errors import SessionFailed
from inset_client.events import FINAL, Event, EventReader
from inset_client.models import OVER, CredentialsHeld, IframeUrl, Interface, SavedNow, Session, SessionState
from inset_client.wire import Call

_SILENCE = 45.0
"""Seconds after which a stream is dead: the service says something every fifteen."""
_PATIENCE = 2.0
"""Seconds that an answer has to begin in any case, however short the wait: it is no sign that nobody is there."""


class AsyncSessions:
    """Open notebooks, follow what happens to them, save and close them.

    Every method raises a `Problem`, as `SessionNotFound`, or `Unreachable`.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def open(
        self,
        notebook_id: str,
        *,
        profile: str | None = None,
        environment: Mapping[str, str] | None = None,
        credentials: Mapping[str, DataCredential] | None = None,
        idempotency_key: str | None = None,
    ) -> Session:
        """Open a notebook, or join the session it has. The answer comes at once: `wait_until_ready` waits.

        `credentials` are for `acting_for(…)` alone.
        """
        body: dict[str, object] = {"notebook_id": notebook_id}
        if profile is not None:
            body["profile"] = profile
        if environment is not None:
            body["environment"] = dict(environment)
        if credentials is not None:
            body["credentials"] = credentials_json(credentials)
        return await self._transport.ask(ops.OPEN_SESSION, Call(body=body, key=idempotency_key))

    def list(self, *, live: bool = False) -> AsyncIterator[Session]:
        """Give the user's sessions, newest first; with `live`, only those that are not over."""
        return self._transport.items(ops.LIST_SESSIONS, Call(query={"state": "live" if live else None}))

    async def get(self, id: str) -> Session:
        """Describe a session."""
        return await self._transport.ask(ops.GET_SESSION, Call(path={"id": id}))

    async def close(self, id: str) -> Session:
        """Save and close a session. The answer comes at once: `wait_until_over` waits."""
        return await self._transport.ask(ops.CLOSE_SESSION, Call(path={"id": id}))

    async def save(self, id: str) -> SavedNow:
        """Save now, an open page's unsaved edits first. Raises `VersionConflict` or `SessionNotReady`."""
        return await self._transport.ask(ops.SAVE_SESSION, Call(path={"id": id}))

    async def iframe_url(self, id: str, *, interface: Interface = "notebook") -> IframeUrl:
        """Sign a URL that shows the notebook in a frame: once, and within about a minute."""
        call = Call(path={"id": id}, body={"interface": interface})
        return await self._transport.ask(ops.CREATE_IFRAME_URL, call)

    async def put_credentials(self, id: str, credentials: Mapping[str, DataCredential]) -> CredentialsHeld:
        """Give the session's kernels these data credentials and no others. For `acting_for(…)` alone."""
        call = Call(path={"id": id}, body={"credentials": credentials_json(credentials)})
        return await self._transport.ask(ops.PUT_CREDENTIALS, call)

    async def follow(self, id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Give what happens to a session, from its beginning or the event `after` on, until it is over.

        A lost connection is taken up again where it broke off.
        """
        async with aclosing(self._heard(id, after=after, silence=_SILENCE)) as heard:
            async for event in heard:
                if event is not None:
                    yield event

    async def wait_until_ready(self, id: str, *, within: float = 300) -> Session:
        """Wait until the notebook can be shown. Raises `SessionFailed`, or `TimeoutError` after so many seconds."""
        session = await self._wait(id, ("ready", *OVER), within)
        if session.state in OVER:
            raise SessionFailed(id, session.failure)
        return session

    async def wait_until_over(self, id: str, *, within: float = 300) -> Session:
        """Wait until a session has ended or failed. Raises `TimeoutError` after so many seconds."""
        return await self._wait(id, OVER, within)

    async def _wait(self, id: str, states: tuple[SessionState, ...], within: float) -> Session:
        deadline = time.monotonic() + within
        async with aclosing(self._heard(id, after=0, silence=max(min(within, _SILENCE), _PATIENCE))) as heard:
            async for event in heard:
                if event is None or event.kind in states:
                    session = await self.get(id)
                    if session.state in states:
                        return session
                if time.monotonic() > deadline:
                    raise TimeoutError(f"The session {id} was not {' or '.join(states)} within {within:g} seconds.")
        return await self.get(id)

    async def _heard(self, id: str, *, after: int, silence: float) -> AsyncGenerator[Event | None, None]:
        """Give a session's events, and None for every sign of life and of death in between."""
        over, losses = False, 0
        while True:
            call = Call(path={"id": id}, headers={"Last-Event-ID": str(after)}, read_timeout=silence)
            try:
                async with self._transport.stream(ops.FOLLOW_SESSION, call) as stream:
                    reader = EventReader()
                    async for line in stream.aiter_lines():
                        event = reader.line(line)
                        if event is not None:
                            after, losses = event.id or after, 0
                        if event is not None or line.startswith(":"):
                            yield event
                        if event is not None and event.kind in FINAL:
                            return
            except httpx.TransportError:
                losses += 1
                await sleep(self._transport.retries.pause(losses))
            yield None
            if over:
                return  # and all that was recorded of it has been told
            over = (await self.get(id)).state in OVER
