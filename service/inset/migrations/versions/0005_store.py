"""Bodies in pieces: skeletons, the blobs they share, and the secret by which a host application's blobs are named."""

import secrets

import sqlalchemy as sa
from alembic import op

# What a release has written, every later one reads: these are not going to change under this migration.
from inset.store.chains import Kept, piece
from inset.store.skeletons import Written, read_skeleton
from inset.store.splitting import join

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bodies", sa.Column("format", sa.String(length=8), nullable=False, server_default="whole"))
    op.add_column("bodies", sa.Column("base", sa.Integer(), nullable=True))
    op.create_table(
        "blobs",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"]),
        sa.PrimaryKeyConstraint("host_id", "key"),
    )
    op.create_table(
        "blob_uses",
        sa.Column("notebook_id", sa.String(), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["notebook_id"], ["notebooks.id"]),
        sa.ForeignKeyConstraint(["host_id", "key"], ["blobs.host_id", "blobs.key"]),
        sa.PrimaryKeyConstraint("notebook_id", "key"),
    )
    op.create_index("blob_uses_by_blob", "blob_uses", ["host_id", "key"])
    op.add_column("hosts", sa.Column("store_key", sa.LargeBinary(), nullable=True))
    hosts = sa.table("hosts", sa.column("id"), sa.column("store_key"))
    for (id,) in op.get_bind().execute(sa.select(hosts.c.id)).all():
        op.execute(hosts.update().where(hosts.c.id == id).values(store_key=secrets.token_bytes(32)))
    with op.batch_alter_table("hosts") as batch_op:
        batch_op.alter_column("store_key", existing_type=sa.LargeBinary(), nullable=False)
    if op.get_bind().dialect.name == "postgresql":
        # What is compressed already must not be compressed again.
        op.execute("ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE blobs ALTER COLUMN content SET STORAGE EXTERNAL")


def _restore_every_body(connection: sa.Connection) -> None:
    bodies = sa.table("bodies", *map(sa.column, ("notebook_id", "number", "content", "format", "base")))
    blobs = sa.table("blobs", *map(sa.column, ("host_id", "key", "content", "format")))
    uses = sa.table("blob_uses", *map(sa.column, ("notebook_id", "host_id", "key")))
    used = sa.select(blobs).join(uses, sa.and_(uses.c.host_id == blobs.c.host_id, uses.c.key == blobs.c.key))
    for (notebook_id,) in connection.execute(sa.select(bodies.c.notebook_id).distinct()).all():
        rows = connection.execute(sa.select(bodies).where(bodies.c.notebook_id == notebook_id)).all()
        written = {row.number: Written(row.content, row.format, row.base) for row in rows}
        pieces = {
            row.key: piece(row.key, {row.key: Kept(row.content, row.format)})
            for row in connection.execute(used.where(uses.c.notebook_id == notebook_id))
        }
        for number in written:
            content = join(read_skeleton(number, written), pieces)
            connection.execute(
                bodies.update()
                .where(bodies.c.notebook_id == notebook_id, bodies.c.number == number)
                .values(content=content)
            )


def downgrade() -> None:
    _restore_every_body(op.get_bind())
    with op.batch_alter_table("hosts") as batch_op:
        batch_op.drop_column("store_key")
    op.drop_table("blob_uses")
    op.drop_table("blobs")
    with op.batch_alter_table("bodies") as batch_op:
        batch_op.drop_column("base")
        batch_op.drop_column("format")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTENDED")
