"""Installs the packages that a compiled requirements file names, by uv, which needs a tenth of the time that pip needs.

    python3 dev/packages.py PYTHON REQUIREMENTS

Where uv is not installed, or can not do it, pip does. Uses nothing but Python itself: it runs before anything else is
installed.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from node import VENV

_OPTIONS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "trusted-host": "UV_INSECURE_HOST"}
"""pip's options that say where packages are, and uv's name for each: it does not read pip's settings."""

_LEVELS = ("global.", "install.", ":env:.")
"""Where pip's settings are, the last of which counts."""


def install(python: Path, requirements: Path) -> None:
    """Install them into an environment. Raises `CalledProcessError`, having tried both."""
    # What is required is compiled whole: neither need look for more.
    exactly: list[str | Path] = ["install", "--quiet", "--no-deps", "--require-hashes", "-r", requirements]
    uv = VENV / "bin" / "uv"
    if uv.exists():
        by_uv = [uv, "pip", *exactly, "--compile-bytecode", "--python", python]
        if subprocess.run(by_uv, env={**uv_settings(indexes(python)), **os.environ}, check=False).returncode == 0:
            return
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *exactly], check=True)


def uv_settings(of_pip: Mapping[str, str]) -> dict[str, str]:
    """Give uv's environment: it looks in the `indexes` of a pip, and trusts whom this machine trusts."""
    # A package may be in one index in one version, and in another in another: its hash says which is meant.
    named = {_OPTIONS[option]: value for option, value in of_pip.items()}
    return {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match", **named}


def indexes(python: Path) -> dict[str, str]:
    """Give where an environment's pip looks instead of the public index, by pip's options; folders do not count."""
    command: list[str | Path] = [python, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    found: dict[str, str] = {}
    for level in _LEVELS:
        for option in _OPTIONS:
            # 'https://…\nhttps://…'
            words = settings.get(level + option, "").strip("'\"").replace("\\n", " ").split()
            if named := [word for word in words if not word.startswith(("file:", "/", "."))]:
                found[option] = " ".join(named)
    return found


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]))
