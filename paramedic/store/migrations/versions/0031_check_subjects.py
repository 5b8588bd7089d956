"""A check may have several subjects at a target, such as addresses: each has a state of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the states of subjects, and what samples saw of each."""
    op.create_table(
        "check_subjects",
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("known", sa.String(length=16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("sampled_at", sa.BigInteger(), nullable=False),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.Column("warning_since", sa.BigInteger(), nullable=True),
        sa.Column("critical_since", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("alert_began_at", sa.BigInteger(), nullable=True),
        sa.Column("alert_severity", sa.String(length=16), nullable=True),
        sa.Column("alert_said_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("runbook", "name", "target", "metric", "subject"),
    )
    op.add_column("check_samples", sa.Column("each", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Drop both: an older release knows checks of one subject alone."""
    op.drop_column("check_samples", "each")
    op.drop_table("check_subjects")
