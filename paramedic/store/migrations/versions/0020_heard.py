"""When the last word under a fingerprint was received: an old start that comes long after the end is said anew."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the column."""
    op.add_column("fingerprints", sa.Column("heard_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """What fires again with an old start counts as late again, however late it comes."""
    with op.batch_alter_table("fingerprints") as batch:
        batch.drop_column("heard_at")
