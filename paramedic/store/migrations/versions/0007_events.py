"""How far the trail was told to Prefect as events. A store that has a trail already begins at its head."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table; what an older version has written on the trail is no news to anybody."""
    op.create_table(
        "told",
        sa.Column("listener", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("listener"),
    )
    op.execute("INSERT INTO told (listener, seq) SELECT 'prefect', max(seq) FROM trail HAVING max(seq) IS NOT NULL")


def downgrade() -> None:
    """The position alone is lost."""
    op.drop_table("told")
