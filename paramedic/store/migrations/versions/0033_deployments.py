"""Deployments that were told of or seen: what changed just before an incident began."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the table. Of what was deployed before nobody has told."""
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("environment", sa.Text()),
        sa.Column("by", sa.Text()),
        sa.Column("link", sa.Text()),
        sa.Column("told_by", sa.Text()),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("deployments_at", "deployments", ["at"])
    op.create_index("deployments_of", "deployments", ["service", "at"])
    op.create_index("deployments_told", "deployments", ["told_by", "received_at"])


def downgrade() -> None:
    """What was told is lost; it is on the trail."""
    op.drop_table("deployments")
