"""From which attempt on an incident's remedies are granted anew, because a person had it tried again."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the column: no incident was retried so far."""
    op.add_column("incidents", sa.Column("retried_attempt", sa.Integer(), nullable=True))


def downgrade() -> None:
    """What was used up before a retry counts again."""
    with op.batch_alter_table("incidents") as batch:
        batch.drop_column("retried_attempt")
