"""PostgreSQL: events never run out of ids, and notebooks, which are compressed already, are not compressed again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("session_events", "id", type_=sa.BigInteger(), existing_type=sa.Integer())
        op.execute("ALTER SEQUENCE session_events_id_seq AS bigint")
        op.execute("ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTERNAL")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTENDED")
        op.execute("ALTER SEQUENCE session_events_id_seq AS integer")
        op.alter_column("session_events", "id", type_=sa.Integer(), existing_type=sa.BigInteger())
