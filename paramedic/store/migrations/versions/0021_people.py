"""The first acknowledgement of an incident, whoever took it over later; and who resolved it."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the columns, with what the store still knows: one acknowledgement, and the person on the trail."""
    op.add_column("incidents", sa.Column("first_acknowledged_at", sa.BigInteger(), nullable=True))
    op.add_column("incidents", sa.Column("resolved_by", sa.Text(), nullable=True))
    op.execute("UPDATE incidents SET first_acknowledged_at = acknowledged_at")
    op.execute(
        "UPDATE incidents SET resolved_by = (SELECT substr(trail.actor, 8) FROM trail "
        "WHERE trail.incident = 'INC-' || incidents.number AND trail.actor LIKE 'person:%' "
        "AND trail.what IN ('incident.handed_over', 'incident.refused') ORDER BY trail.seq DESC LIMIT 1) "
        "WHERE state = 'resolved' AND ending IN ('handed_over', 'refused')"
    )


def downgrade() -> None:
    """The latest acknowledgement counts, and who resolved an incident is on the trail alone."""
    with op.batch_alter_table("incidents") as batch:
        batch.drop_column("resolved_by")
        batch.drop_column("first_acknowledged_at")
