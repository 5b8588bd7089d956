"""The inbox by severity, and trouble that came again while it was not told."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0008"

_SEVERITY = {"sqlite": "json_extract(alert, '$.severity')", "postgresql": "alert ->> 'severity'"}


def upgrade() -> None:
    """Add the columns; an older version's gateway writes rows without them, and those are decided after the critical ones."""
    op.add_column("inbox", sa.Column("severity", sa.String(length=16), nullable=True))
    severity = _SEVERITY[op.get_bind().dialect.name]
    op.execute(f"UPDATE inbox SET severity = {severity} WHERE state <> 'triaged'")  # noqa: S608 - one of the two above
    for name, columns, where in (
        ("inbox_critical", ["severity", "position"], "severity = 'critical' AND state <> 'triaged'"),
        ("inbox_held", ["state", "look_again_at"], "state = 'held'"),
    ):
        op.create_index(name, "inbox", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index("incidents_target", "incidents", ["target", "ended_at"])
    op.add_column("messages", sa.Column("repeats", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Alerts are decided in the order of their arrival, and repeated trouble is not counted."""
    op.drop_column("messages", "repeats")
    op.drop_index("incidents_target", "incidents")
    op.drop_index("inbox_held", "inbox")
    op.drop_index("inbox_critical", "inbox")
    op.drop_column("inbox", "severity")
