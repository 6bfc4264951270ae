"""A Flask application with a notebook on its page.

INSET_KEY='…' flask --app app run --port 8080
"""

import os
import time
from pathlib import Path

import httpx
import jwt
from flask import Flask, redirect, render_template, request, send_from_directory, session

SERVICE = os.environ.get("INSET_SERVICE", "http://localhost:8091")
KEY = os.environ["INSET_KEY"]
SDK = Path(os.environ.get("INSET_SDK", Path(__file__).parents[3] / "frontend-snippet" / "dist"))

app = Flask(__name__)
app.secret_key = os.environ.get("APP_SECRET", os.urandom(32))
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"

NOTEBOOKS: dict[str, str] = {}
"""Each user's notebook; a column of a table of yours."""


def token(user: str) -> str:
    """Tell Inset who this is, for five minutes."""
    now = int(time.time())
    claims = {"iss": "my-app", "aud": SERVICE, "sub": user, "iat": now, "exp": now + 300}
    return jwt.encode(claims, KEY, algorithm="HS256", headers={"kid": "my-app-1"})


def notebook_of(user: str) -> str:
    """Give the id of the user's notebook, which is made when it is first asked for."""
    if user not in NOTEBOOKS:
        headers = {"Authorization": f"Bearer {token(user)}"}
        made = httpx.post(f"{SERVICE}/v1/notebooks", json={"name": "My analysis"}, headers=headers)
        NOTEBOOKS[user] = made.raise_for_status().json()["id"]
    return NOTEBOOKS[user]


@app.get("/")
def page():
    user = session.get("user")
    return render_template("page.html", user=user, service=SERVICE, notebook=user and notebook_of(user))


@app.post("/login")
def login():
    # Your own login stands here, with its passwords.
    session["user"] = request.form["user"]
    return redirect("/")


@app.post("/inset-token")
def inset_token():
    if "user" not in session:
        return "Log in first", 401
    return token(session["user"]), {"Content-Type": "text/plain", "Cache-Control": "no-store"}


@app.get("/sdk/<path:name>")
def sdk(name: str):
    return send_from_directory(SDK, name)
