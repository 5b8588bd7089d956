"""Rungs by severity, overrides of shifts, channels that hear of an incident, recipients in a rung's place."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What an older version writes meanwhile climbs the rungs for critical."""
    op.add_column("messages", sa.Column("severity", sa.String(length=16), nullable=False, server_default="critical"))
    op.add_column("messages", sa.Column("recipient", sa.Text(), nullable=True))
    op.add_column("incidents", sa.Column("notify", sa.JSON(), nullable=True))
    op.create_table(
        "overrides",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("overrides_end", "overrides", ["ends_at"], unique=False)
