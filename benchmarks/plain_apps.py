"""What Inset's requests are compared with: the least that FastAPI does, and the least that the server does."""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send


class Health(BaseModel):
    """A sign of life."""

    status: str = "ok"


trivial = FastAPI()


@trivial.get("/trivial/{id}")
async def alive(id: str) -> Health:
    """Answer."""
    return Health()


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Take a body in and forget it, and answer, without a framework."""
    while scope["type"] == "http" and (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"15")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"status":"ok"}'})
