"""A Django application with a notebook on its page, in one file; yours has settings.py, urls.py and views.py.

INSET_KEY='…' python app.py runserver 8080
"""

import os
import sys
import time
from pathlib import Path

import httpx
import jwt
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST
from django.views.static import serve

SERVICE = os.environ.get("INSET_SERVICE", "http://localhost:8091")
KEY = os.environ["INSET_KEY"]
HERE = Path(__file__).parent
SDK = Path(os.environ.get("INSET_SDK", HERE.parents[2] / "frontend-snippet" / "dist"))

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("APP_SECRET", os.urandom(32).hex()),
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE / "templates"]}],
)

NOTEBOOKS: dict[str, str] = {}
"""Each user's notebook; a field of a model of yours."""


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


def page(request):
    user = request.session.get("user")
    return render(request, "page.html", {"user": user, "service": SERVICE, "notebook": user and notebook_of(user)})


@require_POST
def login(request):
    # Your own login stands here, as `django.contrib.auth` brings it.
    request.session["user"] = request.POST["user"]
    return redirect("/")


@require_POST
def inset_token(request):
    if "user" not in request.session:
        return HttpResponse("Log in first", status=401)
    answer = HttpResponse(token(request.session["user"]), content_type="text/plain")
    answer["Cache-Control"] = "no-store"
    return answer


urlpatterns = [
    path("", page),
    path("login", login),
    path("inset-token", inset_token),
    path("sdk/<path:path>", serve, {"document_root": SDK}),
]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
