"""Servers that are started ahead: nobody's until a user gets one."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("servers") as batch_op:
        batch_op.alter_column("host_id", existing_type=sa.String(length=64), nullable=True)
        batch_op.add_column(sa.Column("made_of", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    # No session was ever in these. `inset sweep` finds those that still run.
    op.execute("DELETE FROM servers WHERE host_id IS NULL")
    with op.batch_alter_table("servers") as batch_op:
        batch_op.drop_column("made_of")
        batch_op.alter_column("host_id", existing_type=sa.String(length=64), nullable=False)
