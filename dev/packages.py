"""Installs the packages that a compiled requirements file names, by uv, which needs a tenth of the time that pip needs.

    python3 dev/packages.py PYTHON REQUIREMENTS

Where uv is not installed, or can not do it, pip does. Uses nothing but Python itself: it runs before anything else is
installed.
"""

import os
import subprocess
import sys
from pathlib import Path

from node import VENV

_OPTIONS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "trusted-host": "UV_INSECURE_HOST"}
"""pip's options that say where packages are, and uv's name for each: it does not read pip's settings."""


def install(python: Path, requirements: Path) -> None:
    """Install them into an environment. Raises `CalledProcessError`, having tried both."""
    # What is required is compiled whole: neither need look for more.
    exactly: list[str | Path] = ["install", "--quiet", "--no-deps", "--require-hashes", "-r", requirements]
    uv = VENV / "bin" / "uv"
    if uv.exists():
        by_uv = [uv, "pip", *exactly, "--compile-bytecode", "--python", python]
        if subprocess.run(by_uv, env={**os.environ, **uv_settings()}, check=False).returncode == 0:
            return
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *exactly], check=True)


def uv_settings() -> dict[str, str]:
    """Give uv's environment: it looks where this machine's pip looks, and trusts whom this machine trusts."""
    # A package may be in one index in one version, and in another in another: its hash says which is meant.
    named = {_OPTIONS[option]: value for option, value in indexes().items()}
    return {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match", **named}


def indexes() -> dict[str, str]:
    """Give where this machine's pip looks instead of the public index, by pip's options; folders do not count."""
    # A Python that has no pip says nothing.
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found: dict[str, str] = {}
    for line in told.splitlines():
        # `global.index-url='…'`, `:env:.extra-index-url='…\n…'`: the environment's come first, and count.
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        named = [word for word in value.strip("'\"").replace("\\n", " ").split() if "file:" not in word]
        if option in _OPTIONS and named:
            found.setdefault(option, " ".join(named))
    return found


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]))
