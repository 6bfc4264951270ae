"""The spawner of a developer's machine: a plain process for each seat."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Bool, Unicode, default

from inset_hub import limits
from inset_hub.data_policy import DataPolicy, not_enforceable
from inset_hub.profiles import Profile
from inset_hub.readiness import until_answering


class LocalSeatSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # ships no types
    """Runs a seat's server in a folder that goes with it; loopback only (`inset_hub.loopback`)."""

    _resources: Mapping[int, int] = {}

    seats_dir = Unicode(config=True, help="The folder that holds one folder for each seat.")

    allow_open_network = Bool(
        config=True,
        help="Acknowledges that the processes of restricted servers reach every network that this one does.",
    )

    @default("args")
    def _args_default(self) -> list[str]:
        # Containers and CI run everything as root; jupyter_server refuses that unless told.
        return ["--allow-root"]

    @default("term_timeout")
    def _term_timeout_default(self) -> int:
        # The bridge gives its last flush 20 s.
        return 30

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Put the hub's own environment first on the path: that is where the servers' command is installed."""
        env = super().user_env(env)
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        return env

    def apply_profile(self, profile: Profile) -> None:
        """Have the next process kept to what of a profile can be kept to here (`inset_hub.limits`)."""
        self.mem_limit, self.cpu_limit = profile.memory, profile.cpu
        self._resources = limits.resources(profile)

    def apply_data_policy(self, policy: DataPolicy) -> None:
        """Refuse what no plain process can be kept to, unless that is acknowledged."""
        if policy == "restricted" and not self.allow_open_network:
            raise not_enforceable("plain processes reach every network; set INSET_SPAWNER=docker")

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """Bound the process before it is the server's."""
        prepare, resources = super().make_preexec_fn(name), self._resources

        def preexec() -> None:
            prepare()
            limits.bound(resources)

        return preexec

    @property
    def seat_dir(self) -> Path:
        return Path(self.seats_dir) / str(self.user.name)

    @property
    def server_dir(self) -> Path:
        return self.seat_dir / str(self.user_options["server_id"])

    async def start(self) -> tuple[str, int]:
        # What another server left, if the hub was killed. The same server's folder stays: a crash leaves saves in it
        # that are not yet sent.
        for leftover in self.seat_dir.glob("*"):
            if leftover != self.server_dir:
                await asyncio.to_thread(shutil.rmtree, leftover)
        self.home_dir = str(self.server_dir)
        ip, port = await super().start()
        await until_answering(f"http://{ip}:{port}{self.server.base_url}api", exit_status=self.poll)
        return ip, port

    async def stop(self, now: bool = False) -> None:
        """Stop with SIGTERM: jupyter_server runs its extensions' stop hooks, where the bridge flushes, on no other."""
        await super().stop(now=True)
        if self.proc is None or self.proc.returncode == 0:
            await asyncio.to_thread(shutil.rmtree, self.seat_dir, ignore_errors=True)
        # Else it crashed as it was to be stopped. What it had saved and not sent stays for its next start.
