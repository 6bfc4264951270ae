"""First schema: hosts, notebooks with their versions, servers, sessions with their events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "route", "key"),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False)

    op.create_table(
        "used_tickets",
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti"),
    )
    with op.batch_alter_table("used_tickets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_used_tickets_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "notebooks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("current", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"],
            ["hosts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("notebooks", schema=None) as batch_op:
        batch_op.create_index("notebooks_by_owner", ["host_id", "owner", "created_at", "id"], unique=False)

    op.create_table(
        "servers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("seat", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("starting", "running", "stopping", "stopped", name="serverstate", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"],
            ["hosts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.create_index(
            "one_server_a_seat",
            ["seat"],
            unique=True,
            sqlite_where=sa.text("state != 'stopped'"),
            postgresql_where=sa.text("state != 'stopped'"),
        )
        batch_op.create_index(
            "one_server_a_user",
            ["host_id", "owner"],
            unique=True,
            sqlite_where=sa.text("state IN ('starting', 'running')"),
            postgresql_where=sa.text("state IN ('starting', 'running')"),
        )

    op.create_table(
        "sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("notebook_id", sa.String(), nullable=False),
        sa.Column("server_id", sa.String(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "starting",
                "loading",
                "ready",
                "ending",
                "ended",
                "failed",
                name="sessionstate",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("failure", sa.JSON(), nullable=True),
        sa.Column("ending_reason", sa.String(), nullable=True),
        sa.Column("ending_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embeddable", sa.Boolean(), nullable=True),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"],
            ["hosts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["notebook_id"],
            ["notebooks.id"],
        ),
        sa.ForeignKeyConstraint(
            ["server_id"],
            ["servers.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(
            "one_session_a_notebook",
            ["notebook_id"],
            unique=True,
            sqlite_where=sa.text("state NOT IN ('ending', 'ended', 'failed')"),
            postgresql_where=sa.text("state NOT IN ('ending', 'ended', 'failed')"),
        )
        batch_op.create_index("sessions_by_owner", ["host_id", "owner", "created_at", "id"], unique=False)
        batch_op.create_index("sessions_by_server", ["server_id"], unique=False)
        batch_op.create_index("sessions_by_state", ["state"], unique=False)

    op.create_table(
        "versions",
        sa.Column("notebook_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["notebook_id"],
            ["notebooks.id"],
        ),
        sa.PrimaryKeyConstraint("notebook_id", "number"),
    )
    op.create_table(
        "bodies",
        sa.Column("notebook_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notebook_id", "number"],
            ["versions.notebook_id", "versions.number"],
        ),
        sa.PrimaryKeyConstraint("notebook_id", "number"),
    )
    op.create_table(
        "session_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("session_events", schema=None) as batch_op:
        batch_op.create_index("events_by_session", ["session_id", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("session_events", schema=None) as batch_op:
        batch_op.drop_index("events_by_session")

    op.drop_table("session_events")
    op.drop_table("bodies")
    op.drop_table("versions")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index("sessions_by_state")
        batch_op.drop_index("sessions_by_server")
        batch_op.drop_index("sessions_by_owner")
        batch_op.drop_index(
            "one_session_a_notebook",
            sqlite_where=sa.text("state NOT IN ('ending', 'ended', 'failed')"),
            postgresql_where=sa.text("state NOT IN ('ending', 'ended', 'failed')"),
        )

    op.drop_table("sessions")
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.drop_index(
            "one_server_a_user",
            sqlite_where=sa.text("state IN ('starting', 'running')"),
            postgresql_where=sa.text("state IN ('starting', 'running')"),
        )
        batch_op.drop_index(
            "one_server_a_seat",
            sqlite_where=sa.text("state != 'stopped'"),
            postgresql_where=sa.text("state != 'stopped'"),
        )

    op.drop_table("servers")
    with op.batch_alter_table("notebooks", schema=None) as batch_op:
        batch_op.drop_index("notebooks_by_owner")

    op.drop_table("notebooks")
    with op.batch_alter_table("used_tickets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_used_tickets_expires_at"))

    op.drop_table("used_tickets")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_created_at"))

    op.drop_table("idempotency_keys")
    op.drop_table("hosts")
