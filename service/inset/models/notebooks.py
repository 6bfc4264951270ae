"""Notebooks and their immutable, numbered versions."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import AfterValidator, BaseModel
from sqlalchemy import Column, ForeignKey, Index, String
from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.table import Table

Origin = Literal["api", "autosave", "save", "restore", "stop", "merge"]
"""What made a version: a call of the API, Jupyter's autosave, somebody's save, a restore, a server's stop, a merge."""

Aside = Literal["open", "settled"]
"""Beside its notebook's line, since a conflict: `open` until somebody takes a side."""

Take = Literal["mine", "theirs", "merge"]
"""What becomes current: the version on the side, the current one as it is, or what both of them changed."""


def _printable(name: str) -> str:
    name = name.strip()
    if not name:
        raise ValueError("must not be blank")
    if not all(char.isprintable() for char in name):
        raise ValueError("must not hold control characters, line breaks or lone surrogates")
    return name


NAME_LENGTH = 200
"""The most characters that a notebook's name has."""

Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(_printable)]
"""A notebook's name as people read it: up to 200 printable characters, slashes, dots and emoji included."""


BURIED = datetime(1970, 1, 1, tzinfo=UTC)
"""When a notebook was deleted, as its row says, while it is removed for good: half of it can't be brought back."""


class Notebook(Table, table=True):
    """A stored document of one user."""

    __tablename__ = "notebooks"
    __table_args__ = (Index("notebooks_by_owner", "host_id", "owner", "created_at", "id"),)

    id: str = Field(default_factory=lambda: uuid4().hex, primary_key=True)
    host_id: str = Field(sa_column=Column(String(64), ForeignKey("hosts.id"), nullable=False))
    owner: str
    name: str
    current: int = 0
    """The number of the version that a reader gets."""
    last_number: int = 0
    """The counter from which versions are numbered: also of those kept on the side."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Version(Table, table=True):
    """An immutable snapshot of a notebook: everything about it but its bytes."""

    __tablename__ = "versions"

    notebook_id: str = Field(foreign_key="notebooks.id", primary_key=True)
    number: int = Field(primary_key=True)
    parent: int | None = None
    """The version this one was based on. A conflicting write has an old one; retention may have removed it."""
    sha256: str
    size: int
    origin: str
    author: str
    valid: bool = True
    """False for what Jupyter saved and nbformat rejects: kept all the same, for refusing would lose work."""
    label: str | None = Field(default=None, max_length=NAME_LENGTH)
    """What a person calls it. A labelled version is kept by every retention."""
    aside: str | None = Field(default=None, max_length=8)
    """Whether it is beside its notebook's line, and whether that is settled: an `Aside`."""
    merged: int | None = None
    """The version on the side that this one took in."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class NotebookCreate(BaseModel):
    """A new notebook: empty, or with a document of one's own."""

    model_config = {"json_schema_extra": {"examples": [{"name": "Reach of open access"}]}, "extra": "forbid"}

    name: Name
    content: dict[str, Any] | None = Field(
        default=None, description="An nbformat 4 document. Left out: an empty notebook."
    )


class NotebookRename(BaseModel):
    """What can be changed about a notebook besides its content."""

    model_config = {"json_schema_extra": {"examples": [{"name": "Reach of open access, 2026"}]}, "extra": "forbid"}

    name: Name


class NotebookPublic(BaseModel):
    """A notebook, without its content."""

    id: str
    name: str
    version: int = Field(description="The number of the current version; also the ETag of its content.")
    size: int = Field(description="Bytes of the current version.")
    sha256: str = Field(description="Hash of the current version's bytes.")
    created_at: datetime
    updated_at: datetime


class NotebookStored(NotebookPublic):
    """A notebook whose current version was stored just now, or was stored before with equal content."""

    receipt: str = Field(description="A signed proof of that version (`docs/receipts.md`).")


class NotebookList(BaseModel):
    """One page of a user's notebooks, newest first."""

    items: list[NotebookPublic]
    next_cursor: str | None = Field(description="Give it as `cursor` to get the next page; null on the last one.")


class VersionPublic(BaseModel):
    """A version, without its content."""

    number: int
    parent: int | None
    sha256: str
    size: int
    origin: Origin
    author: str
    valid: bool
    label: str | None = Field(description="What a person calls it.")
    aside: Aside | None = Field(
        description="Null on the notebook's own line. A version that a conflict kept beside it is `open` until "
        "somebody takes a side, and then `settled`."
    )
    merged: int | None = Field(description="The version on the side that this one took in.")
    created_at: datetime


class VersionLabel(BaseModel):
    """What a person calls a version."""

    model_config = {"json_schema_extra": {"examples": [{"label": "As submitted"}]}, "extra": "forbid"}

    label: Name | None = Field(description="Up to 200 printable characters; null takes the label away.")


class VersionResolve(BaseModel):
    """Which side of a conflict is taken."""

    model_config = {"json_schema_extra": {"examples": [{"take": "merge"}]}, "extra": "forbid"}

    take: Take = Field(
        description="`mine`: the version on the side. `theirs`: the current one. `merge`: what both changed."
    )


class VersionStored(VersionPublic):
    """A version that was stored just now."""

    receipt: str = Field(description="A signed proof of it (`docs/receipts.md`).")


class VersionList(BaseModel):
    """One page of a notebook's history, newest first."""

    items: list[VersionPublic]
    next_cursor: str | None
