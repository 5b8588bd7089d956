"""Alerts that wait for something that ends at no known time: the incident of a service that theirs depends on."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"

_HELD = "state = 'held'"


def upgrade() -> None:
    """Add the columns. What is held by then waits for its time alone."""
    op.add_column("inbox", sa.Column("waits_for", sa.Text(), nullable=True))
    op.create_index(
        "inbox_waits_for", "inbox", ["waits_for"], sqlite_where=sa.text(_HELD), postgresql_where=sa.text(_HELD)
    )
    op.add_column("incident_alerts", sa.Column("affects", sa.Text(), nullable=True))


def downgrade() -> None:
    """What waits is looked at again when its time has come; what it waits for knows nothing of it."""
    op.execute(sa.text("DELETE FROM incident_alerts WHERE affects IS NOT NULL"))
    op.drop_column("incident_alerts", "affects")
    op.drop_index("inbox_waits_for", "inbox")
    op.drop_column("inbox", "waits_for")
