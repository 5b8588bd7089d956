"""Checks: where they stand, what they saw, heartbeats, and who may sample."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "check_states",
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("known", sa.String(length=16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("sampled_at", sa.BigInteger(), nullable=False),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("warning_since", sa.BigInteger(), nullable=True),
        sa.Column("critical_since", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("stale_at", sa.BigInteger(), nullable=False),
        sa.Column("alert_began_at", sa.BigInteger(), nullable=True),
        sa.Column("alert_severity", sa.String(length=16), nullable=True),
        sa.Column("alert_said_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("runbook", "name", "target", "metric"),
    )
    op.create_table(
        "check_samples",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("values", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("check_samples_of", "check_samples", ["runbook", "name", "target", "at"], unique=False)
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    """There is no way back that keeps what was measured."""
    raise NotImplementedError("an older version works on this schema too; to be rid of it, restore a backup of before")
