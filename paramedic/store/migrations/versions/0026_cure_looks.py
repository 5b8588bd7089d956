"""Looks at what a remedy has cured, an hour and a day after it."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the table. What was cured before is not looked at again: its time may be over, and nobody kept what ran then."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "cure_looks",
        sa.Column("act", number, sa.ForeignKey("acts.id"), primary_key=True, autoincrement=False),
        sa.Column("after", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("incident", number, sa.ForeignKey("incidents.number"), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text(), nullable=False),
        sa.Column("remedy", sa.String(64), nullable=False),
        sa.Column("cured_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.JSON()),
        sa.Column("blind_since", sa.BigInteger()),
        sa.Column("verdict", sa.String(16)),
        sa.Column("why", sa.Text()),
        sa.Column("looked_at", sa.BigInteger()),
    )
    op.create_index("cure_looks_due", "cure_looks", ["verdict", "due_at"])
    op.create_index("cure_looks_runbook", "cure_looks", ["runbook"])
    op.create_index("cure_looks_incident", "cure_looks", ["incident"])


def downgrade() -> None:
    """What was seen later is on the trail alone."""
    op.drop_table("cure_looks")
