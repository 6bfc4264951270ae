"""The three ways in which a user's notebook is opened, alike to whoever measures them."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from benchmarks.story import by_hand
from benchmarks.story.direct import DirectClient
from benchmarks.story.embedded import METRICS_TOKEN, EmbeddedClient, a_server_waits, seats_are_free
from benchmarks.story.opening import Opened, Watch
from benchmarks.story.parts import Inset, Setting, inset_with_its_hub, stock_hub, tuned_hub
from tests.support.real_hub import RealHub

SEATS = 16


class Way(Protocol):
    """One of them. Users are numbers, and each is used once."""

    hub: RealHub

    async def prepare(self, user: int) -> None:
        """Do what is done long before the click."""

    async def open(self, user: int, which: int, watch: Watch) -> Opened:
        """Open the user's first or second notebook, up to the signed URL."""

    async def end(self, users: list[int]) -> None:
        """End what was opened, and wait until it is gone."""


class ByHand:
    def __init__(self, hub: RealHub) -> None:
        self.hub = hub

    async def prepare(self, user: int) -> None:
        """Nothing is."""

    async def open(self, user: int, which: int, watch: Watch) -> Opened:
        return await by_hand.open_notebook(self.hub, f"user-{user}", f"{which}.ipynb", watch)

    async def end(self, users: list[int]) -> None:
        for user in users:
            await by_hand.stop(self.hub, f"user-{user}")


class Direct:
    def __init__(self, hub: RealHub, client: DirectClient) -> None:
        self.hub, self._client = hub, client

    async def prepare(self, user: int) -> None:
        # The proxy closes what idles; a page that is being used has a connection.
        await self._client.round_trip()

    async def open(self, user: int, which: int, watch: Watch) -> Opened:
        return await self._client.open_notebook(_seat(user), f"{which}.ipynb", watch)

    async def end(self, users: list[int]) -> None:
        for user in users:
            await self._client.stop(_seat(user))


class Through:
    def __init__(self, inset: Inset) -> None:
        self.hub, self.inset = inset.hub, inset
        self._users: dict[int, tuple[EmbeddedClient, list[str]]] = {}

    async def prepare(self, user: int) -> None:
        client = EmbeddedClient(self.inset, f"user-{user}")
        self._users[user] = client, [await client.store(name) for name in ("1", "2")]

    async def open(self, user: int, which: int, watch: Watch) -> Opened:
        client, notebooks = self._users[user]
        url = await client.open_notebook(notebooks[which - 1], watch)
        return Opened(url, "", {}, "")

    async def enter(self, user: int, opened: Opened) -> Opened:
        """Do what the frame does with the signed URL."""
        return await self._users[user][0].enter(opened.url)

    async def signed_url(self, user: int) -> str:
        return await self._users[user][0].signed_url()

    async def end(self, users: list[int]) -> None:
        for user in users:
            client, _ = self._users.pop(user)
            await client.close()
            await client.aclose()
        await seats_are_free(self.inset, [_seat(number) for number in range(SEATS)])


class Pooled(Through):
    """Through Inset, too, where servers are started ahead."""

    async def prepare(self, user: int) -> None:
        await super().prepare(user)
        await a_server_waits(self.inset)

    async def end(self, users: list[int]) -> None:
        await super().end(users)
        # Else the next one would start beside the server that whoever is measured next waits for.
        await a_server_waits(self.inset)


async def every_way(stack: AsyncExitStack, folder: Path, setting: Setting, origin: str) -> dict[str, Way]:
    """Start what each of them needs, to end with the stack. Nothing is started ahead by a spawner of nothing."""
    for name in ("stock", "pool"):
        (folder / name).mkdir()
    stock = await stack.enter_async_context(stock_hub(folder / "stock", setting))
    ways: dict[str, Way] = {"by hand": ByHand(stock), **await direct_and_inset(stack, folder, setting, origin)}
    if setting.spawner != "nothing":
        one_ahead = {"INSET_POOL": '{"default": 1}', "INSET_METRICS_TOKEN": METRICS_TOKEN}
        pooled = await stack.enter_async_context(inset_with_its_hub(folder / "pool", setting, origin, **one_ahead))
        ways["pool"] = Pooled(pooled)
    return ways


async def direct_and_inset(stack: AsyncExitStack, folder: Path, setting: Setting, origin: str) -> dict[str, Way]:
    """Start what these two need, and nothing beside them."""
    for name in ("tuned", "inset"):
        (folder / name).mkdir()
    tuned = await stack.enter_async_context(tuned_hub(folder / "tuned", setting, seats=SEATS))
    inset = await stack.enter_async_context(inset_with_its_hub(folder / "inset", setting, origin))
    client = DirectClient(tuned, origin)
    stack.push_async_callback(client.aclose)
    return {"direct": Direct(tuned, client), "Inset": Through(inset)}


def _seat(user: int) -> str:
    return f"seat-{user % SEATS + 1:03}"
