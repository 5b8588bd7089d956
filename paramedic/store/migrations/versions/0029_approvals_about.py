"""What a change would touch, as it is shown to who is asked for an approval, and what of it is approved with it."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add the columns. Who was asked before was shown the remedy's name alone."""
    op.add_column("approvals", sa.Column("touches", sa.Text()))
    op.add_column("approvals", sa.Column("about", sa.JSON()))


def downgrade() -> None:
    """What was shown is on the trail alone."""
    op.drop_column("approvals", "about")
    op.drop_column("approvals", "touches")
