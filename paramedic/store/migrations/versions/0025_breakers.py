"""Circuit breakers that people reset, the incidents that wait for it, and when the last mass failure was over."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the tables. What was done before trips no breaker: nobody could have reset it."""
    op.create_table(
        "breaker_resets",
        sa.Column("target", sa.Text(), primary_key=True),
        sa.Column("remedy", sa.String(64), primary_key=True),
        sa.Column("act", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "breaker_waits",
        sa.Column(
            "incident",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("incidents.number"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("remedy", sa.String(64), nullable=False),
        sa.Column("refused_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("breaker_waits_of", "breaker_waits", ["target", "remedy"])
    op.create_table(
        "storms",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("over_at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )
    op.execute(
        'INSERT INTO breaker_resets (target, remedy, act, "by", reason, at) '
        "SELECT target, remedy, max(id), 'upgrade', 'what was done before the upgrade', max(written_at) "
        "FROM acts GROUP BY target, remedy"
    )


def downgrade() -> None:
    """What a breaker refused is refused no longer."""
    op.drop_table("storms")
    op.drop_table("breaker_waits")
    op.drop_table("breaker_resets")
