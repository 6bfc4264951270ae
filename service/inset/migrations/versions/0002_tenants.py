"""Host applications as tenants: key sets, limits, what their users may do; servers and sessions that follow it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_EVERYTHING = "edit run download terminals"
_SERVING = sa.text("state IN ('starting', 'running')")


def upgrade() -> None:
    with op.batch_alter_table("hosts") as batch_op:
        batch_op.add_column(sa.Column("jwks_url", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("limits", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("may", sa.String(), nullable=False, server_default=_EVERYTHING))
    for table in ("servers", "sessions"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(sa.Column("may", sa.String(), nullable=False, server_default=_EVERYTHING))
    op.drop_index("one_server_a_user", "servers")
    op.create_index(
        "one_server_a_user_and_policy",
        "servers",
        ["host_id", "owner", "may"],
        unique=True,
        sqlite_where=_SERVING,
        postgresql_where=_SERVING,
    )
    op.create_table(
        "revocations",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"]),
        sa.PrimaryKeyConstraint("host_id", "user"),
    )


def downgrade() -> None:
    op.drop_table("revocations")
    op.drop_index("one_server_a_user_and_policy", "servers")
    op.create_index(
        "one_server_a_user",
        "servers",
        ["host_id", "owner"],
        unique=True,
        sqlite_where=_SERVING,
        postgresql_where=_SERVING,
    )
    for table in ("sessions", "servers"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("may")
    with op.batch_alter_table("hosts") as batch_op:
        for column in ("may", "limits", "jwks_url"):
            batch_op.drop_column(column)
