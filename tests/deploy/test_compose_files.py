"""The Compose files by the specification's own schema; `tests/docker` has Debian's Compose 1.29 run them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real_hub import ROOT

FILES = sorted(ROOT.glob("compose*.yaml"))


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the schema as check-jsonschema has it: nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_compose_file_keeps_to_the_specification(file: Path) -> None:
    done = checked(file)

    assert done.returncode == 0, done.stdout


def test_a_word_that_the_specification_does_not_know_is_found(tmp_path: Path) -> None:
    [whole] = [file for file in FILES if file.name == "compose.yaml"]
    misspelled = tmp_path / "compose.yaml"
    misspelled.write_text(whole.read_text().replace("mem_limit:", "memory_limit:"))

    assert "memory_limit" in checked(misspelled).stdout
