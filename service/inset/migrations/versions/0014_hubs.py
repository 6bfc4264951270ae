"""Several hubs: which one a server is at, and which take no new ones."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SEATED = sa.text("state != 'stopped'")
_INDEX = "one_server_a_seat"


def _one_server(*columns: str) -> None:
    op.drop_index(_INDEX, "servers")
    op.create_index(_INDEX, "servers", list(columns), unique=True, sqlite_where=_SEATED, postgresql_where=_SEATED)


def upgrade() -> None:
    with op.batch_alter_table("servers") as batch_op:
        batch_op.add_column(sa.Column("hub", sa.String(length=32), nullable=False, server_default="default"))
    _one_server("seat", "hub")
    op.create_table(
        "drains",
        sa.Column("hub", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("hub"),
    )


def downgrade() -> None:
    op.drop_table("drains")
    # What comes after knows one hub, and would look for these there: in seats that are others'.
    op.execute("UPDATE servers SET state = 'stopped' WHERE hub != 'default'")
    _one_server("seat")
    with op.batch_alter_table("servers") as batch_op:
        batch_op.drop_column("hub")
