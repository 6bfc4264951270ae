"""What routes ask for, by type."""

from typing import Annotated, cast

from fastapi import Depends, Request

from .analyses import Analyses
from .inset import Inset
from .problems import NotLoggedIn
from .settings import Settings
from .tokens import Tokens

USERS = {"ada": "Ada Okonkwo", "grace": "Grace Lindqvist"}
COOKIE = "fieldnotes"


def _settings(request: Request) -> Settings:
    return cast(Settings, request.state.settings)


def _tokens(request: Request) -> Tokens:
    return cast(Tokens, request.state.tokens)


def _analyses(request: Request) -> Analyses:
    return cast(Analyses, request.state.analyses)


def _inset(request: Request) -> Inset:
    return cast(Inset, request.state.inset)


SettingsDep = Annotated[Settings, Depends(_settings)]
TokensDep = Annotated[Tokens, Depends(_tokens)]
AnalysesDep = Annotated[Analyses, Depends(_analyses)]
InsetDep = Annotated[Inset, Depends(_inset)]


def _user(request: Request, tokens: TokensDep) -> str:
    user = tokens.logged_in(request.cookies.get(COOKIE, ""))
    if user not in USERS:
        raise NotLoggedIn
    return user


User = Annotated[str, Depends(_user)]
