"""The store's tables. `test_the_tables_are_what_the_migrations_build` holds them and the migrations together."""

from paramedic.store.tables.alerts import fingerprints, inbox, quarantine, raw_bodies
from paramedic.store.tables.changes import (
    acts,
    approvals,
    breaker_resets,
    breaker_waits,
    claims,
    cure_looks,
    deployments,
    grants,
    maintenance,
    noted_releases,
    pauses,
    proposals,
    storms,
)
from paramedic.store.tables.checks import check_counts, check_samples, check_states, check_subjects, heartbeats
from paramedic.store.tables.columns import Moment, Serial, Words, metadata
from paramedic.store.tables.incidents import attempts, evidence, incident_alerts, incidents, outbox, runbook_versions
from paramedic.store.tables.machinery import clocks, leases, meta, probes
from paramedic.store.tables.people import messages, overrides
from paramedic.store.tables.quiet import flaps, inhibitors, silence_kinds, silences
from paramedic.store.tables.trail import seals, told, trail, trail_contents

__all__ = [
    "Moment",
    "Serial",
    "Words",
    "acts",
    "approvals",
    "attempts",
    "breaker_resets",
    "breaker_waits",
    "check_counts",
    "check_samples",
    "check_states",
    "check_subjects",
    "claims",
    "clocks",
    "cure_looks",
    "deployments",
    "evidence",
    "fingerprints",
    "flaps",
    "grants",
    "heartbeats",
    "inbox",
    "incident_alerts",
    "incidents",
    "inhibitors",
    "leases",
    "maintenance",
    "messages",
    "meta",
    "metadata",
    "noted_releases",
    "outbox",
    "overrides",
    "pauses",
    "probes",
    "proposals",
    "quarantine",
    "raw_bodies",
    "runbook_versions",
    "seals",
    "silence_kinds",
    "silences",
    "storms",
    "told",
    "trail",
    "trail_contents",
]
