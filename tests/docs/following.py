"""A reader at a terminal: a checkout of his own, commands as they are printed, on other ports."""

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import documentation
import httpx
import node
from stack import Stack

from tests.support.real_hub import ROOT

_PATIENCE_SECONDS = 300
"""For npm to install and Next.js to build, on a slow machine."""


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page against a stack that runs already."""

    stack: Stack
    folder: Path
    """His checkout: what pages use of it, and what he writes."""
    port: int
    """Where his own application listens, instead of 8080."""

    @classmethod
    def with_a_checkout(cls, stack: Stack, folder: Path, port: int) -> "Reader":
        """Lay the checkout: samples are copied, since npm installs into them, and all else is linked."""
        folder.mkdir()
        for name in (".venv", "dev", "frontend-snippet"):
            (folder / name).symlink_to(ROOT / name)
        # The Node that comes as a wheel has its npm elsewhere than on the path.
        npm = folder / "bin" / "npm"
        npm.parent.mkdir()
        npm.write_text(f'#!/bin/sh\nexec {shlex.join(node.npm_command())} "$@"\n')
        npm.chmod(0o755)
        shutil.copytree(
            ROOT / "docs" / "samples",
            folder / "docs" / "samples",
            ignore=shutil.ignore_patterns("node_modules", ".next"),
        )
        return cls(stack, folder, port)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def fitted(self, text: str) -> str:
        """Give what is written with the ports of this run."""
        return text.replace("localhost:8091", f"localhost:{self.stack.ports.service}").replace("8080", str(self.port))

    def writes(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.fitted(text))

    def runs(self, command: str) -> None:
        """Run a command to its end. Raises with all that it printed if it fails."""
        done = subprocess.run(self._words(command), capture_output=True, text=True, check=False, **self._place())
        assert done.returncode == 0, done.stdout + done.stderr

    @asynccontextmanager
    async def starts(self, command: str) -> AsyncIterator[None]:
        """Start what doesn't end by itself, and wait until the application answers."""
        log = self.folder / "application.log"
        started = self._started(command, log)
        try:
            # No TLS is spoken, and reading whom to trust would take longer than a try.
            async with asyncio.timeout(_PATIENCE_SECONDS), httpx.AsyncClient(timeout=20, verify=False) as client:
                while not await self._answers(client):
                    assert started.poll() is None, log.read_text(errors="replace")
                    await asyncio.sleep(0.2)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGTERM)
            started.wait()

    def _started(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            place = self._place()
            return subprocess.Popen(self._words(command), stdout=output, stderr=output, start_new_session=True, **place)

    async def _answers(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(self.url)).status_code < 500
        except httpx.HTTPError:
            return False

    def _words(self, command: str) -> list[str]:
        return ["bash", "-ec", self.fitted(command)]

    def _place(self) -> dict[str, Any]:
        ports = self.stack.ports
        path = [str(self.folder / "bin"), str(documentation.ENVIRONMENT / "bin"), node.npm_environment()["PATH"]]
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(path),
            "INSET_RUN": str(self.stack.folder),
            "DEMO_PORT": str(ports.demo),
            "SERVICE_PORT": str(ports.service),
            "HUB_PORT": str(ports.hub),
            "HUB_API_PORT": str(ports.hub_api),
            "PROXY_API_PORT": str(ports.proxy_api),
            "ASSETS_PORT": str(ports.assets),
            "INSET_SERVICE": self.stack.service_url,
            "NEXT_TELEMETRY_DISABLED": "1",
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "npm_config_update_notifier": "false",
        }
        return {"cwd": self.folder, "env": environment, "stdin": subprocess.DEVNULL}
