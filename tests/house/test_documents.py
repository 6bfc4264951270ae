"""What is committed beside the code says what the code does."""

import ast
import json
import re
import subprocess
import sys
import tomllib

from docs_site.catalogue import slugs

from inset.settings import DatabaseSettings, HubSettings, Settings, WebhookSettings
from tests.support.real_hub import ROOT


def test_openapi_json_is_what_the_service_says_of_itself() -> None:
    said = subprocess.run([sys.executable, "-m", "inset", "openapi"], capture_output=True, text=True, check=True).stdout

    committed = (ROOT / "docs" / "openapi.json").read_text()

    assert json.loads(committed) == json.loads(said), "`make openapi` writes it anew; look at the difference"


def test_settings_md_lists_every_setting_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    nested = {"hub": HubSettings, "database": DatabaseSettings, "webhooks": WebhookSettings}
    names = [f"INSET_{name.upper()}" for name in Settings.model_fields if name not in nested]
    names += [
        f"INSET_{group.upper()}__{name.upper()}" for group, model in nested.items() for name in model.model_fields
    ]

    listed = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `INSET_")]
    service = listed[: len(names)]

    assert sorted(service) == sorted(names)


def test_every_hub_setting_that_the_configuration_reads_is_listed() -> None:
    config = (ROOT / "hub" / "jupyterhub_config.py").read_text()
    text = (ROOT / "docs" / "settings.md").read_text()

    read = set(re.findall(r'environ(?:\.get\(|\[)"(INSET_\w+)"', config))

    assert read
    assert not [name for name in read if f"`{name}`" not in text]


def test_troubleshooting_md_lists_every_code_that_something_is_wrong_by() -> None:
    doctor, diagnose = (ROOT / "docs" / "troubleshooting.md").read_text().split("\n## ")[1:]
    calls = [
        node
        for file in sorted((ROOT / "service" / "inset" / "doctor").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and len(node.args) == 3
    ]
    found = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    source = (ROOT / "frontend-snippet" / "src" / "diagnose.ts").read_text()

    assert len(found) > 20
    assert _listed(doctor) == found
    assert _listed(diagnose) == set(re.findall(r"(?:error|warning)\('([a-z-]+)'", source))


def test_restricted_data_md_lists_every_code_that_the_egress_examination_finds() -> None:
    text = (ROOT / "docs" / "restricted-data.md").read_text()
    folder = ROOT / "service" / "inset" / "doctor" / "egress"
    source = "".join(file.read_text() for file in sorted(folder.glob("from_*.py")))
    subjects = set(re.findall(r'(?:_none|_judged|refused)\(\s*"([a-z-]+)"', source))
    whole = set(re.findall(r'"egress-([a-z-]+)"', source + (folder / "examination.py").read_text()))

    assert len(subjects) > 12
    assert {code.removeprefix("egress-") for code in _listed(text)} == subjects | whole


def test_every_problem_has_a_cause_and_a_way_out() -> None:
    helps = tomllib.loads((ROOT / "docs" / "errors.toml").read_text())

    assert slugs(ROOT) == set(helps), "docs/errors.toml says what brings a problem about, and what helps"
    assert not [slug for slug, help in helps.items() if set(help) != {"cause", "way_out"}]


FOREIGN = "tests/deploy/zero-to-jupyterhub-"
"""What somebody else has written, and is kept unchanged."""


def _listed(text: str) -> set[str]:
    return {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}


def test_nothing_that_is_committed_names_a_registry_or_this_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = ("pythonhosted" + ".org", "pypi" + ".org", "registry." + "npmjs", "deb." + "debian.org", "docker" + ".io/")
    for name in tracked:
        file = ROOT / name
        if name.startswith(FOREIGN):
            continue
        if file.suffix not in (".png", ".woff2") and file.is_file():
            text = file.read_text(errors="replace")
            assert not [host for host in hosts if host in text], name
            assert str(ROOT) not in text, name
