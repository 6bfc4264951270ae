"""Runs the story in each way, in turns, and notes what it took."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from benchmarks.story.hub_calls import Asked, Meter
from benchmarks.story.opening import Watch, first_result
from benchmarks.story.ways import Through, Way

_numbers = count(1)


@dataclass(frozen=True)
class Told:
    """One story in one way, of so many users at once."""

    spawner: str
    story: str
    """`cold`, or `second`: another notebook of a user whose server runs."""
    users: int
    round: int
    way: str
    reached: tuple[Mapping[str, float], ...]
    """For each user, seconds from his click to each phase."""
    asked: Asked
    """By all of them, until the last had his signed URL."""


async def tell_all(spawner: str, ways: Mapping[str, Way], *, users: int, rounds: int, with_result: bool) -> list[Told]:
    """Tell the story in each way, in an order by lot, as many times. The first round warms up, and is not counted."""
    told: list[Told] = []
    for number in range(rounds + 1):
        for name in random.Random(number).sample(sorted(ways), len(ways)):
            these = [next(_numbers) for _ in range(users)]
            for user in these:
                await ways[name].prepare(user)
            for which, story in ((1, "cold"), (2, "second")):
                reached, asked = await _tell(ways[name], these, which, with_result)
                told.append(Told(spawner, story, users, number, name, reached, asked))
            await ways[name].end(these)
            print(*(_line(one) for one in told[-2:]), sep="\n", flush=True)
    return [one for one in told if one.round]


async def _tell(
    way: Way, users: list[int], which: int, with_result: bool
) -> tuple[tuple[Mapping[str, float], ...], Asked]:
    meter, watches = Meter.of(way.hub), [Watch() for _ in users]
    opened = await asyncio.gather(*(way.open(user, which, watch) for user, watch in zip(users, watches, strict=True)))
    asked = meter.read()
    if with_result:
        for user, watch, one in zip(users, watches, opened, strict=True):
            await first_result(await way.enter(user, one) if isinstance(way, Through) else one)
            watch.at("result")
    return tuple(watch.reached for watch in watches), asked


def _line(told: Told) -> str:
    phases = ", ".join(f"{phase} {seconds:.3f}" for phase, seconds in told.reached[0].items())
    asked = f"{told.asked.count} calls, {told.asked.cpu:.2f} s of hub CPU"
    return f"{told.spawner} {told.users} {told.story} {told.way}: {phases}; {asked}"
