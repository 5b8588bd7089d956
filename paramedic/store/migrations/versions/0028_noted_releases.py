"""What targets were seen to run, where nobody else keeps a record of it."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the table. What ran before nobody has noted."""
    op.create_table(
        "noted_releases",
        sa.Column("target", sa.Text(), primary_key=True),
        sa.Column("release", sa.Text(), primary_key=True),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("well_at", sa.BigInteger()),
    )


def downgrade() -> None:
    """It is noted again by whoever looks."""
    op.drop_table("noted_releases")
