"""Tables of received alerts: the inbox, the quarantine, the last report under each fingerprint."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, false

from paramedic.store.tables.columns import Moment, Serial, Words, metadata, partial_index

inbox = Table(
    "inbox",
    metadata,
    Column("position", Serial, primary_key=True, autoincrement=True),
    Column("receipt", String(36), nullable=False, unique=True),
    Column("source", String(64), nullable=False),
    Column("sender", Words, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("alert", JSON, nullable=False),
    Column("state", String(16), nullable=False),  # new, held, triaged
    Column("look_again_at", Moment),
    Column("verdict", String(32)),
    Column("reason", Words),
    Column("incident", BigInteger),
    Column("triaged_at", Moment),
    Column("severity", String(16)),  # null: an older version's gateway wrote it
    # By `tier.urgency`. What an older version's gateway wrote is as urgent as a critical alert of a standard service.
    Column("urgency", Integer, nullable=False, server_default="1"),
    Column("raw", String(36)),  # its body in raw_bodies; "-": not kept; null: it came in none
    Column("waits_for", Words),  # of what is held: for what, beside the time; null: for the time alone
    Column("held_by", String(32)),  # a HeldBack: why it is held, or was dropped
    Index("inbox_waiting", "state", "position"),
    partial_index("inbox_new", "state", "urgency", "position", where="state = 'new'"),
    partial_index("inbox_due", "state", "urgency", "look_again_at", where="state = 'held'"),
    partial_index("inbox_held_back", "position", where="held_by IS NOT NULL"),
    partial_index("inbox_waits_for", "waits_for", where="state = 'held'"),
    # An older version reads the inbox by the next one, and by inbox_waiting.
    partial_index("inbox_critical", "severity", "position", where="severity = 'critical' AND state <> 'triaged'"),
    partial_index("inbox_held", "state", "look_again_at", where="state = 'held'"),
    sqlite_autoincrement=True,
)

raw_bodies = Table(
    "raw_bodies",
    metadata,
    Column("position", Serial, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("received_at", Moment, nullable=False),
    Column("size", Integer, nullable=False),  # bytes, before it was redacted and cut
    Column("headers", JSON, nullable=False),
    Column("body", Words, nullable=False),
    Index("raw_bodies_received", "received_at"),
    sqlite_autoincrement=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("source", String(64), nullable=False),
    Column("sender", Words, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("error", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("beside", Boolean, nullable=False, server_default=false()),  # it is no alert, and nothing is wrong with it
)

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("starts_at", Moment, nullable=False),  # of what fires; of what is over, when it ended
    Column("heard_at", Moment),  # when that was received; NULL where it was received before this was kept
)
