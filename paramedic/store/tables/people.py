"""Tables of messages to people and of on-call overrides."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from paramedic.store.tables.columns import Moment, Serial, Words, metadata

messages = Table(
    "messages",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # rung, update, news, trouble, approval, notice
    Column("incident", BigInteger),
    Column("policy", Words, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("subject", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),  # due, sending, sent, withdrawn, unreachable
    Column("sending_until", Moment),
    Column("tries", Integer, nullable=False),
    Column("last_error", Words),
    Column("person", Words),
    Column("sent_at", Moment),
    Column("severity", String(16), nullable=False, server_default="critical"),  # the severity whose steps are followed
    Column("recipient", Words),  # the recipient, where that is not the step's own person
    Column("repeats", Integer, nullable=False, server_default="0"),  # how many more of the same it stands for
    Column("tier", String(16)),  # of its incident's service; null: of none, or an older version queued it
    Column("digest", BigInteger),  # the first of the messages that left together with it as one
    Index("messages_due", "state", "due_at"),
    Index("messages_sent", "sent_at"),
    sqlite_autoincrement=True,
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("person", Words, nullable=False),
    Column("begins_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("by", Words, nullable=False),
    Column("written_at", Moment, nullable=False),
    Index("overrides_end", "ends_at"),
    sqlite_autoincrement=True,
)
