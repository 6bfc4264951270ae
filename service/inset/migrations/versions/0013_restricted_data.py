"""How far a host application's data may go, and under which policy sessions and servers were started."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SERVING = sa.text("state IN ('starting', 'running')")
_INDEX = "one_server_a_user_and_kind"
_OPEN = ("host_id", "owner", "may", "profile", "environment_key")


def _one_server(*columns: str) -> None:
    op.drop_index(_INDEX, "servers")
    op.create_index(_INDEX, "servers", list(columns), unique=True, sqlite_where=_SERVING, postgresql_where=_SERVING)


def upgrade() -> None:
    for table in ("hosts", "servers", "sessions"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(sa.Column("data_policy", sa.String(length=16), nullable=False, server_default="open"))
    _one_server("host_id", "owner", "may", "data_policy", "profile", "environment_key")


def downgrade() -> None:
    # What comes after would take a restricted server for any other: none of them is to be joined.
    op.execute("UPDATE servers SET state = 'stopping' WHERE state IN ('starting', 'running') AND data_policy != 'open'")
    _one_server(*_OPEN)
    for table in ("sessions", "servers", "hosts"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("data_policy")
