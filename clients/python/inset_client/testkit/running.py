"""The fake on a socket of its own."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from inset_client.testkit.fake import FakeInset
from inset_client.testkit.serving import listening, served


class Access(TypedDict):
    """What `Inset(…)` takes, and what a host application is configured with."""

    url: str
    issuer: str
    key_id: str
    key: str


class RunningFake(FakeInset):
    """A fake that is reached over HTTP."""

    def __init__(self, *, url: str, key: str, origin: str) -> None:
        super().__init__(url=url, key=key, origin=origin)
        self.access = Access(url=url, issuer=self.host.issuer, key_id=self.host.key_id, key=key)
        """Give it to `Inset(…)`."""


@contextmanager
def fake_inset(*, origin: str = "http://localhost:8000", name: str = "127.0.0.1") -> Iterator[RunningFake]:
    """Run a fake Inset on a free port until the block is left.

    `origin` is your page's, and the only one whose scripts may call it; `name` is a name of this machine to be called
    by, where a browser has to see one site or two.
    """
    with listening() as socket:
        url = f"http://{name}:{socket.getsockname()[1]}"
        fake = RunningFake(url=url, key=secrets.token_urlsafe(32), origin=origin)
        with served(fake.app, socket):
            yield fake
