"""How often an alert has ended lately, and what a person was told of one that flaps."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "flaps",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("ends", sa.JSON(), nullable=False),
        sa.Column("last_turn", sa.String(16), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.String(16), nullable=True),
        sa.Column("incident", sa.BigInteger(), nullable=True),
    )


def downgrade() -> None:
    """What is held is looked at again when its time has come."""
    op.drop_table("flaps")
