"""Exclusive work on a target: one playbook at a time, by a claim; and what earlier attempts did there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from paramedic.change.claim_keeper import ClaimKeeper
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.incidents.incident import Incident, name
from paramedic.kinds.transport import Mark, MarkState
from paramedic.machine.clock import boottime, utc_now
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.target import Identity
from paramedic.store import Tx, acts, claims
from paramedic.store.acts import TOUCHED, Act
from paramedic.store.claims import Claim

#: How often a claim that another run holds is requested again.
_ASK_AGAIN_SECONDS = 0.5


class AlreadyActed(Exception):
    """An earlier attempt at this incident touched the target, or may have: its act is verified, never repeated (P4)."""

    def __init__(self, act: Act) -> None:
        super().__init__(act.words)
        self.act = act


@contextmanager
def exclusive(run: PlaybookRun, target: str) -> Iterator[None]:
    """Hold the target's only claim. Waits for at most one and a half leases; then raises Refused, naming the holder.

    Raises AlreadyActed if the incident's earlier work has touched the target, and Refused if another's act is open there.
    """
    with claimed(run, target) as before:
        if not run.looked_back:
            look_back(before)
        yield


@contextmanager
def claimed(run: PlaybookRun, target: str) -> Iterator["Before"]:
    """Hold the target's only claim, whatever was done to it before. Raises Refused, naming the holder."""
    run.keeper, before = _claim(run, target)
    try:
        kill_point("claimed", target)
        yield before
    finally:
        run.keeper.release()
        run.keeper = None


@dataclass(frozen=True, slots=True)
class Before:
    """What had been done to a target at the moment in which it was claimed."""

    unsettled: Act | None  # an act there, of whichever incident, whose outcome is open
    touched: Act | None  # the last act of this incident's attempts that touched the target, or may have

    @classmethod
    def of(cls, tx: Tx, incident: Incident, target: str, *overlapping: str) -> Self:
        """What this transaction sees; `overlapping` are the targets that are parts of this one, or that it is a part of."""
        touched = [act for act in acts.since_begun(tx, incident) if act.result is None or act.result in TOUCHED]
        return cls(acts.open_on(tx, target, *overlapping), touched[-1] if touched else None)


def happened(run: PlaybookRun, act: Act, mark: Mark | None = None) -> bool:
    """Whether the act took place: by its outcome, the instance or release that the target runs now, or its mark there."""
    if act.result is not None:
        return act.result != "failed"
    return changed_since(run, act.identity) or (mark is not None and mark.code == 0)


def mark_of(run: PlaybookRun, act: Act) -> Mark | None:
    """What the target's machine itself knows of an open act; None where it keeps no mark, or does not say.

    One that is still running is waited for, until the act's deadline. Raises Cancelled.
    """
    while act.result is None:
        try:
            mark = reading.mark(run.target, act.mark(run.store.uuid), act.verb)
        except (TemporaryError, PermanentError) as error:
            run.say(f"{run.target.host} does not say what became of {act.words}: {error}")
            return None
        if mark is None or mark.state is not MarkState.RUNNING or utc_now() >= act.deadline_at:
            return mark
        run.go_on()
        time.sleep(_ASK_AGAIN_SECONDS)
    return None


def changed_since(run: PlaybookRun, before: Identity) -> bool:
    """Whether the target runs another instance or release than this one. False where it does not say."""
    try:
        now = reading.identity(run.target)
    except (TemporaryError, PermanentError):
        return False
    if None not in (now.revision, before.revision) and now.revision != before.revision:
        return True
    return reading.restarted(run.target, before, now)


def _claim(run: PlaybookRun, target: str) -> tuple[ClaimKeeper, Before]:
    """Wait for the claim for one and a half leases: a dead run's lease ends in that time. Raises Refused after it."""
    give_up_at = boottime() + 1.5 * run.settings.lease.total_seconds()
    while True:
        run.go_on()
        asked_at = boottime()
        with run.store.record() as tx:
            incident = run.still_ours(tx)
            claim = claims.take(
                tx,
                target=target,
                incident=run.incident.number,
                attempt=run.attempt,
                holder=run.holder,
                lease=run.settings.lease,
                overlapping=run.target.overlapping,
            )
            before = Before.of(tx, incident, target, *run.target.overlapping)
        if isinstance(claim, Claim):
            keeper = ClaimKeeper(
                run.store, claim, lease=run.settings.lease, every=run.settings.renew, taken_at=asked_at
            )
            keeper.start()
            return keeper, before
        if boottime() > give_up_at:
            raise Refused(claim, by_hand="wait until it has ended, or cancel it in the Prefect UI")
        if not run.waited:
            run.say(f"waits for the claim: {claim}")
        run.waited = True
        time.sleep(_ASK_AGAIN_SECONDS)


def look_back(before: Before) -> None:
    """Raises AlreadyActed or Refused as `exclusive` does."""
    if before.touched is not None:
        raise AlreadyActed(before.touched)
    if (unsettled := before.unsettled) is not None:
        raise Refused(
            f"{unsettled.words} has no outcome yet",
            by_hand=f"look at the target, then `paramedic incident resolve {name(unsettled.incident)}`",
        )
