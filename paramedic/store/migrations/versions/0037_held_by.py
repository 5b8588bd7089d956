"""What holds an alert back is kept in one word beside its reason."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Add the column. Of what was held back before only its reason says why."""
    op.add_column("inbox", sa.Column("held_by", sa.String(32)))
    where = sa.text("held_by IS NOT NULL")
    op.create_index("inbox_held_back", "inbox", ["position"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """The words of the reasons stay."""
    op.drop_index("inbox_held_back", "inbox")
    op.drop_column("inbox", "held_by")
