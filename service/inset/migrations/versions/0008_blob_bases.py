"""Blobs that are written as what differs from another one."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

# What a release has written, every later one reads: these are not going to change under this migration.
from inset.store import compression
from inset.store.chains import Kept, unpacked

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blob_bases",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("base", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["host_id", "key"], ["blobs.host_id", "blobs.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["host_id", "base"], ["blobs.host_id", "blobs.key"]),
        sa.PrimaryKeyConstraint("host_id", "key"),
    )
    op.create_index("blob_bases_by_base", "blob_bases", ["host_id", "base"])


_BLOBS = sa.table("blobs", *map(sa.column, ("host_id", "key", "format", "content", "data_key")))
_BASES = sa.table("blob_bases", *map(sa.column, ("host_id", "key", "base")))


def downgrade() -> None:
    connection = op.get_bind()
    for host_id, key in connection.execute(sa.select(_BASES.c.host_id, _BASES.c.key)).all():
        here = (_BLOBS.c.host_id == host_id, _BLOBS.c.key == key)
        whole = compression.pack_hard(unpacked(key, dict(_chain(connection, host_id, key))))
        # What stands on it needs what it says, not how that is written.
        connection.execute(sa.delete(_BASES).where(_BASES.c.host_id == host_id, _BASES.c.key == key))
        connection.execute(sa.update(_BLOBS).where(*here).values(content=whole))
    op.drop_index("blob_bases_by_base", "blob_bases")
    op.drop_table("blob_bases")


def _chain(connection: sa.Connection, host_id: str, key: bytes) -> Iterator[tuple[bytes, Kept]]:
    joined = sa.and_(_BASES.c.host_id == _BLOBS.c.host_id, _BASES.c.key == _BLOBS.c.key)
    wanted = sa.select(_BLOBS, _BASES.c.base).select_from(_BLOBS.outerjoin(_BASES, joined))
    at: bytes | None = key
    while at is not None:
        row: Any = connection.execute(wanted.where(_BLOBS.c.host_id == host_id, _BLOBS.c.key == at)).one()
        if row.data_key is not None:
            raise ValueError("the database holds what is encrypted: run `inset db decrypt` first")
        yield at, Kept(row.content, row.format, row.base)
        at = row.base
