"""The previous release's service, hub and save bridge, installed beside the present ones: see `README.md`."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent / "previous"
HUB_CONFIG = FOLDER / "jupyterhub_config.py"
SCHEMA = "0010"
"""At which its databases are."""


def install(folder: Path) -> dict[str, str]:
    """Install its code without what it depends on; gives what processes need in their environment to run it."""
    wheels = sorted(FOLDER.glob("*.whl"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-compile", "--target", folder, *wheels], check=True)
    return {"PYTHONPATH": str(folder)}


_COMMANDS = """
import json, sys
from inset.cli import main
sys.exit(max(main(arguments) for arguments in json.loads(sys.argv[1])))
"""


async def inset(environment: Mapping[str, str], *commands: str) -> str:
    """Run some `inset …` of the release that the environment leads to, in one process; gives what it said."""
    arguments = json.dumps([shlex.split(command) for command in commands])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _COMMANDS, arguments, env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()
