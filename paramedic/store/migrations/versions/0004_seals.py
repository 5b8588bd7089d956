"""Sealed segments: what a seal says has left may be removed from the trail, and nothing else ever."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of seals, and the one narrow way past the trail's triggers that it opens."""
    op.create_table(
        "seals",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("last_at", sa.String(length=32), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER trail_refuses_delete")
        op.execute(
            "CREATE TRIGGER trail_refuses_delete BEFORE DELETE ON trail "
            "WHEN OLD.seq > (SELECT coalesce(max(seq), 0) FROM seals) "
            "BEGIN SELECT RAISE(ABORT, 'the trail only grows'); END"
        )
        return
    op.execute("DROP TRIGGER trail_refuses_change ON trail")
    op.execute(
        "CREATE TRIGGER trail_refuses_change BEFORE UPDATE OR TRUNCATE ON trail "
        "FOR EACH STATEMENT EXECUTE FUNCTION trail_only_grows()"
    )
    op.execute(
        "CREATE FUNCTION trail_keeps_what_is_not_sealed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF OLD.seq > (SELECT coalesce(max(seq), 0) FROM seals) THEN "
        "RAISE EXCEPTION 'the trail only grows'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER trail_refuses_delete BEFORE DELETE ON trail "
        "FOR EACH ROW EXECUTE FUNCTION trail_keeps_what_is_not_sealed()"
    )


def downgrade() -> None:
    """A chain whose beginning has left cannot be told from one that was cut off, without its seals."""
    raise NotImplementedError("restore the backup that `paramedic upgrade` made")
