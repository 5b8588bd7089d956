"""Tables of what is kept quiet: silences, the kinds of failures that they hid, alerts that inhibit others or flap."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table

from paramedic.store.tables.columns import Moment, Serial, Words, metadata

silences = Table(
    "silences",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("matchers", JSON, nullable=False),
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("author", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("incident", BigInteger),
    Column("last_matched_at", Moment),
    Column("idle_told_at", Moment),  # when it was reported that it matches nothing
    Index("silences_end", "ends_at"),
    sqlite_autoincrement=True,
)

silence_kinds = Table(
    "silence_kinds",
    metadata,
    Column("silence", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Words, primary_key=True),
    Column("severity", String(16), primary_key=True),
    Column("first_at", Moment, nullable=False),
)

inhibitors = Table(
    "inhibitors",
    metadata,
    Column("rule", String(64), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("equal", String(64), nullable=False),
    Column("name", Words, nullable=False),
    Column("both_sides", Boolean, nullable=False),  # it matches the rule's target side too
    Column("heard_at", Moment, nullable=False),
    Index("inhibitors_equal", "rule", "equal"),
)

flaps = Table(
    "flaps",
    metadata,
    Column("key", String(64), primary_key=True),  # `flapping.key_of`
    Column("ends", JSON, nullable=False),  # its latest ends, the oldest first
    Column("last_turn", String(16), nullable=False),  # firing, resolved
    Column("last_at", Moment, nullable=False),  # when that was
    Column("since", Moment),  # of what flaps: its first end
    Column("turns", Integer, nullable=False),  # its ends since then
    Column("told_at", Moment),  # when a person was told that it flaps; null: it does not
    Column("told", String(16)),  # its severity then
    Column("incident", BigInteger),  # on which that was
)
