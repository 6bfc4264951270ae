"""The benchmarks, which CI does not run, still find all that they are made of."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.real_hub import ROOT

_BEGUN_BY_OTHERS = ("__main__.py", "_config.py")
"""What begins to measure when it is imported, and what JupyterHub reads."""


def test_each_module_of_the_benchmarks_can_be_imported(tmp_path: Path):
    files = [one for one in (ROOT / "benchmarks").rglob("*.py") if not one.name.endswith(_BEGUN_BY_OTHERS)]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'dev'}", "BY_HAND_DATABASE": str(tmp_path / "by-hand.sqlite")}

    done = subprocess.run(
        [sys.executable, "-c", "\n".join(f"import {module}" for module in modules)],
        env={**os.environ, **paths},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "benchmarks.store_pressure" in modules
