"""Figures of an act: what was measured before it and after it."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the column. Of what was done before nothing was kept."""
    op.add_column("acts", sa.Column("figures", sa.JSON()))


def downgrade() -> None:
    """What was measured is on the trail alone."""
    op.drop_column("acts", "figures")
