"""Retrying: a person gives an incident back to automation, with its ladder granted anew; every guardrail still judges."""

from sqlalchemy import update

from paramedic.incidents.incident import IllegalMove, Incident, State, name
from paramedic.incidents.incident import retry as retried
from paramedic.store import Tx, acts, approvals, claims, messages
from paramedic.store.attempts import raise_attempt, rungs_of
from paramedic.store.incidents import get
from paramedic.store.lifecycle import update_channels
from paramedic.store.tables import incidents as incident_rows
from paramedic.store.trail import append


class NotRetried(IllegalMove):
    """The incident is not tried again; the message says why, and what to do instead."""


def retry(tx: Tx, number: int, *, by: str, because: str, take_over: bool = False) -> Incident:
    """Raise a new attempt by a person's word, in one transaction of `Store.record`.

    Every rung is granted again, also one that was consumed: that, and nothing else, is what the person's word does. Mode,
    pauses, windows, cooldown, budgets, approvals and the claim judge each change as ever. Pages stop; whoever was paged,
    and whoever had the incident, is updated. It is nobody's again, until its attempts hand it over.

    Raises NotRetried where it has ended, is worked on, is another person's (unless `take_over`), has no runbook, or where
    an act on its target has no outcome.
    """
    incident = get(tx, number)
    why_not = _why_not(tx, incident, by=by, take_over=take_over)
    if why_not is not None:
        raise NotRetried(why_not)
    holder = incident.taken_from(by) if incident.state is State.ACKNOWLEDGED else None
    attempt = incident.attempt + 1
    if not _give_back(tx, incident, retried_attempt=attempt):
        raise NotRetried(f"{incident.id} was moved by somebody else meanwhile")
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="incident.retried",
        incident=number,
        target=incident.target,
        reason=f"{by} took it over from {holder} and gave it back: {because}" if holder else because,
        data={"attempt": attempt} | ({"from": holder} if holder else {}),
    )
    _update_people(tx, incident, by=by, holder=holder, because=because)
    update_channels(tx, number, f"tried again by {by}")
    if not raise_attempt(
        tx, number, after=incident.attempt, rungs=rungs_of(tx, number), reason=because, actor=f"person:{by}"
    ):
        raise NotRetried(f"attempt {attempt} at {incident.id} was raised by somebody else meanwhile")
    return get(tx, number)


def measure_again(tx: Tx, number: int, by: str, because: str) -> bool:
    """Raise a new attempt at an incident that a guardrail had refused, now that a person has ended the refusal.

    The attempt looks first: what is well by now ends, and nothing of before is worked off. It has the remedies that the
    incident has not used up, no more. False where there is nothing that it could try, or somebody has it.
    """
    incident = get(tx, number)
    if incident.state is not State.HANDED_OVER or _nothing_to_try(tx, incident, by) is not None:
        return False
    if not _give_back(tx, incident, retried_attempt=incident.retried_attempt):
        return False
    append(
        tx,
        actor=f"person:{by}",
        phase="decision",
        what="incident.measured_again",
        incident=number,
        target=incident.target,
        reason=because,
        data={"attempt": incident.attempt + 1},
    )
    _update_people(tx, incident, by=by, holder=None, because=because)
    update_channels(tx, number, f"measured again by {by}'s word")
    rungs = rungs_of(tx, number)
    return raise_attempt(tx, number, after=incident.attempt, rungs=rungs, reason=because, actor=f"person:{by}")


def _give_back(tx: Tx, incident: Incident, *, retried_attempt: int | None) -> bool:
    """Make it automation's again, by one compare-and-set, and stop its pages. False: somebody else moved it meanwhile."""
    changed = tx.conn.execute(
        update(incident_rows)
        .where(incident_rows.c.number == incident.number, incident_rows.c.state == incident.state)
        .values(
            state=retried(incident.state),
            ending=None,
            because=None,
            acknowledged_by=None,
            acknowledged_at=None,
            acknowledged_severity=None,
            retried_attempt=retried_attempt,
        )
    )
    if changed.rowcount != 1:
        return False
    messages.withdraw(tx, incident.number)
    return True


def _update_people(tx: Tx, incident: Incident, *, by: str, holder: str | None, because: str) -> None:
    """Update those who may be at work on it: two would change the target at once otherwise."""
    known = [*messages.paged(tx, incident.number), *filter(None, [incident.acknowledged_by])]
    for person in dict.fromkeys(known):
        if person != by:
            taken = "taken it over from you and given it back" if person == holder else "given it back"
            subject = f"{by} has {taken} to Paramedic, which tries again"
            messages.update_holder(tx, incident, person, subject=subject, body=because)


def _why_not(tx: Tx, incident: Incident, *, by: str, take_over: bool) -> str | None:
    """Why the incident is not tried again, and what to do instead."""
    match incident.state:
        case State.RESOLVED:
            return (
                f"{incident.id} is over ({incident.outcome}): nothing of it is tried again. If it is wrong again, its "
                "alert opens a new incident when its sender repeats it"
            )
        case State.OPEN | State.WORKING if approvals.asked(tx, incident.number) is not None:
            return f"{incident.id} waits for an approval: `paramedic incident approve {incident.id} --by {by}`, or with --deny"
        case State.OPEN | State.WORKING:
            return f"attempt {incident.attempt} works on {incident.id} already: `paramedic incident show {incident.id}`"
        case State.ACKNOWLEDGED if (holder := incident.taken_from(by)) is not None and not take_over:
            return (
                f"{incident.id} is {holder}'s: ask {holder}, or take it over by trying again: "
                f"`paramedic incident retry {incident.id} --by {by} --take-over`"
            )
        case _:
            return _nothing_to_try(tx, incident, by)


def _nothing_to_try(tx: Tx, incident: Incident, by: str) -> str | None:
    """Why a retry would do nothing, and what to do instead; None if there is something to try."""
    if incident.runbook is None:
        return (
            f"{incident.id} has no runbook, so there is nothing that could be tried again: act by hand, then "
            f"`paramedic incident resolve {incident.id} --by {by}`"
        )
    unsettled = acts.open_on(tx, incident.target)
    if unsettled is not None:
        return (
            f"{unsettled.words} has no outcome: look at the target first; once you know, "
            f"`paramedic incident resolve {name(unsettled.incident)} --by {by}`"
        )
    claim = claims.current(tx, incident.target)
    if claim is not None and claim[1] and claim[0].incident == incident.number:
        return (
            f"{claim[0].holder} of attempt {claim[0].attempt} still has {incident.target}: wait a moment until it has "
            "ended, or cancel it in the Prefect UI"
        )
    return None
