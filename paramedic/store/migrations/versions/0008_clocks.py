"""When each machine was started, by the store's clock: a clock that goes back is seen."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "clocks",
        sa.Column("boot", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot"),
    )


def downgrade() -> None:
    """A jump of the clock since the last look is not seen."""
    op.drop_table("clocks")
