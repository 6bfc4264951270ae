"""One running notebook server, with Inset's save bridge inside or without it.

It is dialled at the hub's proxy, under the public host name of its seat. A bridge knows the service by what it signs
(`inset.calls`); Jupyter itself, and a bridge that does not, by a token of the hub's for this server alone. Every way in
which it can fail becomes `ServerGone`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, RootModel, ValidationError

from inset.calls import signed
from inset.documents import Document
from inset.errors import ServerGone, VersionConflict

FlushOrigin = Literal["save", "stop"]
Answer = TypeVar("Answer", bound=BaseModel)


class Flushed(BaseModel):
    """What the bridge answered to a flush: the version that the database now holds."""

    version: int
    sha256: str
    flushed: bool
    """Whether an open page's unsaved edits, if any, are in it."""


class Loaded(BaseModel):
    """Where a document is now in its server."""

    path: str
    bridged: bool = True
    """Whether the server has a save bridge, which now watches it."""


class DiskFull(ServerGone):
    """It answers, and its disk has no room for the notebook: a session fails so. A caller hears that it is gone."""

    reason = "disk-full"


class _Conflict(BaseModel):
    current_version: int
    kept_version: int
    resolve: str | None = None
    """Bridges that are older than this say nothing."""


class _Error(BaseModel):
    code: str = ""


class _Text(BaseModel):
    content: str


class _JupyterSession(BaseModel):
    id: str
    path: str


class NotebookServer:
    """Calls one server's contents API and its bridge."""

    def __init__(
        self, http: httpx.AsyncClient, *, dial: str, url: str, key: str, mint: Callable[[], Awaitable[str]]
    ) -> None:
        """`key` is its bridge's; `mint` makes a hub token where one is needed, and raises as `HubClient.mint` does."""
        public = urlsplit(url)
        self._http = http
        self._dial, self._path, self._host = dial, public.path, public.netloc
        self._key = key
        self._mint = mint
        self._token = ""

    async def load(
        self, notebook_id: str, *, path: str, version: int, document: Document, origins: Sequence[str]
    ) -> Loaded:
        """Put a document into its file, byte for byte; a bridge that knows the document keeps it where it is.

        `origins` are those of the pages that may frame it: a server that was started ahead knows none.
        """
        text = document.content.decode("utf-8", "replace")
        body = {
            "path": path,
            "version": version,
            "sha256": document.sha256,
            "content": text,
            "origins": list(origins),
        }
        response = await self._call_bridge("PUT", f"inset/api/documents/{notebook_id}", json=body)
        if response.status_code == 404:
            await self._write(path, text)
            return Loaded(path=path, bridged=False)
        if response.status_code == 507:
            raise DiskFull
        return _parsed(response, Loaded)

    async def flush(self, path: str, origin: FlushOrigin, *, base: int) -> Flushed:
        """Let the bridge ask an open page for its edits and send what is newest. Raises `VersionConflict`."""
        body = {"path": path, "origin": origin, "ask_page": True}
        return _flushed(await self._call_bridge("POST", "inset/api/flush", json=body), base=base)

    async def detach(self, notebook_id: str, *, base: int, ask_page: bool) -> Flushed | None:
        """Let the bridge flush a document, cut its frames, close its kernels; None if it has done so before.

        Raises `VersionConflict`.
        """
        asked = {"ask_page": ask_page}
        response = await self._call_bridge("DELETE", f"inset/api/documents/{notebook_id}", params=asked)
        if response.status_code == 404 and _parsed(response, _Error, ok=404).code == "unknown-document":
            return None
        return _flushed(response, base=base)

    async def read(self, path: str) -> bytes | None:
        """Read a file's text as it lies on the server's disk; None if there is no such file."""
        query = {"type": "file", "format": "text", "content": "1"}
        response = await self._call("GET", f"api/contents/{quote(path)}", params=query)
        if response.status_code == 404:
            return None
        return _parsed(response, _Text).content.encode("utf-8", "backslashreplace")

    async def close_kernels(self, path: str) -> None:
        """Shut down the kernels that run for a file."""
        response = await self._call("GET", "api/sessions")
        for session in _parsed(response, RootModel[list[_JupyterSession]]).root:
            if session.path == path:
                await self._call("DELETE", f"api/sessions/{quote(session.id, safe='')}")

    async def _write(self, path: str, text: str) -> None:
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = quote("/".join(folders[:depth]))
            response = await self._call("PUT", f"api/contents/{folder}", json={"type": "directory"})
            # A folder that is there already is fine, whichever way this server says so.
            if response.status_code >= 500:
                raise ServerGone
        # As a text file, for a notebook would be read, changed and written anew.
        body = {"type": "file", "format": "text", "content": text}
        response = await self._call("PUT", f"api/contents/{quote(path)}", json=body)
        if response.status_code not in (200, 201):
            raise ServerGone

    async def _call_bridge(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call with what is signed, and if no bridge answers that, as Jupyter itself is called.

        There may be none, or one that is older or has no key yet; or the server is gone, and the hub knows more.
        None of these calls does harm if it is made twice.
        """
        try:
            response = await self._send(method, path, signed(self._key, method, self._path + path), **options)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as exc:
            raise ServerGone from exc  # it was reached, and would be waited for as long again
        except httpx.HTTPError:
            return await self._call(method, path, **options)
        return response if _is_of_bridge(response) else await self._call(method, path, **options)

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        self._token = self._token or await self._mint()
        try:
            return await self._send(method, path, f"token {self._token}", **options)
        except httpx.HTTPError as exc:
            raise ServerGone from exc

    async def _send(self, method: str, path: str, authorization: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": authorization, "Host": self._host}
        # Redirects are not followed: a stopped server's requests fall through to the hub and its login.
        return await self._http.request(method, self._dial + self._path + path, headers=headers, **options)


def _is_of_bridge(response: httpx.Response) -> bool:
    """Tell whether a bridge has taken a signed call. Where others could answer so, too, its own answer has a code."""
    if response.status_code not in (404, 502, 503, 504):
        return response.status_code not in (302, 401, 403, 424)
    try:
        return bool(_Error.model_validate_json(response.content).code)
    except ValidationError:
        return False


def _flushed(response: httpx.Response, *, base: int) -> Flushed:
    if response.status_code == 409:
        conflict = _parsed(response, _Conflict, ok=409)
        raise VersionConflict(
            base=base, current=conflict.current_version, kept=conflict.kept_version, resolve=conflict.resolve
        )
    return _parsed(response, Flushed)


def _parsed(response: httpx.Response, answer: type[Answer], *, ok: int = 200) -> Answer:
    # What answers is the user's own server, which may say anything.
    if response.status_code != ok:
        raise ServerGone
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as exc:
        raise ServerGone from exc
