"""Encryption at rest: the wrapped keys, and what is encrypted with which."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _index(name: str, table: str, column: str, where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, [column], unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("data_keys_current", "data_keys", "host_id", "retired_at IS NULL", unique=True)
    for table in ("bodies", "blobs"):
        # As it is written, not as Alembic would do it on SQLite: these are the large tables, and must not be copied.
        op.execute(f"ALTER TABLE {table} ADD COLUMN data_key VARCHAR(32) REFERENCES data_keys (id)")
        _index(f"{table}_by_data_key", table, "data_key", "data_key IS NOT NULL")


def _encrypted(connection: sa.Connection) -> bool:
    held = "SELECT 1 FROM {} WHERE {} LIMIT 1"
    asked = [held.format(table, "data_key IS NOT NULL") for table in ("bodies", "blobs")]
    asked.append(held.format("hosts", "length(store_key) > 32"))
    return any(connection.execute(sa.text(asking)).first() is not None for asking in asked)


def downgrade() -> None:
    if _encrypted(op.get_bind()):
        raise ValueError("the database holds what is encrypted: run `inset db decrypt` first")
    for table in ("bodies", "blobs"):
        op.drop_index(f"{table}_by_data_key", table)
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("data_key")
    op.drop_table("data_keys")
