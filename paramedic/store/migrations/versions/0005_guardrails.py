"""Pauses of one service or runbook, maintenance windows, and incidents that are reopened."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make room for them."""
    with op.batch_alter_table("pauses") as pauses:
        pauses.alter_column("scope", type_=sa.Text(), existing_type=sa.String(length=64), existing_nullable=False)
    op.create_table(
        "maintenance",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("maintenance_ends", "maintenance", ["ends_at"], unique=False)
    op.create_index("acts_written", "acts", ["written_at"], unique=False)
    op.add_column("incidents", sa.Column("reopened_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """A pause of one service would become a pause of nothing."""
    raise NotImplementedError("the older schema knows no pause of one service; restore a backup instead")
