"""The site builds, and all of it is here: no link leads nowhere, nothing comes from the network, no code is broken."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import node
import pytest
from stack import Stack

from tests.docs.written import DOCS, blocks, pages
from tests.support.real_hub import ROOT

_SCRIPT = re.compile(r"<script(?: [^>]*)?>(.+?)</script>", re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of MkDocs is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "dev/documentation.py", "build", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@dataclass
class Html(HTMLParser):
    """What a page leads to, what it loads, and which places in it can be led to."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given.get("href", ""))
        elif "src" in given:
            self.loaded.append(given["src"])


@pytest.fixture(scope="module")
def html(site: Path) -> dict[Path, Html]:
    read = {}
    for file in site.rglob("*.html"):
        read[file] = Html()
        read[file].feed(file.read_text())
    return read


def test_every_link_leads_to_something(site: Path, html: dict[Path, Html]) -> None:
    broken = []
    for file, page in html.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or file.name == "404.html":
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            found = target / "index.html" if target.is_dir() else target
            if not found.exists() or (parts.fragment and unquote(parts.fragment) not in html[found].ids):
                broken.append(f"{file.relative_to(site)}: {link}")
    assert not broken


def test_nothing_is_loaded_from_the_network(site: Path, html: dict[Path, Html]) -> None:
    elsewhere = {link for page in html.values() for link in page.loaded if urlsplit(link).netloc}
    styles = {file.name for file in site.rglob("*.css") if "url(http" in file.read_text()}

    assert not elsewhere
    assert not styles


def test_every_call_and_every_problem_has_its_place(html: dict[Path, Html], site: Path) -> None:
    api = json.loads((DOCS / "openapi.json").read_text())
    calls = {operation["operationId"] for methods in api["paths"].values() for operation in methods.values()}
    described = {id for file, page in html.items() if file.parent == site / "reference" / "api" for id in page.ids}
    slugs = {
        slug
        for methods in api["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for slug in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }

    assert calls <= described
    assert slugs
    assert slugs <= html[site / "reference" / "errors.html"].ids


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(DOCS)))
def test_code_on_a_page_can_be_read_by_what_it_is_for(page: Path) -> None:
    for block in blocks(page):
        if "--8<--" in block.code or "…" in block.code:
            continue
        if block.language == "python":
            compile(block.code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        elif block.language == "json":
            json.loads(block.code)
        elif block.language == "toml":
            tomllib.loads(block.code)
        for script in _SCRIPT.findall(block.code) if block.language == "html" else [block.code]:
            if block.language in ("html", "js"):
                _check_javascript(script)


def _check_javascript(script: str) -> None:
    command = [node.node_command(), "--check", "--input-type=module", "-"]
    checked = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if any(block.runnable for block in blocks(page))],
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_a_program_on_a_page_does_what_the_page_says(
    page: Path, stack: Stack, samples_key: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text("\n".join(block.code for block in blocks(page) if block.runnable))
    environment = {**os.environ, "INSET_SERVICE": stack.service_url, "INSET_KEY": samples_key}

    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
