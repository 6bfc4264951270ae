"""What a check tells. `docs/troubleshooting.md` lists every code; a test compares."""

from typing import Literal

from pydantic import BaseModel, Field

Level = Literal["ok", "skipped", "warning", "error"]


class Finding(BaseModel, frozen=True):
    """One thing that a check found."""

    code: str = Field(description="Stable: to branch on, and to look up in the documentation.")
    level: Level = Field(description="`error`: notebooks do not open, or not safely. `skipped`: it was not checked.")
    message: str
    fix: str | None = Field(default=None, description="What to change, and where.")


def ok(code: str, message: str) -> Finding:
    """Tell that something is as it should be."""
    return Finding(code=code, level="ok", message=message)


def skipped(code: str, message: str) -> Finding:
    """Tell that something could not be looked at, and why."""
    return Finding(code=code, level="skipped", message=message)


def warning(code: str, message: str, fix: str) -> Finding:
    """Tell of something that works for now, or for some."""
    return Finding(code=code, level="warning", message=message, fix=fix)


def error(code: str, message: str, fix: str) -> Finding:
    """Tell of something that keeps notebooks from opening, or users from being apart."""
    return Finding(code=code, level="error", message=message, fix=fix)
