"""Tables around changes to production: claims, grants, acts, approvals, pauses, maintenance."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from paramedic.store.tables.columns import Moment, Serial, Words, metadata, partial_index

claims = Table(
    "claims",
    metadata,
    Column("target", Words, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("incident", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("holder", Words, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("released", Boolean, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("incident", ForeignKey("incidents.number"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("target", Words, primary_key=True),
    Column("state", String(16), nullable=False),  # open, spent, revoked
)

acts = Table(
    "acts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("target", Words, nullable=False),
    Column("remedy", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("holder", Words, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("written_at", Moment, nullable=False),
    Column("deadline_at", Moment, nullable=False),
    Column("result", String(16)),  # null while its outcome is open
    Column("why", Words),
    Column("closed_at", Moment),
    Column("figures", JSON),  # what was measured before it and after it; null: nothing
    Index("acts_target", "target", "written_at"),
    Index("acts_written", "written_at"),
    # P4: an act whose outcome is open blocks its target, and the database itself refuses a second one.
    partial_index("acts_open", "target", where="result IS NULL", unique=True),
    sqlite_autoincrement=True,
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("target", Words, nullable=False),
    Column("remedy", Words, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),  # asked, granted, denied, expired
    Column("decided_by", Words),
    Column("decided_at", Moment),
    Column("how", String(16)),  # prefect, link, command line; restore: nobody's answer counts any more
    Column("flow_run", String(36), nullable=False),
    Column("resume_at", Moment),  # when Prefect is asked (again) to resume the run; null: it need not be
    Column("resumed_at", Moment),
    Column("wrong_codes", Integer, nullable=False),
    Column("touches", Words),  # what the change would touch, as it was shown
    Column("about", JSON),  # what of it came from alerts; null: nothing
    Index("approvals_rung", "incident", "attempt", "rung", unique=True),
    Index("approvals_asked", "state", "expires_at"),
    Index("approvals_resume", "resume_at"),
    sqlite_autoincrement=True,
)

proposals = Table(
    "proposals",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("target", Words, nullable=False),
    Column("runbook", Words, nullable=False),
    Column("remedy", Words, nullable=False),
    Column("why", Words, nullable=False),
    Column("identity", JSON, nullable=False),
    Column("refused_by", String(64)),  # the guardrail that would not have allowed it
    Column("refusal", Words),
    Column("paging", String(16), nullable=False),  # first, late, all
    Column("made_at", Moment, nullable=False),
    Column("judge_by", Moment, nullable=False),
    Column("verdict", String(16)),  # null until it is judged: needed, by_others, recovered, unseen
    Column("verdict_why", Words),
    Column("judged_at", Moment),
    Index("proposals_rung", "incident", "attempt", "rung", unique=True),
    Index("proposals_runbook", "runbook", "made_at"),
    sqlite_autoincrement=True,
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", Words, primary_key=True),  # all, mass, service:NAME, runbook:NAME
    Column("by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("since", Moment, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("service", Words, nullable=False),
    Column("target", Words),  # null: every target of the service
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Index("maintenance_ends", "ends_at"),
    sqlite_autoincrement=True,
)

#: What a person has reset: of a remedy at a target, or of the whole fleet. Acts up to `act` count no longer.
breaker_resets = Table(
    "breaker_resets",
    metadata,
    Column("target", Words, primary_key=True),  # "*": the fleet
    Column("remedy", String(64), primary_key=True),
    Column("act", BigInteger, nullable=False),  # not a moment: a clock that is set back changes nothing
    Column("by", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("at", Moment, nullable=False),
)

#: Incidents that a tripped breaker refused: they are measured again when it is reset.
breaker_waits = Table(
    "breaker_waits",
    metadata,
    Column("incident", ForeignKey("incidents.number"), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("target", Words, nullable=False),  # "*": the fleet
    Column("remedy", String(64), nullable=False),
    Column("refused_at", Moment, nullable=False),
    Index("breaker_waits_of", "target", "remedy"),
)

storms = Table(
    "storms",
    metadata,
    Column("scope", String(16), primary_key=True),  # mass
    Column("over_at", Moment, nullable=False),
    Column("why", Words, nullable=False),
)

#: Looks at what a remedy has cured, an hour and a day after it.
cure_looks = Table(
    "cure_looks",
    metadata,
    Column("act", ForeignKey("acts.id"), primary_key=True),
    Column("after", Integer, primary_key=True),  # seconds after the cure
    Column("incident", ForeignKey("incidents.number"), nullable=False),
    Column("target", Words, nullable=False),
    Column("runbook", Words, nullable=False),
    Column("remedy", String(64), nullable=False),
    Column("cured_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("identity", JSON),  # that was verified well; null: not known
    Column("blind_since", Moment),
    Column("verdict", String(16)),  # null until it was taken: held, lost, undone, replaced, unseen
    Column("why", Words),
    Column("looked_at", Moment),
    Index("cure_looks_due", "verdict", "due_at"),
    Index("cure_looks_runbook", "runbook"),
    Index("cure_looks_incident", "incident"),
)

noted_releases = Table(
    "noted_releases",
    metadata,
    Column("target", Words, primary_key=True),
    Column("release", Words, primary_key=True),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    Column("well_at", Moment),  # when it was seen well with it last; null: never
)

#: Deployments that senders and people told of, and that Paramedic saw at a target.
deployments = Table(
    "deployments",
    metadata,
    Column("id", Words, primary_key=True),
    Column("service", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("at", Moment, nullable=False),
    Column("target", Words),
    Column("environment", Words),
    Column("by", Words),
    Column("link", Words),
    Column("told_by", Words),  # null: seen
    Column("received_at", Moment, nullable=False),
    Index("deployments_at", "at"),
    Index("deployments_of", "service", "at"),
    Index("deployments_told", "told_by", "received_at"),
)
