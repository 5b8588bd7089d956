"""Rungs by severity, channels that hear of an incident, and messages to somebody else than the rung's own person."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What an older version writes meanwhile climbs the rungs for critical."""
    op.add_column("messages", sa.Column("severity", sa.String(length=16), nullable=False, server_default="critical"))
    op.add_column("messages", sa.Column("recipient", sa.Text(), nullable=True))
    op.add_column("incidents", sa.Column("notify", sa.JSON(), nullable=True))
