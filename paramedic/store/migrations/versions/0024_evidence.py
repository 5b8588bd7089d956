"""Which end of a piece of evidence says most: its beginning, as of a process tree, or its end."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the column; until now process trees alone were kept from their beginning."""
    op.add_column("evidence", sa.Column("from_beginning", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(sa.text("UPDATE evidence SET from_beginning = :yes WHERE kind = 'process-tree'").bindparams(yes=True))


def downgrade() -> None:
    """Wherever evidence is shown in part, its end is."""
    with op.batch_alter_table("evidence") as batch:
        batch.drop_column("from_beginning")
