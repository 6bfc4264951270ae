"""How a replica that is being stopped tells so, before it stops."""

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Departure:
    """Set by whoever stops the service; everything else goes on until it is told to."""

    announced: asyncio.Event = field(default_factory=asyncio.Event)
    """Balancers shall send nothing more: `/readyz` says so. What comes is still answered as ever."""

    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody is let in any more. Streams end, so that those who follow go on at another replica."""
