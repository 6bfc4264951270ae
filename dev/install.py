"""Installs into the checkout what `make run` or `make test` needs, and only what has changed since the last time.

    python3 dev/install.py run|test|environment

`environment` makes the Python environment, and puts nothing into it. Parts that need nothing of each other are
installed beside each other. Uses nothing but Python itself: it runs before anything is installed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import debian
import documentation
import node
from node import ROOT, VENV

PYTHON = VENV / "bin" / "python"
STAMPS = VENV / ".installed"
LOG = ROOT / ".run" / "install.log"

DEBIAN_PACKAGES = {
    "chromium": "chromium",
    "chromium-headless-shell": "chromium-headless-shell",
    "firefox-esr": "firefox-esr",
    "webkit2gtk-driver": "WebKitWebDriver",
    "xvfb": "Xvfb",
    "nginx": "nginx",
    "postgresql": "initdb",
    "prometheus": "promtool",
}
"""What the tests drive: browsers, the screen that WebKit needs, the edge, the production database, what reads metrics.

Debian's packages, by their commands.
"""

OLDEST_PYTHON = (3, 11)


class Failed(Exception):
    """What could not be done, in one line."""


def main(purpose: str) -> None:
    """Install for `run` or for `test`, or nothing yet: `environment`."""
    if sys.version_info < OLDEST_PYTHON:
        raise Failed(f"Inset needs Python 3.11 or newer, and this is {sys.version.split()[0]}. Set PYTHON=… for make.")
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_bytes(b"")
    _step("Python environment", "venv", [], _make_venv)
    if purpose == "environment":
        return
    _uv()
    if not node.machine_node():
        wheel = ROOT / "requirements" / "node.txt"
        _step("Node", "node", [wheel], lambda: _packages(wheel))
    _beside_each_other(
        partial(_python_side, purpose),
        partial(_node_side, purpose),
        partial(_machine_side, purpose),
        partial(_documentation_side, purpose),
    )
    # Not editable: Jupyter finds the page extension and the settings among the environment's shared files.
    bridge = [path for path in (ROOT / "singleuser").rglob("*") if "labextension/node_modules" not in path.as_posix()]
    _step("Inset's save bridge", "bridge", [*bridge, _requirements(purpose)], _bridge)


def _beside_each_other(*parts: Callable[[], None]) -> None:
    """Do all of them at once. One that fails is told when all have ended."""
    with ThreadPoolExecutor(len(parts)) as threads:
        begun = [threads.submit(part) for part in parts]
    for part in begun:
        part.result()


def _python_side(purpose: str) -> None:
    requirements = _requirements(purpose)
    if purpose == "test" or not _done("requirements-test", [_requirements("test")]):
        _step("Python packages", f"requirements-{purpose}", [requirements], lambda: _environment(requirements))
    own = [*ROOT.glob("*/pyproject.toml"), ROOT / "pyproject.toml"]
    _step("Inset's service and hub", "own", own, lambda: _pip_own("-e", ROOT, "-e", ROOT / "hub"))
    if purpose == "test":
        client = ROOT / "clients" / "python"
        _step("Inset's client", "client", [client / "pyproject.toml"], lambda: _pip_own("-e", client))


def _node_side(purpose: str) -> None:
    for folder in ("hub", "frontend-snippet", *(["clients/typescript"] if purpose == "test" else [])):
        lock = ROOT / folder / "package-lock.json"
        _step(f"npm packages of {folder}/", f"npm-{Path(folder).name}", [lock], partial(_npm, folder, "ci"))
    _step("SDK and page extension", "build", _front_end_sources(), partial(_npm, "frontend-snippet", "run", "build"))


def _machine_side(purpose: str) -> None:
    if purpose == "test":
        _debian_packages()


def _documentation_side(purpose: str) -> None:
    if purpose == "test" and not documentation.installed():
        command = [sys.executable, ROOT / "dev" / "documentation.py", "environment"]
        _step("The documentation's environment", "docs", [], lambda: _call(command), always=True)


def _requirements(purpose: str) -> Path:
    return ROOT / "requirements" / f"{purpose}.txt"


def _make_venv() -> None:
    if PYTHON.exists():
        return
    try:
        venv.create(VENV, with_pip=True)
    except subprocess.CalledProcessError as exc:
        raise Failed(
            "Python's venv module does not work here; on Debian, `apt-get install python3-venv` mends it."
        ) from exc


def _npm(folder: str, *arguments: str) -> None:
    command = [*node.npm_command(), *arguments, "--no-audit", "--no-fund"]
    _call(command, cwd=ROOT / folder, env=node.npm_environment())


def _uv() -> None:
    build = ROOT / "requirements" / "build.txt"
    try:
        _step("uv", "uv", [build], lambda: _packages(build))
    except Failed as exc:
        print(f"  uv can't be installed here, so pip does it all, which takes minutes longer. {exc}", flush=True)


def _packages(requirements: Path) -> None:
    _call([sys.executable, ROOT / "dev" / "packages.py", PYTHON, requirements])


def _environment(requirements: Path) -> None:
    """Install all of them, but for what compiles a grammar for two seconds at every start of everything here.

    jsonschema does without, but for checking the format "iri", which nothing asks for.
    """
    _packages(requirements)
    _call([PYTHON, "-m", "pip", "uninstall", "--disable-pip-version-check", "--yes", "rfc3987-syntax", "lark"])


def _pip_own(*arguments: object) -> None:
    _call(
        [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", *arguments]
    )


def _bridge() -> None:
    _pip_own("--force-reinstall", ROOT / "singleuser")
    _call([PYTHON, "-m", "inset_bridge.static_files"])


def _debian_packages() -> None:
    where = _where()
    missing = [package for package, command in DEBIAN_PACKAGES.items() if not shutil.which(command, path=where)]
    if not missing:
        return
    if not debian.can_install():
        packages = " ".join(missing)
        raise Failed(f"The tests need Debian's packages: `apt-get install {packages}` as root, and run this again.")

    # nginx would listen on port 80 at once, PostgreSQL on 5432.
    work = partial(debian.install, [*missing, "fonts-dejavu-core"], _call, services=False)
    _step("Debian packages", "debian", [], work, always=True)


def _where() -> str:
    """Say where commands are: Debian keeps nginx where only root looks, and PostgreSQL where nobody does."""
    servers = map(str, Path("/usr/lib/postgresql").glob("*/bin"))
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *servers])


def _front_end_sources() -> list[Path]:
    folders = ("frontend-snippet/src", "frontend-snippet/scripts", "singleuser/labextension")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if "node_modules" not in path.parts]
    return [*files, ROOT / "frontend-snippet" / "package.json"]


def _step(name: str, stamp: str, inputs: Iterable[Path], work: Callable[[], None], *, always: bool = False) -> None:
    """Do a piece of work unless it was done for the same inputs before, and say so."""
    inputs = list(inputs)
    if not always and _done(stamp, inputs):
        return
    print(f"  installing: {name} …", flush=True)
    began = time.monotonic()
    work()
    print(f"  installed: {name}, {time.monotonic() - began:.0f} s", flush=True)
    STAMPS.mkdir(exist_ok=True)
    (STAMPS / stamp).write_text(_digest(inputs))


def _done(stamp: str, inputs: list[Path]) -> bool:
    file = STAMPS / stamp
    return file.exists() and file.read_text() == _digest(inputs)


def _digest(inputs: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(inputs):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


_logging = threading.Lock()


def _call(command: Sequence[object], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command. What it said is in the log once it has ended, in one piece."""
    words = [str(word) for word in command]
    try:
        ended = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except FileNotFoundError as exc:
        raise Failed(f"{words[0]} is not installed here.") from exc
    with _logging, LOG.open("ab") as log:
        log.write(ended.stdout)
    if ended.returncode:
        last = "\n".join(f"    {line}" for line in ended.stdout.decode(errors="replace").splitlines()[-12:])
        raise Failed(f"`{' '.join(words[:4])} …` failed. The end of what it said ({LOG.relative_to(ROOT)}):\n{last}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Failed as exc:
        print(f"\n{exc}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
