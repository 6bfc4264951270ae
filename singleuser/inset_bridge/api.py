"""`inset/api/…`: what the service and the page ask of the bridge. HTTP in, one verb, HTTP out."""

import asyncio
import re
from dataclasses import asdict
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado.web import authenticated

from inset_bridge import __version__
from inset_bridge.calls import Calls, ServiceHandler
from inset_bridge.documents import Documents
from inset_bridge.entry import write_json_error
from inset_bridge.errors import BadRequest
from inset_bridge.files import notebook_bytes, notebook_path
from inset_bridge.origins import Origins
from inset_bridge.pages import Pages

PROTOCOL = 1
_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


class _Handler(APIHandler):
    auth_resource = "contents"

    def initialize(self, documents: Documents, pages: Pages, origins: Origins, calls: Calls) -> None:
        self.documents, self.pages, self.origins, self.calls = documents, pages, origins, calls

    def body(self) -> dict[str, Any]:
        body = self.get_json_body()
        if not isinstance(body, dict):
            raise BadRequest("the body is not a JSON object")
        return body

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        write_json_error(self, status_code, **kwargs)


class DocumentHandler(_Handler, ServiceHandler):
    @authenticated
    @authorized
    async def put(self, notebook_id: str) -> None:
        body = self.body()
        if origins := _origins(body):
            # A server that was started ahead is told only now whose pages it is for.
            self.origins.host = origins
        path = await self.documents.load(
            notebook_id,
            path=notebook_path(body.get("path")),
            version=_integer(body, "version"),
            sha256=_text(body, "sha256"),
            content=_utf8(_text(body, "content")),
        )
        self.finish({"bridge": __version__, "protocol": PROTOCOL, "path": path})

    @authenticated
    @authorized
    async def delete(self, notebook_id: str) -> None:
        ask_page = self.get_query_argument("ask_page", "true") != "false"
        self.finish(asdict(await self.documents.detach(notebook_id, ask_page=ask_page)))


class FlushHandler(_Handler, ServiceHandler):
    @authenticated
    @authorized
    async def post(self) -> None:
        body = self.body()
        origin = body.get("origin", "save")
        if origin not in ("save", "autosave", "stop"):
            raise BadRequest("origin is none of save, autosave, stop")
        try:
            flushed = await self.documents.flush(
                notebook_path(body.get("path")), origin=origin, ask_page=body.get("ask_page") is True
            )
        finally:
            # Even when sending failed: the page's edits are in the file, and whoever asked finds that out for himself.
            self.pages.answered(str(body.get("request", "")))
        self.finish(asdict(flushed))


class KeepHandler(_Handler):
    @authenticated
    @authorized
    async def post(self) -> None:
        """A page can't save what it holds, for another page saved the file meanwhile: both are kept."""
        body = self.body()
        content = await asyncio.to_thread(notebook_bytes, body.get("content"))
        path = notebook_path(body.get("path"))
        self.finish({"hash": await self.documents.keep(path, content, based_on=_text(body, "hash"))})


class LeaveHandler(_Handler):
    @authenticated
    @authorized
    async def post(self) -> None:
        """A page went away with edits: the browser delivers them, and nobody waits for the answer."""
        body = self.body()
        content = await asyncio.to_thread(notebook_bytes, body.get("content"))
        path, based_on, unanswered = notebook_path(body.get("path")), _text(body, "hash"), body.get("unanswered", [])
        if not isinstance(unanswered, list):
            raise BadRequest("unanswered is no list")
        await self.documents.leave(path, content, based_on=based_on, unanswered=unanswered)
        self.set_status(204)


class AbsentHandler(_Handler):
    @authenticated
    @authorized
    async def post(self) -> None:
        """A page that was asked for its edits does not show the notebook."""
        self.pages.answered(_text(self.body(), "request"))
        self.set_status(204)


def _origins(body: dict[str, Any]) -> tuple[str, ...]:
    """Read the pages' exact origins; none from a service that tells them otherwise, being older."""
    origins = body.get("origins", [])
    if not isinstance(origins, list) or not all(isinstance(one, str) and _ORIGIN.fullmatch(one) for one in origins):
        raise BadRequest("origins are not exact origins")
    return tuple(origins)


def _text(body: dict[str, Any], member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str):
        raise BadRequest(f"{member} is not a text")
    return value


def _integer(body: dict[str, Any], member: str) -> int:
    value = body.get(member)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"{member} is not a whole number")
    return value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise BadRequest("content is no Unicode text") from exc
