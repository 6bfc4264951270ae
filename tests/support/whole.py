"""Everything up as `make run` starts it, on ports of its own."""

from pathlib import Path

from stack import Ports, Stack

from tests.support.real_hub import free_ports


def new_stack(folder: Path, **settings: str) -> Stack:
    """What `make run` starts, on free ports and in a folder of its own."""
    names = ("demo", "service", "hub", "hub_api", "proxy_api", "assets")
    ports = Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
    return Stack(folder, ports, say=lambda _: None, extra_environment=settings)
