"""`inset-notebook` as its users install it: its contents and size, where it can be imported, whether its types hold."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real_hub import ROOT

sys.path.insert(0, str(ROOT / "dev"))
from docs_site import sdk  # dev/ is a folder of scripts
from node import node_command, npm_command, npm_environment

SDK = ROOT / "frontend-snippet"
LIMIT = 8 * 1024
ENTRIES = (".", "./element", "./react", "./diagnose", "./languages", "./testkit")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the packed package installed, as npm would, beside the React of the SDK's tests."""
    assert (SDK / "dist").exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    folder = tmp_path_factory.mktemp("project")
    packed = _run([*npm_command(), "pack", "--json", "--pack-destination", str(folder)], SDK)
    modules = folder / "node_modules"
    package = modules / "inset-notebook"
    package.mkdir(parents=True)
    archive = folder / json.loads(packed)[0]["filename"]
    subprocess.run(["tar", "-xzf", archive, "--strip-components=1", "-C", package], check=True)
    for name in ("react", "react-dom", "@types"):
        (modules / name).symlink_to(SDK / "node_modules" / name)
    return folder


def test_what_a_page_loads_is_small() -> None:
    sizes = {
        name: _gzipped(SDK / "dist" / f"{name}.js")
        for name in ("inset-notebook", "script", "element", "react", "diagnose")
    }
    print("\ngzipped bytes:", sizes)

    assert sizes["inset-notebook"] <= LIMIT
    # What is loaded beside the first, and the first with the element.
    assert sizes["element"] <= 1024 >= sizes["react"]
    assert sizes["script"] <= LIMIT


def test_the_package_holds_what_it_should_and_nothing_else(installed: Path) -> None:
    package = installed / "node_modules" / "inset-notebook"
    files = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    manifest = json.loads((package / "package.json").read_text())

    assert {"package.json", "README.md"} == {name for name in files if not name.startswith("dist/")}
    assert not [name for name in files if not name.endswith((".js", ".d.ts", ".css", ".map", ".json", ".md"))]
    targets = [
        to
        for target in manifest["exports"].values()
        for to in ([target] if isinstance(target, str) else target.values())
    ]
    assert not [to for to in targets if to.removeprefix("./") not in files]
    assert "dependencies" not in manifest
    assert manifest["peerDependenciesMeta"] == {"react": {"optional": True}}


def test_every_entry_can_be_imported_where_there_is_no_dom(installed: Path) -> None:
    names = [entry.replace(".", "inset-notebook", 1) for entry in ENTRIES]
    before = "const before = new Set(Object.keys(globalThis));"
    imports = "".join(f"await import({name!r});" for name in names)
    left = "console.log(JSON.stringify(Object.keys(globalThis).filter((name) => !before.has(name))));"
    (installed / "import.mjs").write_text(before + imports + left)

    assert json.loads(_run([node_command(), "import.mjs"], installed)) == []


def test_its_types_hold_in_a_strict_project(installed: Path) -> None:
    (installed / "use.mts").write_text(_USE)
    tsc = [node_command(), str(SDK / "node_modules" / "typescript" / "bin" / "tsc"), "--noEmit", "--strict"]
    for resolution, module in (("nodenext", "nodenext"), ("bundler", "esnext")):
        options = [
            "--moduleResolution",
            resolution,
            "--module",
            module,
            "--target",
            "es2022",
            "--lib",
            "es2022,dom,dom.iterable",
        ]
        _run([*tsc, *options, "use.mts"], installed)


def test_every_way_to_import_it_finds_its_types(installed: Path) -> None:
    [archive] = installed.glob("*.tgz")
    attw = SDK / "node_modules" / "@arethetypeswrong" / "cli" / "dist" / "index.js"
    # A module for modules, and a style sheet and a script that have no types.
    _run(
        [
            node_command(),
            str(attw),
            str(archive),
            "--profile",
            "esm-only",
            "--exclude-entrypoints",
            "style.css",
            "script",
        ],
        SDK,
    )


def test_no_name_that_others_use_is_shortened() -> None:
    """The build shortens the names that only the SDK's own files say: a message's or an option's would be lost."""
    own = re.search(r"const OWN = \[(.*?)\]", (SDK / "scripts" / "build.mjs").read_text(), re.DOTALL)
    assert own
    spoken = "".join((SDK / "src" / name).read_text() for name in ("api.ts", "protocol.ts", "messages.ts", "react.ts"))

    for name in re.findall(r"'(\w+)'", own[1]):
        assert not re.search(rf"^ *(readonly )?{name}\b\??[:(<]", spoken, re.MULTILINE), name


def test_every_code_of_an_error_is_documented() -> None:
    union = re.search(r"export type EmbedErrorCode =(.*?)\(string", (SDK / "src" / "errors.ts").read_text(), re.DOTALL)
    text = (ROOT / "docs" / "sdk.md").read_text().split("\n## Errors")[1]
    assert union

    codes = set(re.findall(r"'([a-z-]+)'", union[1]))
    listed = {line.split("`")[1]: line.split("|")[2:4] for line in text.splitlines() if line.startswith("| `")}

    assert set(listed) == codes
    assert all(cause.strip() and fix.strip() for cause, fix in listed.values())
    sources = "".join(file.read_text() for file in (SDK / "src").glob("*.ts") if file.name != "diagnose.ts")
    assert set(re.findall(r"EmbedError\('([a-z-]+)'", sources)) <= codes


def test_everything_that_is_declared_is_in_the_reference_with_its_type_and_a_sentence() -> None:
    reference = sdk.page(ROOT)
    for file, interface in (
        ("api.ts", "EmbedOptions"),
        ("api.ts", "Timeouts"),
        ("api.ts", "EmbedEvents"),
        ("api.ts", "NotebookEmbed"),
        ("api.ts", "SavedVersion"),
        ("protocol.ts", "CommandValues"),
        ("protocol.ts", "NewCell"),
    ):
        source = (SDK / "src" / file).read_text()
        body = re.search(rf"^export interface {interface}\b[^{{]*\{{\n(.*?)^\}}", source, re.MULTILINE | re.DOTALL)
        assert body
        names = re.findall(r"^  (?:readonly )?'?([\w-]+)'?[?<(:]", body[1], re.MULTILINE)
        found = list(sdk.members(source, interface))

        assert [member.name for member in found] == names
        assert [member.name for member in found if not member.doc] == []
        assert all(f"```ts\n{member.said}\n```" in reference for member in found)
    assert [name for name, _ in sdk.words((SDK / "src" / "messages.ts").read_text())] == list(_words())


def test_every_attribute_class_and_event_of_the_element_is_documented() -> None:
    text = (ROOT / "docs" / "sdk.md").read_text()
    view, style, element = (
        (SDK / "src" / name).read_text() for name in ("view.ts", "inset-notebook.css", "element.ts")
    )
    attributes = re.search(r"ATTRIBUTES = \[(.*?)\]", element)
    assert attributes

    hooks = set(re.findall(r"'(inset-[a-z]+)'", view)) | set(re.findall(r"[.\[]((?:data-)?inset-[a-z]+)", style))
    assert len(hooks) > 10
    for name in [*hooks, *re.findall(r"'([a-z-]+)'", attributes[1])]:
        assert re.search(rf"`[^`]*\b{name}\b", text), name


def _words() -> list[str]:
    """Name the keys of the messages, as the built module has them."""
    script = "console.log(JSON.stringify(Object.keys((await import(process.argv[1])).de)))"
    told = _run([node_command(), "--input-type=module", "-e", script, str(SDK / "dist" / "languages.js")], ROOT)
    keys: list[str] = json.loads(told)
    return keys[: keys.index("next:") + 1]


def test_every_command_and_save_state_is_documented() -> None:
    text = (ROOT / "docs" / "sdk.md").read_text()
    commands = re.search(r"COMMANDS = \[(.*?)\]", (SDK / "src" / "protocol.ts").read_text(), re.DOTALL)
    states = re.search(r"export type SaveState = (.*?);", (SDK / "src" / "save-state.ts").read_text())
    assert commands
    assert states

    for name in re.findall(r"'([a-z-]+)'", commands[1] + states[1]):
        assert f"`{name}`" in text


_USE = """
import { createElement, createRef } from 'react';
import { EmbedError, embedNotebook, type EmbedEvents, type NotebookEmbed, type SaveState } from 'inset-notebook';
import { InsetNotebookElement } from 'inset-notebook/element';
import { InsetNotebook } from 'inset-notebook/react';
import { diagnose, type Finding } from 'inset-notebook/diagnose';
import { de } from 'inset-notebook/languages';
import { fakeInset, type FakeInset } from 'inset-notebook/testkit';

function made_of(): string { return '1'; }
const options = { serviceUrl: 'https://inset.example', notebookId: 'n', fetchToken: async () => 't' };
const notebook: NotebookEmbed = embedNotebook({
  ...options,
  mountPoint: document.body,
  messages: { ...de, retry: 'Nochmal', 'next:no-seat': 'Warten' },
  onSaveState: ({ state }) => { const said: SaveState = state; void said; },
});
notebook.on('executed', ({ cell, failed }: EmbedEvents['executed']) => { void [cell, failed]; });
await notebook.command('go-to', 3);
await notebook.command('run-all');
const made: string = await notebook.command('insert-cell', { kind: 'code', source: made_of(), at: 0 });
const restored: number = (await notebook.restore(3)).version;
// @ts-expect-error a theme is light or dark
await notebook.command('theme', 'blue');
// @ts-expect-error there is no such event
notebook.on('exploded', () => undefined);
const element: InsetNotebookElement = document.createElement('inset-notebook');
createElement(InsetNotebook, { ...options, ref: createRef<NotebookEmbed>(), onReady: () => undefined });
const found: Finding[] = await diagnose(options);
const fake: FakeInset = await fakeInset({ origin: location.origin });
fake.sendWebhooks('http://localhost:3000/inset-events', { events: ['notebook.saved'] });
fake.failure = { code: 'spawn-failed', title: 'No', detail: 'No.' };
if (new Error() instanceof EmbedError) void [element, found, made, restored, fake.token('ada')];
export {};
"""


def _gzipped(file: Path) -> int:
    return len(gzip.compress(file.read_bytes(), 9))


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=npm_environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
