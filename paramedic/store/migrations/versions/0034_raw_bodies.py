"""Bodies are kept as they came, beside the alerts that were read from them."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add the table, and its key to the inbox. Of what came before no body is kept."""
    op.create_table(
        "raw_bodies",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("raw_bodies_received", "raw_bodies", ["received_at"])
    op.add_column("inbox", sa.Column("raw", sa.String(36)))


def downgrade() -> None:
    """The bodies go."""
    op.drop_column("inbox", "raw")
    op.drop_table("raw_bodies")
