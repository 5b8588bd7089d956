"""Tiers of services: the inbox, incidents and messages by how urgent they are."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

#: Indexes of the inbox: columns, and the rows that they hold.
_INDEXES = (
    ("inbox_new", ["state", "urgency", "position"], "state = 'new'"),
    ("inbox_due", ["state", "urgency", "look_again_at"], "state = 'held'"),
)


def upgrade() -> None:
    """Add the columns and indexes; what an older version writes is as urgent as a critical alert of a standard service."""
    op.add_column("inbox", sa.Column("urgency", sa.Integer(), nullable=False, server_default="1"))
    op.execute("UPDATE inbox SET urgency = 4 WHERE state <> 'triaged' AND severity = 'warning'")
    for name, columns, where in _INDEXES:
        op.create_index(name, "inbox", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    for table in ("incidents", "messages"):
        op.add_column(table, sa.Column("tier", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Order is by severity alone."""
    for table in ("messages", "incidents"):
        op.drop_column(table, "tier")
    for name, _, _ in reversed(_INDEXES):
        op.drop_index(name, "inbox")
    op.drop_column("inbox", "urgency")
