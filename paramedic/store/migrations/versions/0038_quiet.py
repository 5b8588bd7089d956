"""Silences, the kinds of failures that they hid, and the alerts that inhibit others."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "silences",
        sa.Column("id", _serial, primary_key=True, autoincrement=True),
        sa.Column("matchers", sa.JSON(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("incident", sa.BigInteger(), nullable=True),
        sa.Column("last_matched_at", sa.BigInteger(), nullable=True),
        sa.Column("idle_told_at", sa.BigInteger(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("silences_end", "silences", ["ends_at"])
    op.create_table(
        "silence_kinds",
        sa.Column("silence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("severity", sa.String(length=16), primary_key=True),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "inhibitors",
        sa.Column("rule", sa.String(length=64), primary_key=True),
        sa.Column("fingerprint", sa.String(length=64), primary_key=True),
        sa.Column("equal", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("both_sides", sa.Boolean(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("inhibitors_equal", "inhibitors", ["rule", "equal"])


def downgrade() -> None:
    """What is silenced or inhibited is looked at again when its time has come."""
    op.drop_table("inhibitors")
    op.drop_table("silence_kinds")
    op.drop_table("silences")
