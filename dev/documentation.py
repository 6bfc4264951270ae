"""Builds the documentation's site, in an environment of its own beside the checkout's.

python3 dev/documentation.py build           into .artifacts/site; further arguments are MkDocs's own
python3 dev/documentation.py serve           shows it on http://localhost:8000, and every change at once
python3 dev/documentation.py environment     installs, and does no more
"""

import hashlib
import os
import subprocess
import sys
import venv

import packages
from node import ROOT, VENV

ENVIRONMENT = VENV / "docs"
STAMP = ENVIRONMENT / ".installed"
REQUIREMENTS = ROOT / "requirements" / "docs.txt"


def main(command: str, *arguments: str) -> int:
    """Install what has changed, and run MkDocs; gives its exit code."""
    install()
    if command == "environment":
        return 0
    configuration = str(ROOT / "dev" / "docs_site" / "mkdocs.yml")
    return subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-m", "mkdocs", command, "-f", configuration, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "dev"), "NO_MKDOCS_2_WARNING": "true"},
        check=False,
    ).returncode


def installed() -> bool:
    """Tell whether the environment is what `requirements/docs.txt` says."""
    return STAMP.exists() and STAMP.read_text() == _digest()


def install() -> None:
    """Make it that, unless it is."""
    if installed():
        return
    venv.create(ENVIRONMENT, clear=True, symlinks=True, with_pip=True)
    packages.install(ENVIRONMENT / "bin" / "python", REQUIREMENTS)
    STAMP.write_text(_digest())


def _digest() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
