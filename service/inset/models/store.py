"""Where versions' bytes are."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, text
from sqlmodel import Field

from inset.clock import UtcDateTime, now
from inset.models.table import Table

BodyFormat = Literal["whole", "quick", "packed", "patch"]
"""How a body is written: the bytes themselves; a skeleton that was compressed quickly, for the packer to take up;
one compressed hard; what differs from another version's skeleton."""

BlobFormat = Literal["quick", "packed", "decoded"]
"""How a blob is written: compressed quickly, for the packer to take up; hard; hard after its base64 was decoded.

Of the latter two it may be what differs from another blob that is compressed: then it has a `BlobBase`."""


def _partial(name: str, column: str, where: str, *, unique: bool = False) -> Index:
    return Index(name, column, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class DataKeyRow(Table, table=True):
    """A key that encrypts what is stored of a host application, itself wrapped by a master key."""

    __tablename__ = "data_keys"
    __table_args__ = (_partial("data_keys_current", "host_id", "retired_at IS NULL", unique=True),)

    id: str = Field(primary_key=True, max_length=32)
    host_id: str = Field(foreign_key="hosts.id", max_length=64)
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when nothing new is encrypted with it. The row goes once nothing at all is."""


class Body(Table, table=True):
    """A version's bytes, apart from `Version` so that listing a history reads none of them."""

    __tablename__ = "bodies"
    __table_args__ = (
        ForeignKeyConstraint(["notebook_id", "number"], ["versions.notebook_id", "versions.number"]),
        _partial("bodies_by_data_key", "data_key", "data_key IS NOT NULL"),
    )

    notebook_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    format: str = Field(sa_column=Column(String(8), nullable=False, server_default="whole"))
    """A `BodyFormat`."""
    base: int | None = None
    """The version whose skeleton a patch stands on."""
    data_key: str | None = Field(default=None, foreign_key="data_keys.id", max_length=32)
    """What its content is encrypted with, if it is."""


class Blob(Table, table=True):
    """A large piece of notebooks of one host application: an output, an image."""

    __tablename__ = "blobs"
    __table_args__ = (_partial("blobs_by_data_key", "data_key", "data_key IS NOT NULL"),)

    host_id: str = Field(sa_column=Column(String(64), ForeignKey("hosts.id"), primary_key=True))
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    """The piece's hash, keyed with the host application's `store_key`."""
    format: str = Field(max_length=8)
    """A `BlobFormat`."""
    size: int
    """Bytes, as a reader gets them."""
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    data_key: str | None = Field(default=None, foreign_key="data_keys.id", max_length=32)
    """What its content is encrypted with, if it is."""


class BlobBase(Table, table=True):
    """That a blob is written as what differs from another of its host application's, which has to stay therefore.

    A table, not a column of `blobs`: SQLite would have to copy that, the largest there is, to refer to itself.
    """

    __tablename__ = "blob_bases"
    __table_args__ = (
        ForeignKeyConstraint(["host_id", "key"], ["blobs.host_id", "blobs.key"], ondelete="CASCADE"),
        ForeignKeyConstraint(["host_id", "base"], ["blobs.host_id", "blobs.key"]),
        Index("blob_bases_by_base", "host_id", "base"),
    )

    host_id: str = Field(primary_key=True, max_length=64)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    base: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class BlobUse(Table, table=True):
    """That some version of a notebook has a blob in it: a row for each notebook, as its versions are many."""

    __tablename__ = "blob_uses"
    __table_args__ = (
        ForeignKeyConstraint(["host_id", "key"], ["blobs.host_id", "blobs.key"]),
        Index("blob_uses_by_blob", "host_id", "key"),
    )

    notebook_id: str = Field(foreign_key="notebooks.id", primary_key=True)
    host_id: str = Field(max_length=64)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
