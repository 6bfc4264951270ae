"""When sessions left the queue, and what is asked of the past to serve it fairly."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sessions") as batch_op:
        batch_op.add_column(sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("sessions_by_start", "sessions", ["started_at"])
    op.create_index("servers_by_host", "servers", ["host_id", "created_at"])


def downgrade() -> None:
    op.drop_index("servers_by_host", "servers")
    op.drop_index("sessions_by_start", "sessions")
    with op.batch_alter_table("sessions") as batch_op:
        batch_op.drop_column("started_at")
