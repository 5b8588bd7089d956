"""What senders post beside alerts is kept with what could not be read, and told apart from it."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add the column. All that is there could not be read."""
    op.add_column("quarantine", sa.Column("beside", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """What is no alert goes: an older release would call it unreadable."""
    op.execute(sa.text("DELETE FROM quarantine WHERE beside"))
    op.drop_column("quarantine", "beside")
