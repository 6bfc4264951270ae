"""Versions on the side, as such, with their labels and merges; servers that died, with what they still owe."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Until now a version was on the side if no chain of parents led to it from its notebook's current one.
_MARK_SIDES = sa.text(
    """
    WITH RECURSIVE line(notebook_id, number) AS (
        SELECT id, current FROM notebooks
        UNION
        SELECT versions.notebook_id, versions.parent FROM versions
        JOIN line ON line.notebook_id = versions.notebook_id AND line.number = versions.number
        WHERE versions.parent IS NOT NULL
    )
    UPDATE versions SET aside = 'open'
    WHERE NOT EXISTS (
        SELECT 1 FROM line WHERE line.notebook_id = versions.notebook_id AND line.number = versions.number
    )
    """
)


def upgrade() -> None:
    with op.batch_alter_table("versions") as batch_op:
        batch_op.add_column(sa.Column("label", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("aside", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("merged", sa.Integer(), nullable=True))
    op.execute(_MARK_SIDES)
    with op.batch_alter_table("servers") as batch_op:
        batch_op.add_column(sa.Column("died_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("servers") as batch_op:
        batch_op.drop_column("died_at")
    with op.batch_alter_table("versions") as batch_op:
        for column in ("merged", "aside", "label"):
            batch_op.drop_column(column)
