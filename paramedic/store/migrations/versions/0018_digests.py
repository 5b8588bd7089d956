"""Which messages left together as one digest, and a quick answer to who got how many in the last minute."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("messages", sa.Column("digest", sa.BigInteger(), nullable=True))
    op.create_index("messages_sent", "messages", ["sent_at"])


def downgrade() -> None:
    """A digest counts as many messages again."""
    op.drop_index("messages_sent", table_name="messages")
    with op.batch_alter_table("messages") as batch:
        batch.drop_column("digest")
