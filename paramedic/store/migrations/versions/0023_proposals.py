"""Proposals: what runbooks in observe mode would have done, and whether it would have been needed."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "proposals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column(
            "incident",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("incidents.number"),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("identity", sa.JSON(), nullable=False),
        sa.Column("refused_by", sa.String(64)),
        sa.Column("refusal", sa.Text()),
        sa.Column("paging", sa.String(16), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("judge_by", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(16)),
        sa.Column("verdict_why", sa.Text()),
        sa.Column("judged_at", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_index("proposals_rung", "proposals", ["incident", "attempt", "rung"], unique=True)
    op.create_index("proposals_runbook", "proposals", ["runbook", "made_at"])


def downgrade() -> None:
    """What was proposed is on the trail alone."""
    op.drop_table("proposals")
