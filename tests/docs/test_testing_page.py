"""The suites that the page on testing shows: they pass as they stand there."""

import subprocess
import sys
from pathlib import Path

from node import node_command

from tests.docs.written import DOCS, blocks
from tests.support.real_hub import ROOT


def test_the_suite_in_python_passes(tmp_path: Path) -> None:
    [code] = [block.code for block in blocks(DOCS / "testing.md") if block.language == "python"]
    (tmp_path / "test_reports.py").write_text(code)

    _passes([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."], tmp_path)


def test_the_suite_in_javascript_passes(tmp_path: Path) -> None:
    [code] = [block.code for block in blocks(DOCS / "testing.md") if block.language == "js"]
    (tmp_path / "reports.test.mjs").write_text(code)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "inset-notebook").symlink_to(ROOT / "frontend-snippet")

    _passes([node_command(), "--test", "reports.test.mjs"], tmp_path)


def _passes(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
