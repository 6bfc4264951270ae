"""How the fake answers calls on notebooks and their versions."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from inset_client.testkit.diffs import compare
from inset_client.testkit.paging import page
from inset_client.testkit.problems import FakeProblem, invalid, missing
from inset_client.testkit.state import EMPTY_DOCUMENT, FakeNotebook, FakeVersion, checked

if TYPE_CHECKING:
    from inset_client.testkit.fake import FakeInset

Call = Callable[["FakeInset", Request], Awaitable[Response]]
_ORIGIN_OF = {"mine": "restore", "merge": "merge"}


async def create(fake: "FakeInset", request: Request) -> Response:
    caller = fake.caller(request)
    caller.require("edit")
    body = await read_json(request)
    name = _name(body.get("name"), "body.name")

    async def make() -> Response:
        notebook = fake.create(caller.user, name, _document(body.get("content") or EMPTY_DOCUMENT))
        return _stored(fake, notebook, 201)

    return await fake.once(request, caller, make)


async def list_all(fake: "FakeInset", request: Request) -> Response:
    caller, query = fake.caller(request), request.query_params.get("q", "").lower()
    mine = [each for each in fake.notebooks.values() if each.owner == caller.user and not each.deleted]
    return page(request, [each.public() for each in reversed(mine) if query in each.name.lower()])


async def get(fake: "FakeInset", request: Request) -> Response:
    return JSONResponse(fake.notebook(request, fake.caller(request)).public())


async def rename(fake: "FakeInset", request: Request) -> Response:
    notebook = _editable(fake, request)
    notebook.name = _name((await read_json(request)).get("name"), "body.name")
    return JSONResponse(notebook.public())


async def delete(fake: "FakeInset", request: Request) -> Response:
    notebook = _editable(fake, request)
    for session in fake.live(notebook.owner, notebook.id):
        session.advance(notebook.current.number)
    if live := fake.live(notebook.owner, notebook.id):
        raise FakeProblem(409, "notebook-in-use", "Notebook is open", "End its session first.", session_id=live[0].id)
    notebook.deleted = True
    return Response(status_code=204)


async def undelete(fake: "FakeInset", request: Request) -> Response:
    notebook = _editable(fake, request, deleted=True)
    notebook.deleted = False
    return JSONResponse(notebook.public())


async def content(fake: "FakeInset", request: Request) -> Response:
    caller = fake.caller(request)
    caller.require("download")
    version = _version(fake.notebook(request, caller), request)
    return _tagged(request, version.number, lambda: Response(version.content, media_type="application/x-ipynb+json"))


async def replace(fake: "FakeInset", request: Request) -> Response:
    notebook = _editable(fake, request)
    named = re.fullmatch(r'(?:W/)?"?([1-9][0-9]{0,8})"?', request.headers.get("If-Match", "").strip())
    if named is None:
        raise FakeProblem(428, "base-version-required", "If-Match required", "Send the version you read.")
    base = int(named[1])
    document = _document(await read_json(request, slug="not-json"))
    if base > len(notebook.versions):
        raise missing("version")
    if document != notebook.current.content:
        if base != notebook.current.number:
            kept = fake.keep_aside(notebook.id, document, base=base, origin="api")
            members = fake.conflict(notebook, kept)
            raise FakeProblem(409, "version-conflict", "Notebook has changed", "It is kept on the side.", **members)
        fake.save(notebook.id, document, origin="api")
    return _stored(fake, notebook, 200, ETag=f'"{notebook.current.number}"')


async def preview(fake: "FakeInset", request: Request) -> Response:
    version = _version(fake.notebook(request, fake.caller(request)), request)
    policy = f"default-src 'none'; frame-ancestors {fake.origin}; sandbox allow-popups allow-popups-to-escape-sandbox"
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return _tagged(request, version.sha256, lambda: HTMLResponse(f"<p>Preview of version {version.number}"), headers)


async def versions(fake: "FakeInset", request: Request) -> Response:
    notebook = fake.notebook(request, fake.caller(request))
    return page(request, [version.public() for version in reversed(notebook.versions)])


async def version(fake: "FakeInset", request: Request) -> Response:
    return JSONResponse(_version(fake.notebook(request, fake.caller(request)), request).public())


async def diff(fake: "FakeInset", request: Request) -> Response:
    caller = fake.caller(request)
    caller.require("download")
    notebook = fake.notebook(request, caller)
    old, new = _asked(request, "from"), _asked(request, "to", notebook.current.number)
    before, after = _numbered(notebook, old), _numbered(notebook, new)
    facts = f"{notebook.name} {old} {before.sha256} {new} {after.sha256}"
    tag = hashlib.sha256(facts.encode()).hexdigest()[:32]
    return _tagged(request, tag, lambda: JSONResponse(compare(before, after)))


async def label(fake: "FakeInset", request: Request) -> Response:
    found = _version(_editable(fake, request), request)
    named = (await read_json(request)).get("label")
    found.label = None if named is None else _name(named, "body.label")
    return JSONResponse(found.public())


async def receipt(fake: "FakeInset", request: Request) -> Response:
    notebook = fake.notebook(request, fake.caller(request))
    return JSONResponse({"receipt": fake.signer.receipt(notebook, _version(notebook, request))})


async def restore(fake: "FakeInset", request: Request) -> Response:
    notebook = _editable(fake, request)
    old = _version(notebook, request)

    async def make() -> Response:
        return _made(fake, notebook, fake.save(notebook.id, old.content, origin="restore"))

    return await fake.once(request, fake.caller(request), make)


async def resolve(fake: "FakeInset", request: Request) -> Response:
    notebook = _editable(fake, request)
    kept, take = _version(notebook, request), (await read_json(request)).get("take")
    if take not in ("mine", "theirs", "merge"):
        raise invalid("body.take", "Input should be 'mine', 'theirs' or 'merge'")
    if kept.aside is None:
        raise FakeProblem(409, "not-on-the-side", "Nothing to resolve", "No conflict has kept this version.")

    async def make() -> Response:
        if kept.aside == "open" and take == "merge" and fake.unsettled:
            members = {"current_version": notebook.current.number, "kept_version": kept.number}
            places = {"unsettled": fake.unsettled, **members}
            raise FakeProblem(409, "merge-conflict", "Both sides changed the same", "Take a side.", **places)
        if kept.aside == "open" and take != "theirs":
            fake.save(notebook.id, kept.content, origin=_ORIGIN_OF[take], merged=kept.number)
        kept.aside = "settled"
        return _made(fake, notebook, notebook.current)

    return await fake.once(request, fake.caller(request), make)


async def read_json(request: Request, *, slug: str = "invalid-request") -> Any:
    """Read a body. Raises a problem with this slug."""
    try:
        return json.loads(await request.body())
    except ValueError as exc:
        raise FakeProblem(422, slug, "Not JSON", "The content cannot be read as JSON.") from exc


def _editable(fake: "FakeInset", request: Request, *, deleted: bool = False) -> FakeNotebook:
    caller = fake.caller(request)
    caller.require("edit")
    return fake.notebook(request, caller, deleted=deleted)


def _version(notebook: FakeNotebook, request: Request) -> FakeVersion:
    return _numbered(notebook, int(request.path_params.get("number", notebook.current.number)))


def _asked(request: Request, name: str, default: int | None = None) -> int:
    given = request.query_params.get(name, str(default))
    if not re.fullmatch("[1-9][0-9]{0,8}", given):
        raise invalid(f"query.{name}", "Input should be a version's number")
    return int(given)


def _numbered(notebook: FakeNotebook, number: int) -> FakeVersion:
    if number > len(notebook.versions) or number < 1:
        raise missing("version")
    return notebook.versions[number - 1]


def _name(given: object, where: str) -> str:
    name = given.strip() if isinstance(given, str) else ""
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise invalid(where, "must be 1 to 200 printable characters")
    return name


def _document(given: object) -> bytes:
    try:
        return checked(given)
    except ValueError as exc:
        raise FakeProblem(
            422, "not-a-notebook", "Content is not a notebook", f"The content is not a valid notebook: {exc}."
        ) from exc


def _stored(fake: "FakeInset", notebook: FakeNotebook, status: int, **headers: str) -> Response:
    told = {**notebook.public(), "receipt": fake.signer.receipt(notebook, notebook.current)}
    return JSONResponse(told, status, {"Location": f"/v1/notebooks/{notebook.id}", **headers})


def _made(fake: "FakeInset", notebook: FakeNotebook, version: FakeVersion) -> Response:
    return JSONResponse({**version.public(), "receipt": fake.signer.receipt(notebook, version)}, 201)


def _tagged(
    request: Request, tag: object, write: Callable[[], Response], headers: dict[str, str] | None = None
) -> Response:
    headers = {"ETag": f'"{tag}"', **(headers or {})}
    known = request.headers.get("If-None-Match") == headers["ETag"]
    answer = Response(status_code=304) if known else write()
    answer.headers.update(headers)
    return answer


_ONE = "/v1/notebooks/{id}"
_NUMBERED = f"{_ONE}/versions/{{number:int}}"
CALLS: list[tuple[str, str, Call]] = [
    ("POST", "/v1/notebooks", create),
    ("GET", "/v1/notebooks", list_all),
    ("GET", _ONE, get),
    ("PATCH", _ONE, rename),
    ("DELETE", _ONE, delete),
    ("POST", f"{_ONE}/undelete", undelete),
    ("GET", f"{_ONE}/content", content),
    ("PUT", f"{_ONE}/content", replace),
    ("GET", f"{_ONE}/preview", preview),
    ("GET", f"{_ONE}/diff", diff),
    ("GET", f"{_ONE}/versions", versions),
    ("GET", _NUMBERED, version),
    ("PATCH", _NUMBERED, label),
    ("GET", f"{_NUMBERED}/content", content),
    ("GET", f"{_NUMBERED}/preview", preview),
    ("GET", f"{_NUMBERED}/receipt", receipt),
    ("POST", f"{_NUMBERED}/restore", restore),
    ("POST", f"{_NUMBERED}/resolve", resolve),
]
