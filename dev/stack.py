"""Runs Inset on a developer's machine: JupyterHub with its proxy, the service on SQLite, and the demo host.

    .venv/bin/python dev/stack.py
    .venv/bin/python dev/stack.py hosts apply FILE      one of the service's commands, with the settings of what runs

Everything it keeps lies in `.run/`: secrets made on the first start, both databases, logs. Ports and the folder can be
set by the environment (`Ports` and `main` below say how); Ctrl-C ends all of it.
"""

import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil
from install import Failed
from node import ROOT, node_command

_START_SECONDS = 60
_STOP_SECONDS = 45
"""The hub stops its servers, whose bridges bring the last saves home."""


@dataclass(frozen=True)
class Ports:
    """Where the parts listen, all on 127.0.0.1."""

    demo: int = 8090
    service: int = 8091
    hub: int = 8000
    """The proxy: what browsers reach hub and notebooks by."""
    hub_api: int = 8081
    proxy_api: int = 8001
    assets: int = 8092
    """The notebook interface's own files."""

    @classmethod
    def from_environment(cls) -> "Ports":
        """Read `DEMO_PORT`, `SERVICE_PORT`, `HUB_PORT`, `HUB_API_PORT`, `PROXY_API_PORT` and `ASSETS_PORT`."""
        return cls(**{name: int(os.environ.get(f"{name.upper()}_PORT", getattr(cls, name))) for name in _PORT_NAMES})

    def require_free(self) -> None:
        """Raise `Failed` for the first port that something else listens on."""
        for name in _PORT_NAMES:
            port = getattr(self, name)
            with socket.socket() as probe:
                # As the servers bind: a port that a last run's connections still linger on is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as exc:
                    raise Failed(
                        f"Port {port} ({name.replace('_', ' ')}) is taken. "
                        f"End what listens there, or choose another: {name.upper()}_PORT=… make run"
                    ) from exc


_PORT_NAMES = ("demo", "service", "hub", "hub_api", "proxy_api", "assets")


@dataclass
class Stack:
    """The parts, as child processes."""

    folder: Path
    ports: Ports
    say: Callable[[str], None] = print
    extra_environment: dict[str, str] = field(default_factory=dict)
    """Settings beside those that follow from the ports: what a test wants otherwise."""
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _descendants: set[psutil.Process] = field(default_factory=set)

    @property
    def demo_url(self) -> str:
        return f"http://localhost:{self.ports.demo}"

    @property
    def service_url(self) -> str:
        return f"http://localhost:{self.ports.service}"

    @property
    def hub_url(self) -> str:
        return f"http://nb.localhost:{self.ports.hub}"

    def start(self) -> None:
        """Start everything and return when all of it answers. Raises `Failed`, having ended what had started."""
        self.ports.require_free()
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        environment = self._environment()
        try:
            # A notebook's page has its own files where these don't answer yet: nobody waits for them.
            files = [sys.executable, "-m", "inset_bridge.assets", str(self.ports.assets)]
            self._launch("assets", files, environment)
            self.say("  starting: JupyterHub …")
            config = str(ROOT / "hub" / "jupyterhub_config.py")
            self._launch("JupyterHub", [sys.executable, "-m", "jupyterhub", "-f", config], environment)
            self.inset("db", "upgrade")
            self.inset("hosts", "apply", str(self.folder / "hosts.toml"))
            self._until_it_answers("JupyterHub", f"http://127.0.0.1:{self.ports.hub_api}/hub/api/")
            self.say("  starting: service and demo …")
            self._launch("service", [sys.executable, "-m", "inset", "serve"], environment)
            self._launch("demo", [sys.executable, "-m", "demo"], environment, cwd=ROOT / "frontend-snippet")
            self._until_it_answers("service", f"http://127.0.0.1:{self.ports.service}/readyz")
            self._until_it_answers("demo", f"http://127.0.0.1:{self.ports.demo}/")
            # Before a hub that dies at once has left its proxy to nobody.
            self._note_descendants()
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """Return never, but raise `Failed` when a part has ended by itself."""
        while True:
            self._note_descendants()
            for name, child in self._children.items():
                if child.poll() is not None:
                    raise Failed(self._obituary(name, child))
            time.sleep(0.5)

    def stop(self) -> None:
        """End everything: the hub first, so that its servers' last saves still find the service."""
        self._note_descendants()
        for name in ("JupyterHub", "demo", "assets", "service"):
            if name == "demo":
                # A hub that was killed leaves its proxy and its servers behind.
                _end_orphans(self._descendants)
            if child := self._children.pop(name, None):
                _end(child)

    def inset(self, *arguments: str) -> None:
        """Run one of the service's commands, with the stack's settings. Raises `Failed`."""
        self._run_once([sys.executable, "-m", "inset", *arguments], self._environment())

    def command(self, arguments: list[str]) -> int:
        """Run one of the service's commands for a person, who sees what it prints; gives its exit code."""
        if not (self.folder / "secrets.json").exists():
            print("Nothing has run here yet: `make run` first.", file=sys.stderr)
            return 1
        return subprocess.run(
            [sys.executable, "-m", "inset", *arguments], env=self._environment(), check=False
        ).returncode

    def log(self, name: str) -> Path:
        """Give the file in which a part's output is."""
        return self.folder / "logs" / f"{name.lower()}.log"

    def child(self, name: str) -> subprocess.Popen[bytes]:
        """Give a part's process."""
        return self._children[name]

    def _note_descendants(self) -> None:
        for child in self._children.values():
            with suppress(psutil.NoSuchProcess):
                self._descendants.update(psutil.Process(child.pid).children(recursive=True))

    def _until_it_answers(self, name: str, health: str) -> None:
        child = self._children[name]
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(health):
            if child.poll() is not None:
                raise Failed(self._obituary(name, child))
            if time.monotonic() > deadline:
                raise Failed(f"{name} does not answer after {_START_SECONDS} s. Its log: {self.log(name)}")
            time.sleep(0.1)

    def _launch(self, name: str, command: list[str], environment: dict[str, str], *, cwd: Path = ROOT) -> None:
        with self.log(name).open("wb") as log:
            # A session of its own: Ctrl-C must reach this process alone, which ends the others in order.
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children[name] = child

    def _run_once(self, command: list[str], environment: dict[str, str]) -> None:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"`{shlex.join(command[1:])}` failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")

    def _obituary(self, name: str, child: subprocess.Popen[bytes]) -> str:
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        return f"{name} has ended (exit {child.returncode}): {last}\nIts log: {self.log(name)}"

    def _environment(self) -> dict[str, str]:
        secret = self._secrets()
        ports = self.ports
        assets_url = f"http://assets.nb.localhost:{ports.assets}"
        proxy = [node_command(), str(ROOT / "hub" / "node_modules" / ".bin" / "configurable-http-proxy")]
        return {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "INSET_PUBLIC_URL": self.service_url,
            "INSET_LISTEN_PORT": str(ports.service),
            "INSET_DATABASE_URL": f"sqlite+aiosqlite:///{self.folder}/inset.db",
            "INSET_SIGNING_KEY_FILE": str(self.folder / "signing.pem"),
            "INSET_HUB__TOKEN": secret["hub_token"],
            "INSET_HUB__API_URL": f"http://127.0.0.1:{ports.hub_api}/hub/api",
            "INSET_HUB__PROXY_URL": f"http://127.0.0.1:{ports.hub}",
            "INSET_HUB_PUBLIC_URL": self.hub_url,
            "INSET_HUB_BIND": f"http://127.0.0.1:{ports.hub}",
            "INSET_HUB_API_PORT": str(ports.hub_api),
            "INSET_HUB_PROXY_API_PORT": str(ports.proxy_api),
            "INSET_HUB_TOKEN": secret["hub_token"],
            "INSET_HUB_DATA": str(self.folder / "hub"),
            "INSET_ASSETS_URL": assets_url,
            "INSET_SERVICE_URL": f"http://127.0.0.1:{ports.service}",
            "INSET_PROXY_COMMAND": shlex.join(proxy),
            "DEMO_PORT": str(ports.demo),
            "DEMO_DATA": str(self.folder / "demo"),
            "DEMO_SECRET": secret["demo_key"],
            "DEMO_WEBHOOK_SECRET": _webhook_secret(secret),
            "DEMO_SERVICE_URL": self.service_url,
            "DEMO_SERVICE_INTERNAL_URL": f"http://127.0.0.1:{ports.service}",
            "DEMO_FRAME_SRC": f"http://*.nb.localhost:{ports.hub} {assets_url}",
            **self.extra_environment,
        }

    def _secrets(self) -> dict[str, str]:
        """Read this machine's secrets, or make them."""
        (self.folder / "hub").mkdir(exist_ok=True)
        (self.folder / "demo").mkdir(exist_ok=True)
        file = self.folder / "secrets.json"
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as private:
                json.dump({"hub_token": secrets.token_hex(24), "demo_key": secrets.token_hex(32)}, private)
        if not (self.folder / "signing.pem").exists():
            self._run_once(
                [sys.executable, "-m", "inset", "keygen", str(self.folder / "signing.pem")], dict(os.environ)
            )
        made: dict[str, str] = json.loads(file.read_text())
        host = f'[[hosts]]\nid = "demo"\norigins = ["{self.demo_url}"]\n'
        key = f'[[hosts.keys]]\nkid = "demo-1"\nalg = "HS256"\nkey = "{made["demo_key"]}"\n'
        webhook = (
            f'[[hosts.webhooks]]\nname = "fieldnotes"\nurl = "{self.demo_url}/inset-events"\n'
            'events = ["notebook.saved", "notebook.conflict", "session.ready", "session.ended"]\n'
            f'secrets = ["{_webhook_secret(made)}"]\n'
        )
        registry = self.folder / "hosts.toml"
        registry.touch(mode=0o600)
        registry.write_text(host + key + webhook)
        return made


def _webhook_secret(made: dict[str, str]) -> str:
    """Give the demo's, which follows from its key: what an older release has made has none of its own."""
    return "whsec_" + b64encode(sha256(f"webhooks {made['demo_key']}".encode()).digest()).decode()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as exc:
        return exc.code < 500
    except OSError:
        return False


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _end_orphans(processes: set[psutil.Process]) -> None:
    left = [process for process in processes if process.is_running()]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=_STOP_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C, or run one of the service's commands. `INSET_RUN` names another folder than `.run`."""
    stack = Stack(Path(os.environ.get("INSET_RUN", ROOT / ".run")).resolve(), Ports.from_environment())
    if arguments:
        return stack.command(arguments)
    # It ends the stack as Ctrl-C does, also in the background, where a shell has SIGINT ignored.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        stack.start()
        print(f"\n  Inset is up: {stack.demo_url}\n\n  Ctrl-C ends it.\n", flush=True)
        stack.watch()
    except Failed as exc:
        print(f"\n{exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n  Ending; open notebooks are saved …", flush=True)
    finally:
        # Who asks once more would leave behind what is not ended yet.
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)
        stack.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
