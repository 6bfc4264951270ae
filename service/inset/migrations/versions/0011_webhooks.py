"""Webhooks: endpoints, how far the feeds were read, deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'waiting'")


def _of_those_waiting(name: str, columns: list[str]) -> None:
    op.create_index(name, "webhook_deliveries", columns, sqlite_where=_WAITING, postgresql_where=_WAITING)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("audit_after", sa.BigInteger(), nullable=False),
        sa.Column("events_after", sa.BigInteger(), nullable=False),
        sa.Column("switched_off_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"]),
        sa.PrimaryKeyConstraint("host_id", "name"),
    )
    op.create_table(
        "webhook_cursors",
        sa.Column("feed", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("feed"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=32), nullable=True),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    event_and_endpoint = ["event_id", "host_id", "endpoint"]
    op.create_index("one_delivery_an_event_and_endpoint", "webhook_deliveries", event_and_endpoint, unique=True)
    op.create_index("webhook_deliveries_by_host", "webhook_deliveries", ["host_id", "id"])
    op.create_index("webhook_deliveries_by_time", "webhook_deliveries", ["created_at"])
    _of_those_waiting("webhook_deliveries_due", ["next_at"])
    _of_those_waiting("webhook_deliveries_by_subject", ["host_id", "endpoint", "subject", "id"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_cursors", "webhook_endpoints"):
        op.drop_table(table)
