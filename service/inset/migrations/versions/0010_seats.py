"""Profiles, how long sessions last, and the data credentials that hosts pass to them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SERVING = sa.text("state IN ('starting', 'running')")


def _one_server(name: str, columns: list[str]) -> None:
    op.create_index(name, "servers", columns, unique=True, sqlite_where=_SERVING, postgresql_where=_SERVING)


def upgrade() -> None:
    with op.batch_alter_table("hosts") as batch_op:
        batch_op.add_column(sa.Column("profiles", sa.JSON(), nullable=False, server_default='["default"]'))
    for table in ("servers", "sessions"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(sa.Column("profile", sa.String(length=32), nullable=False, server_default="default"))
            batch_op.add_column(sa.Column("environment", sa.JSON(), nullable=False, server_default="{}"))
            batch_op.add_column(sa.Column("environment_key", sa.String(length=64), nullable=False, server_default=""))
    with op.batch_alter_table("servers") as batch_op:
        batch_op.add_column(sa.Column("active_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("sessions") as batch_op:
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index("one_server_a_user_and_policy", "servers")
    _one_server("one_server_a_user_and_kind", ["host_id", "owner", "may", "profile", "environment_key"])
    op.create_table(
        "data_credentials",
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"]),
        sa.PrimaryKeyConstraint("session_id"),
    )


def downgrade() -> None:
    op.drop_table("data_credentials")
    op.drop_index("one_server_a_user_and_kind", "servers")
    # One user's servers of several profiles can't go back beside each other: the newest stays his.
    op.execute(
        "UPDATE servers SET state = 'stopping' WHERE state IN ('starting', 'running') AND EXISTS (SELECT 1 FROM servers "
        "AS newer WHERE newer.state IN ('starting', 'running') AND newer.host_id = servers.host_id "
        "AND newer.owner = servers.owner AND newer.may = servers.may AND (newer.created_at > servers.created_at "
        "OR newer.created_at = servers.created_at AND newer.id > servers.id))"
    )
    _one_server("one_server_a_user_and_policy", ["host_id", "owner", "may"])
    with op.batch_alter_table("sessions") as batch_op:
        for column in ("expires_at", "environment_key", "environment", "profile"):
            batch_op.drop_column(column)
    with op.batch_alter_table("servers") as batch_op:
        for column in ("active_at", "environment_key", "environment", "profile"):
            batch_op.drop_column(column)
    with op.batch_alter_table("hosts") as batch_op:
        batch_op.drop_column("profiles")
