"""What large saves do to everybody else: how long a small request waits beside them, and how much memory they take."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks.notebook_histories import canonical, synthetic
from benchmarks.serving import Inset, Server
from benchmarks.store_times import new, save

_EVERY = 0.005


@dataclass(frozen=True)
class Waits:
    """Milliseconds that small requests took, one every 5 ms: the middle one, the 99th of 100, the longest."""

    label: str
    requests: int
    p50: float
    p99: float
    longest: float


@dataclass(frozen=True)
class Memory:
    """What a request added to the service's memory at its peak, in multiples of the notebook's size."""

    label: str
    in_flight: int
    save: float
    load: float


def waits(server: Server, size: int, saves: int, *, writers: int = 1, path: str = "/healthz") -> list[Waits]:
    """Ask for a path all the time from another process: beside nothing, and while so many save a notebook each."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as asking:
        asking.submit(_ask, server, path, 0.5).result()
        alone = asking.submit(_ask, server, path, 3.0).result()
        if not writers:
            return [_waits("beside nothing", [request for request, _ in alone])]
        stop = threading.Event()
        with ThreadPoolExecutor(writers) as saving:
            loops = [saving.submit(_save_again_and_again, server, size, stop) for _ in range(writers)]
            time.sleep(1)
            took: list[tuple[float, float]] = []
            while len(took) < 100 * saves and not any(loop.done() for loop in loops):
                took += asking.submit(_ask, server, path, 1.0).result()
            stop.set()
            for loop in loops:
                loop.result()
    return [
        _waits("beside nothing", [request for request, _ in alone]),
        _waits(f"beside saves of {size // 1_000_000} MB, {_how(writers)}", [request for request, _ in took]),
        _waits("the same, without a request: how late the asking process itself woke up", [late for _, late in took]),
    ]


def memory(database: Inset, label: str, size: int, *, in_flight: int = 1) -> Memory:
    """Save, then load, so many notebooks of a size at once, each in a service that was started for it."""
    content = canonical(synthetic(size))
    with database.serving() as server:
        call = server.caller()
        ids = [new(call) for _ in range(in_flight)]
        save(call, new(call), canonical(synthetic(20_000)), 1)
        saving = _added(server, [_once(_save, server, id, content) for id in ids])
    with database.serving() as server:
        server.caller()("GET", f"/v1/notebooks/{new(server.caller())}/content")
        loading = _added(server, [_once(_load, server, id) for id in ids])
    whole = len(content) * in_flight
    return Memory(label, in_flight, saving / whole, loading / whole)


def _ask(server: Server, path: str, seconds: float) -> list[tuple[float, float]]:
    """Give for each request how long it took, and how late the process woke up for it."""
    call, end, took = server.caller(), time.perf_counter() + seconds, []
    while time.perf_counter() < end:
        begin = time.perf_counter()
        time.sleep(_EVERY)
        woken = time.perf_counter()
        call("GET", path)
        took.append((time.perf_counter() - woken, woken - begin - _EVERY))
    return took


def _how(writers: int) -> str:
    return "one after the other" if writers == 1 else f"{writers} at a time"


def _waits(label: str, took: list[float]) -> Waits:
    ordered = sorted(1000 * each for each in took)
    return Waits(label, len(took), ordered[len(took) // 2], ordered[len(took) * 99 // 100], ordered[-1])


def _save_again_and_again(server: Server, size: int, stop: threading.Event) -> None:
    call, notebook, number = server.caller(), synthetic(size), 0
    id = new(call)
    # Written before, so that this process leaves the processors to the others.
    contents = []
    for count in range(4):
        notebook.cells[count].source += f"\n# {count}"
        contents.append(canonical(notebook))
    while not stop.is_set():
        number += 1
        save(call, id, contents[number % len(contents)], number)


def _once(work: Callable[..., None], *given: object) -> Callable[[], None]:
    return lambda: work(*given)


def _save(server: Server, id: str, content: bytes) -> None:
    save(server.caller(), id, content, 1)


def _load(server: Server, id: str) -> None:
    server.caller()("GET", f"/v1/notebooks/{id}/content")


def _added(server: Server, requests: list[Callable[[], None]]) -> int:
    before = _status(server, "VmRSS")
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # forgets the peak until now
    with ThreadPoolExecutor(len(requests)) as pool:
        for done in [pool.submit(request) for request in requests]:
            done.result()
    return _status(server, "VmHWM") - before


def _status(server: Server, name: str) -> int:
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
