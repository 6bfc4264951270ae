"""Where versions' bytes are."""

from typing import Literal

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String
from sqlmodel import Field, SQLModel

BodyFormat = Literal["whole", "quick", "packed", "patch"]
"""How a body is written: the bytes themselves; a skeleton that was compressed quickly, for the packer to take up;
one compressed hard; what differs from another version's skeleton."""

BlobFormat = Literal["quick", "packed", "decoded"]
"""How a blob is written: compressed quickly, for the packer to take up; hard; hard after its base64 was decoded."""


class Body(SQLModel, table=True):
    """A version's bytes, apart from `Version` so that listing a history reads none of them."""

    __tablename__ = "bodies"
    __table_args__ = (ForeignKeyConstraint(["notebook_id", "number"], ["versions.notebook_id", "versions.number"]),)

    notebook_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    format: str = Field(sa_column=Column(String(8), nullable=False, server_default="whole"))
    """A `BodyFormat`."""
    base: int | None = None
    """The version whose skeleton a patch stands on."""


class Blob(SQLModel, table=True):
    """A large piece of notebooks of one host application: an output, an image."""

    __tablename__ = "blobs"

    host_id: str = Field(sa_column=Column(String(64), ForeignKey("hosts.id"), primary_key=True))
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    """The piece's hash, keyed with the host application's `store_key`."""
    format: str = Field(max_length=8)
    """A `BlobFormat`."""
    size: int
    """Bytes, as a reader gets them."""
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class BlobUse(SQLModel, table=True):
    """That some version of a notebook has a blob in it: a row for each notebook, as its versions are many."""

    __tablename__ = "blob_uses"
    __table_args__ = (
        ForeignKeyConstraint(["host_id", "key"], ["blobs.host_id", "blobs.key"]),
        Index("blob_uses_by_blob", "host_id", "key"),
    )

    notebook_id: str = Field(foreign_key="notebooks.id", primary_key=True)
    host_id: str = Field(max_length=64)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
