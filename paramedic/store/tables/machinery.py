"""Tables about the store itself and the processes that share it: identity, leases, clocks, write probes."""

from sqlalchemy import Column, Integer, String, Table

from paramedic.store.tables.columns import Moment, Words, metadata

meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("store", String(36), nullable=False),
    Column("generation", Integer, nullable=False),
)

#: What `paramedic.store.write_probe` writes.
probes = Table(
    "probes",
    metadata,
    Column("name", Words, primary_key=True),
    Column("content", Words, nullable=False),
)

#: What one process at a time may do, until a moment of the database's clock.
leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("until", Moment, nullable=False),
)

#: When each machine was started, by the database's clock: one that goes back is seen by it.
clocks = Table(
    "clocks",
    metadata,
    Column("boot", String(36), primary_key=True),
    Column("started_at", Moment, nullable=False),
)
