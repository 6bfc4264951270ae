"""The samples of `docs/python-client.md` and `docs/testing.md`, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from node import node_command

from tests.support.real_hub import ROOT


def samples(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / document).read_text(), re.DOTALL)


def test_the_clients_samples_run_against_the_service(access: dict[str, Any]) -> None:
    code = "\n".join(samples("python-client.md", "python"))
    code = code.replace("https://inset.example", access["url"])
    code = code.replace("the secret that your host application is registered with", access["key"])

    names: dict[str, Any] = {}
    exec(compile(code, "python-client.md", "exec"), names)
    names["inset"].close()

    assert names["event"].kind == "ended"


def test_the_python_kits_sample_is_a_test_that_passes(tmp_path: Path) -> None:
    [code] = samples("testing.md", "python")
    (tmp_path / "test_sample.py").write_text(code)

    _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."], tmp_path)


def test_the_javascript_kits_sample_is_a_test_that_passes(tmp_path: Path) -> None:
    [code] = samples("testing.md", "js")
    (tmp_path / "sample.test.mjs").write_text(code)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "inset-notebook").symlink_to(ROOT / "frontend-snippet")

    _run([node_command(), "--test", "sample.test.mjs"], tmp_path)


def _run(command: list[str], folder: Path) -> None:
    # Whatever runs these tests says nothing to those that they run, nor do its plugins, which take long to load.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NODE_TEST"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
