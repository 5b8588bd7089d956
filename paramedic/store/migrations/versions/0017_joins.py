"""What each alert of an incident is about and which runbook wants it; how bad an incident was when somebody took it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0012"

_TEXTS = ("object", "runbook")


def upgrade() -> None:
    """Add the columns, empty, and the index by which an alert finds its incident."""
    op.add_column("incident_alerts", sa.Column("source", sa.String(length=64)))
    for name in _TEXTS:
        op.add_column("incident_alerts", sa.Column(name, sa.Text()))
    op.add_column("incident_alerts", sa.Column("runbook_version", sa.String(length=64)))
    op.create_index("incident_alerts_fingerprint", "incident_alerts", ["fingerprint"])
    op.create_index("incident_alerts_object", "incident_alerts", ["incident", "name", "object"])
    op.add_column("incidents", sa.Column("acknowledged_severity", sa.String(length=16)))


def downgrade() -> None:
    """What joined is no longer told apart."""
    op.drop_column("incidents", "acknowledged_severity")
    op.drop_index("incident_alerts_object", "incident_alerts")
    op.drop_index("incident_alerts_fingerprint", "incident_alerts")
    for name in ("source", *_TEXTS, "runbook_version"):
        op.drop_column("incident_alerts", name)
