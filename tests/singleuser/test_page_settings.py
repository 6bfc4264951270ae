"""The page extension composes JupyterLab's settings as JupyterLab does, without compiling their schemas."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

from tests.support.chromium import fresh_page
from tests.support.plain_jupyter import DOCUMENTS, EXTENSION, PlainJupyter, plain_jupyter

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PATH = "work/n1/story.ipynb"
INTERFACES = pytest.mark.parametrize("interface", ["notebook", "lab"])
JUPYTERLABS = "@jupyterlab/apputils-extension:settings"
SHORTCUTS = "@jupyterlab/shortcuts-extension:shortcuts"

TO_THE_FRONT = """(node) => {
  for (const widget of jupyterapp.shell.widgets('main')) {
    if (widget.node.contains(node)) jupyterapp.shell.activateById(widget.id);
  }
}"""

REGISTRY = """async () => {
  const { pluginRegistry } = jupyterapp;
  const token = [...pluginRegistry._services.keys()].find(({ name }) => name.endsWith(':ISettingRegistry'));
  globalThis.registry = await pluginRegistry.resolveRequiredService(token);
  globalThis.jupyterlabs = () => new registry.constructor({ connector: registry.connector }).validator;
  // Each of the calls, one after the other, by one validator: what is wrong, and what it made of the settings.
  globalThis.validated = (validator, calls) => calls.map(({ id, schema, raw }) => {
    const plugin = structuredClone({ id, schema, raw, version: '1', data: { composite: {}, user: {} } });
    try {
      return { id, raw, wrong: validator.validateData(plugin), ...plugin.data };
    } catch (error) {
      return { id, raw, thrown: String(error) };
    }
  });
}"""
"""Puts the page's registry where tests find it, with the validator that JupyterLab gives one that it makes."""

SETTINGS = """() => Object.fromEntries(
  Object.entries(registry.plugins).map(([id, { data, raw, schema }]) => [id, { ...data, raw, schema }])
)"""

BY_BOTH = """async (calls) => {
  const ours = new registry.validator.constructor(registry.schema);
  const [one, other] = [ours, jupyterlabs()].map((validator) => validated(validator, calls));
  return { one, other, compiled: ours.compiling !== undefined };
}"""

UNTOUCHED = "{}"
TOUCHED = ("", "null", "[]", "{", "{} // nothing", '{"of nobody": [1]}', '{"of nobody": {}, "of nobody": {"a": 1}}')


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainJupyter]:
    assert EXTENSION.exists(), "build it first: npm ci && npm run build, in frontend-snippet/"
    with plain_jupyter(tmp_path_factory.mktemp("jupyter"), origins=["http://host.localhost"]) as server:
        server.write(PATH, "1 + 1")
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium_for_all: Browser) -> AsyncIterator[Page]:
    async with fresh_page(chromium_for_all) as page:
        yield page


@INTERFACES
async def test_a_page_without_settings_of_its_user_compiles_no_schema(
    interface: str, page: Page, jupyter: PlainJupyter
) -> None:
    await open_page(page, jupyter, interface)

    assert await page.evaluate("jupyterapp.isPluginActivated('inset-bridge:settings')")
    assert not await page.evaluate(f"jupyterapp.hasPlugin('{JUPYTERLABS}')")
    assert len(await page.evaluate("Object.keys(registry.plugins)")) > 50
    assert await page.evaluate("registry.validator.compiling === undefined")


async def test_all_installed_schemas_are_composed_as_jupyterlab_composes_them(
    page: Page, jupyter: PlainJupyter
) -> None:
    await open_page(page, jupyter, "notebook")
    listed = await page.evaluate("async () => (await registry.connector.list('all')).values")
    assert len(listed) > 80

    untouched = await page.evaluate(BY_BOTH, [{**one, "raw": UNTOUCHED} for one in listed])
    touched = await page.evaluate(
        BY_BOTH, [{**one, "raw": raw} for one in listed for raw in (*TOUCHED, *of_its_own(one["schema"]), UNTOUCHED)]
    )

    assert_same(untouched)
    assert not untouched["compiled"]
    assert_same(touched)
    wrong = sum(bool(one["wrong"]) for one in touched["one"])
    assert 0 < wrong < len(touched["one"])


SHAPES: dict[str, dict[str, Any]] = {
    "no object": {"type": "array"},
    "no type": {"properties": {"a": {"default": 1}}},
    "not as JupyterLab wants it": {"type": "object", "jupyter.lab.shortcuts": [{"keys": ["A"]}]},
    "null": {"type": "object", "properties": {"a": {"type": ["null", "string"], "default": None}}},
    "within": {
        "type": "object",
        "properties": {
            "a": {"type": "object", "default": {"x": 1}, "properties": {"x": {"default": 2}, "y": {"default": [3]}}},
            "b": {"type": "object", "properties": {"x": {"default": 1}}},
        },
    },
    "of an object's other names": {
        "type": "object",
        "properties": {"a": {"default": {"x": {}}, "additionalProperties": {"properties": {"y": {"default": 1}}}}},
    },
    "by pattern": {
        "type": "object",
        "properties": {
            "a": {
                "default": {"x1": {}, "y": 1},
                "patternProperties": {r"^x\d$": {"properties": {"y": {"default": 1}}}},
                "additionalProperties": {"type": "number"},
            }
        },
    },
    "a pattern that is none": {
        "type": "object",
        "properties": {"a": {"default": {"x": 1}, "patternProperties": {r"[\w-\.]": {}}}},
    },
    "of a list": {
        "type": "object",
        "properties": {
            "a": {
                "type": "array",
                "default": [{}, {"x": 2}],
                "items": {"properties": {"x": {"type": "integer", "minimum": 1, "maximum": 2, "default": 1}}},
            }
        },
    },
    "of places in a list": {
        "type": "object",
        "properties": {"a": {"default": [{}], "items": [{"properties": {"x": {"default": 1}}}, {"default": 2}]}},
    },
    "referred to": {
        "type": "object",
        "definitions": {"d": {"default": 1, "properties": {"x": {"default": 2}}}},
        "properties": {"a": {"$ref": "#/definitions/d"}, "b": {"$ref": "#/definitions/d", "default": {}}},
    },
    "referred to itself": {
        "type": "object",
        "definitions": {
            "d": {"properties": {"x": {"default": 2}, "more": {"items": {"$ref": "#/definitions/d"}}}},
        },
        "properties": {"a": {"default": {"more": [{"more": [{}]}]}, "$ref": "#/definitions/d"}},
    },
    "in all": {
        "type": "object",
        "properties": {
            "a": {
                "default": {},
                "allOf": [{"properties": {"x": {"default": 1}}}, {"properties": {"y": {"default": 2}}}],
            }
        },
    },
    "in one": {
        "type": "object",
        "properties": {"a": {"default": {}, "oneOf": [{"properties": {"x": {"default": 1}}}, {"type": "null"}]}},
    },
    "in one that is referred to": {
        "type": "object",
        "definitions": {
            "plain": {"type": "object", "properties": {"x": {"default": 1}}},
            "leads on": {"type": "object", "properties": {"x": {"default": 1}, "y": {"$ref": "#/definitions/plain"}}},
            "leads-on": {"type": "object", "properties": {"x": {"default": 1}, "y": {"$ref": "#/definitions/plain"}}},
        },
        "properties": {
            "a": {"default": {}, "oneOf": [{"$ref": "#/definitions/plain"}, {"type": "null"}]},
            "b": {"default": {"y": {}}, "oneOf": [{"$ref": "#/definitions/leads-on"}, {"type": "null"}]},
            "c": {"default": {"y": {}}, "oneOf": [{"$ref": "#/definitions/leads%20on"}, {"type": "null"}]},
        },
    },
    "in one that fails when it has begun": {
        "type": "object",
        "definitions": {
            "n": {"type": "null"},
            "d": {
                "properties": {"x": {"default": 1}, "y": {"type": "string"}, "z": {"$ref": "#/definitions/n"}},
                "required": ["y"],
            },
        },
        "properties": {"a": {"default": {}, "oneOf": [{"$ref": "#/definitions/d"}, {"type": "object"}]}},
    },
    "in two": {
        "type": "object",
        "properties": {"a": {"default": 1, "oneOf": [{"type": "number"}, {"const": 1}]}},
    },
    "in any": {
        "type": "object",
        "properties": {"a": {"default": {}, "anyOf": [{"properties": {"x": {"default": 1}}}]}},
    },
    "of an if": {
        "type": "object",
        "properties": {"a": {"default": {}, "if": {"type": "object"}, "then": {"required": ["x"]}}},
    },
    "one of objects": {"type": "object", "properties": {"a": {"default": {"x": 1}, "enum": [{"x": 1}, {"x": 2}]}}},
    "twice the same": {
        "type": "object",
        "properties": {"a": {"default": [1, "1", 1], "uniqueItems": True}, "b": {"default": 1}},
    },
    "true": {"type": "object", "properties": {"a": True, "b": {"default": 1}}},
    "false": {"type": "object", "properties": {"a": False, "b": {"default": 1}}},
    "wanted": {"type": "object", "required": ["a"], "properties": {"b": {"default": 1}}},
    "wanted and there": {"type": "object", "required": ["a"], "properties": {"a": {"default": 1}}},
    "too much": {
        "type": "object",
        "properties": {"a": {"default": {"x": 1}, "properties": {"y": {}}, "additionalProperties": False}},
    },
    "a name that all objects have": {"type": "object", "properties": {"toString": {"default": 1}}},
    **{
        f"overridden by {value!r}": {"type": "object", "properties": {"a": {**said, "default": value}}}
        for said, value in (
            ({"type": "integer"}, 1.5),
            ({"type": "integer"}, 2.0),
            ({"type": "boolean"}, "yes"),
            ({"type": "number", "minimum": 3}, 2),
            ({"type": "number", "exclusiveMinimum": 3}, 3),
            ({"enum": ["a", None]}, "b"),
            ({"const": "a"}, "c"),
            ({"type": "string", "pattern": "^a"}, "bc"),
            ({"type": "string", "minLength": 3}, "ab"),
            ({"type": "sting"}, "d"),
        )
    },
}
"""Schemas of settings as an extension, or an operator's overrides, may have them."""


async def test_schemas_of_all_shapes_are_composed_as_jupyterlab_composes_them(
    page: Page, jupyter: PlainJupyter
) -> None:
    await open_page(page, jupyter, "notebook")
    calls = [{"id": name, "schema": schema, "raw": UNTOUCHED} for name, schema in SHAPES.items()]
    # JupyterLab goes by the schema that it has first seen, whatever comes later.
    later = {"type": "object", "properties": {"a": {"default": "later"}}}
    calls += [{"id": name, "schema": later, "raw": raw} for name in SHAPES for raw in (UNTOUCHED, '{"of nobody": 1}')]

    both = await page.evaluate(BY_BOTH, calls)

    assert_same(both)
    within = both["one"][[*SHAPES].index("within")]
    assert within["composite"] == {"a": {"x": 1, "y": [3]}}


@INTERFACES
async def test_a_page_has_the_settings_that_jupyterlabs_own_plugin_gives_it(
    interface: str, page: Page, jupyter: PlainJupyter
) -> None:
    change = {
        DOCUMENTS: '{\n  // More often.\n  "autosaveInterval": 7\n}',
        SHORTCUTS: '{"shortcuts": [{"command": "notebook:run-cell", "keys": ["F8"], "selector": "body"}]}',
    }
    for plugin, raw in change.items():
        jupyter.set(plugin, raw)
    try:
        await with_jupyterlabs_own(page, jupyter, interface)
        await open_page(page, jupyter, interface)
        assert await page.evaluate(f"jupyterapp.isPluginActivated('{JUPYTERLABS}')")
        own = await settled_settings(page)
        await page.unroute_all()

        await open_page(page, jupyter, interface)
        assert await page.evaluate("jupyterapp.isPluginActivated('inset-bridge:settings')")
        assert await settled_settings(page) == own
    finally:
        for plugin in change:
            jupyter.set(plugin, UNTOUCHED)
    assert own[DOCUMENTS]["composite"]["autosaveInterval"] == 7
    assert any(one["keys"] == ["F8"] for one in own[SHORTCUTS]["composite"]["shortcuts"])


async def test_what_a_user_sets_is_checked_and_kept(page: Page, jupyter: PlainJupyter) -> None:
    await open_page(page, jupyter, "lab")
    setting = f"'{DOCUMENTS}', 'autosaveInterval'"

    with pytest.raises(Exception, match="failed to validate"):
        await page.evaluate(f"registry.set({setting}, 'often')")
    await page.evaluate(f"registry.set({setting}, 33)")
    await open_page(page, jupyter, "lab")
    told = await page.evaluate(f"registry.get({setting})")
    await page.evaluate(f"registry.remove({setting})")

    assert told == {"composite": 33, "user": 33}
    assert (await page.evaluate(f"registry.get({setting})")).get("user") is None


async def test_the_editor_of_settings_shows_them_and_writes_what_is_chosen(page: Page, jupyter: PlainJupyter) -> None:
    await open_page(page, jupyter, "lab")
    await page.evaluate("jupyterapp.restored.then(() => undefined)")
    await page.evaluate("jupyterapp.commands.execute('settingeditor:open', { query: 'Document Manager' })")
    # Not by its role, which what is behind another tab has not.
    choice = page.locator(f"[id='jp-SettingsEditor-{DOCUMENTS}_autosave']")
    assert await choice.is_checked()
    try:
        async with asyncio.timeout(60):
            while await choice.is_checked():
                # The page brings the notebook of its address to the front, and once more after that is there.
                await choice.evaluate(TO_THE_FRONT)
                with suppress(PlaywrightTimeout):
                    await choice.uncheck(timeout=5_000)
        await page.wait_for_function(f"registry.plugins['{DOCUMENTS}'].data.user.autosave === false")
    finally:
        jupyter.set(DOCUMENTS, UNTOUCHED)


async def open_page(page: Page, jupyter: PlainJupyter, interface: str) -> None:
    await page.goto(jupyter.page(PATH, interface=interface))
    await page.wait_for_function("globalThis.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=60_000)
    await page.evaluate(REGISTRY)


async def with_jupyterlabs_own(page: Page, jupyter: PlainJupyter, interface: str) -> None:
    """Have the page come without what is turned off for the page extension."""
    url = jupyter.page(PATH, interface=interface)
    async with httpx.AsyncClient() as http:
        html = (await http.get(url.replace(jupyter.origin, f"http://127.0.0.1:{jupyter.port}"))).text
    assert f'"{JUPYTERLABS}"' in html
    html = html.replace(f'"{JUPYTERLABS}"', '"of-nobody:at-all"')
    await page.route(url, lambda route: route.fulfill(body=html, content_type="text/html"))


async def settled_settings(page: Page, *, quiet: float = 2, patience: float = 60) -> dict[str, Any]:
    """Give all plugins' settings once nothing changes any more: the notebook's toolbar is one of the last."""
    await page.evaluate("jupyterapp.restored.then(() => undefined)")
    await page.locator('.jp-NotebookPanel-toolbar [data-jp-item-name="run"]').wait_for(state="attached")
    await page.wait_for_load_state("networkidle")
    seen: dict[str, Any] = {}
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        before, seen = seen, await page.evaluate(SETTINGS)
        if seen == before:
            return {plugin: _without_descriptions(told) for plugin, told in seen.items()}
        await asyncio.sleep(quiet)
    raise AssertionError("the settings went on changing")


def _without_descriptions(told: Any) -> Any:
    """Leave out texts for readers: JupyterLab writes into some of them which commands there are by then."""
    if isinstance(told, list):
        return [_without_descriptions(each) for each in told]
    if isinstance(told, dict):
        return {name: _without_descriptions(value) for name, value in told.items() if name != "description"}
    return told


def of_its_own(schema: dict[str, Any]) -> list[str]:
    """Settings that this schema's user may have made: right ones, and wrong ones."""
    defaults = {name: one["default"] for name, one in schema.get("properties", {}).items() if "default" in one}
    return [json.dumps({name: value}) for name, default in defaults.items() for value in (default, None, {"x": []}, 7)]


def assert_same(both: dict[str, Any]) -> None:
    assert len(both["one"]) == len(both["other"])
    for one, other in zip(both["one"], both["other"], strict=True):
        assert one == other
