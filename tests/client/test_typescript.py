"""The TypeScript client: made from the API's document, type-checked, and run against the real service."""

import json
import subprocess
import sys
from typing import Any

from node import node_command, npm_environment

from inset_client import Inset
from tests.support.real_hub import ROOT

FOLDER = ROOT / "clients" / "typescript"
STORY = (
    "import { story } from './sample.ts'; console.log(JSON.stringify(await story(process.argv[1], process.argv[2])));"
)


def test_the_sample_holds_to_the_types_that_the_document_gives() -> None:
    _run([sys.executable, str(ROOT / "dev" / "node.py"), "npm", "clients/typescript", "--silent", "run", "check"])


def test_the_sample_runs_against_the_service(access: dict[str, Any], name: str) -> None:
    with Inset(**access) as inset:
        token = inset.token(name)
    # It has types and no build; older releases of Node have to be told that they may take them off.
    options = ["--experimental-strip-types", "--no-warnings", "--input-type=module"]

    said = _run([node_command(), *options, "--eval", STORY, access["url"], token])

    assert json.loads(said) == [2, 1]


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=FOLDER, env=npm_environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
