"""Checks with an objective: how many looks and errors there were in each minute and each hour."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Make the table. Burn rates begin with an empty past."""
    op.create_table(
        "check_counts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("span", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("check_counts_of", "check_counts", ["runbook", "name", "target", "span", "at"])


def downgrade() -> None:
    """Drop it: an older release knows no objective."""
    op.drop_index("check_counts_of", "check_counts")
    op.drop_table("check_counts")
