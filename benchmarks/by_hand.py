"""What could be written in a week: a store of whole compressed copies that keeps the promises which cost time.

Each request's token is verified, a save is parsed, validated, and committed to the disk with its audit row, if it is
based on the newest version; its answer is a signed receipt. A load is checked by its hash, and has an audit row too.
There are no sessions, limits, metrics, webhooks, merges, keys that come again, blobs or encryption. All of it happens
on the event loop, which is the fastest for one request after the other and stops all others meanwhile.
"""

import hashlib
import os
import sqlite3
import time
from typing import Annotated
from uuid import uuid4

import orjson
from backports import zstd
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from jose import JWTError, jwk, jws, jwt
from nbformat.validator import get_validator

from tests.support.hosts import TestHost

_SCHEMA = """
CREATE TABLE notebooks (id TEXT PRIMARY KEY, owner TEXT NOT NULL, newest INTEGER NOT NULL);
CREATE TABLE versions (
    notebook TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, at REAL NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (notebook, number)
);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, notebook TEXT NOT NULL
);
"""

host = TestHost()
verifying = jwk.construct(host.signing_key, "HS256")
_private = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
signing = jwk.construct(_private, "ES256")
schema = get_validator(4, 5, name="fastjsonschema")
database = sqlite3.connect(os.environ["BY_HAND_DATABASE"], isolation_level=None)
database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
app = FastAPI()


async def verified(authorization: Annotated[str, Header()]) -> str:
    """Name the user whom the host application's token is for."""
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), verifying, "HS256", audience=host.audience)
    except JWTError as exc:
        raise HTTPException(401) from exc
    return str(claims["sub"])


User = Annotated[str, Depends(verified)]


@app.post("/v1/notebooks")
async def create(user: User) -> dict[str, str]:
    """Make a notebook without any version."""
    id = uuid4().hex
    database.execute("INSERT INTO notebooks VALUES (?, ?, 1)", (id, user))
    return {"id": id}


@app.put("/v1/notebooks/{id}/content")
async def save(id: str, request: Request, user: User, if_match: Annotated[str, Header()]) -> dict[str, str]:
    """Store a version if it is based on the newest."""
    content, base = await request.body(), int(if_match.strip('"'))
    schema.validate(orjson.loads(content))
    sha256, number, now = hashlib.sha256(content).hexdigest(), base + 1, time.time()
    database.execute("BEGIN IMMEDIATE")
    try:
        newest = "UPDATE notebooks SET newest = ? WHERE id = ? AND owner = ? AND newest = ?"
        if not database.execute(newest, (number, id, user, base)).rowcount:
            raise HTTPException(409)
        row = (id, number, sha256, len(content), now, zstd.compress(content, 1))
        database.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", row)
        _noted(now, user, "saved", id)
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    receipt = {"notebook": id, "version": number, "sha256": sha256, "time": now}
    return {"receipt": jws.sign(receipt, signing, algorithm="ES256")}


@app.get("/v1/notebooks/{id}/content")
async def load(id: str, user: User) -> Response:
    """Give the newest version."""
    found = database.execute(
        "SELECT body, sha256, number FROM notebooks JOIN versions ON notebook = id AND number = newest"
        " WHERE id = ? AND owner = ?",
        (id, user),
    ).fetchone()
    if found is None:
        raise HTTPException(404)
    body, sha256, number = found
    content = zstd.decompress(body)
    assert hashlib.sha256(content).hexdigest() == sha256, "the disk has another"
    _noted(time.time(), user, "opened", id)
    return Response(content, media_type="application/json", headers={"ETag": f'"{number}"'})


def _noted(at: float, user: str, what: str, id: str) -> None:
    database.execute("INSERT INTO audit (at, who, what, notebook) VALUES (?, ?, ?, ?)", (at, user, what, id))
