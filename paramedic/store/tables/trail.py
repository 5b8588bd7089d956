"""Tables of the trail: entries, erasable content, the cursors of listeners, seals."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from paramedic.store.tables.columns import Words, metadata

trail = Table(
    "trail",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("what", Text, nullable=False),
    Column("incident", String(32)),
    Column("target", Text),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),  # canonical JSON, as hashed
    Column("content_digest", String(64)),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("schema", Integer, nullable=False),
    Index("trail_incident", "incident"),
)

#: The last entry of the trail that each listener has received.
told = Table(
    "told",
    metadata,
    Column("listener", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

#: What can be erased lives beside the chain, which holds its salted digest alone.
trail_contents = Table(
    "trail_contents",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("content", Text, nullable=False),
)

#: Where the chain goes on from: each sealed segment that left. The last one opens the trail's triggers as far as it says.
seals = Table(
    "seals",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("last_at", String(32), nullable=False),
    Column("at", String(32), nullable=False),
    Column("signature", String(128), nullable=False),
    Column("file", Words, nullable=False),
)
