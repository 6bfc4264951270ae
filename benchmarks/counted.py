"""The service, as uvicorn runs it, which counts for each answer the calls of Python functions that it took.

A busy machine changes what a request takes of the processor by half; it changes this by a few calls.
`X-Calls` holds the number: of the event loop's thread and of all that it hands work to.
"""

import os
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


class _Counting:
    def __init__(self) -> None:
        self._calls = 0

    def start(self) -> None:
        """Count from now on, in the threads that are begun from now on as well."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def around(self, app: App) -> App:
        """Give an app that answers as this one does, and says how many calls it took."""

        async def counted(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[..., Any]) -> None:
            before = self._calls

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-calls", str(self._calls - before).encode())]
                await send(message)

            await app(scope, receive, told)

        return counted

    def _note(self, _frame: object, event: str, _of: object) -> None:
        if event == "call":
            self._calls += 1


def main() -> None:
    """Serve the app of the `inset` that is found first."""
    counting = _Counting()
    counting.start()
    from inset.app import create_app
    from inset.settings import Settings

    uvicorn.run(
        counting.around(create_app(Settings())), port=int(os.environ["INSET_LISTEN_PORT"]), log_config=None,
        access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
