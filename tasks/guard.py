"""May we? One playbook per target at any time, whichever incident it serves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from paramedic.change.claim_keeper import ClaimKeeper
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.incidents.incident import Incident, name
from paramedic.machine.clock import boottime, spoken
from paramedic.machine.kill_points import reached
from paramedic.remediation.release import Release
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Target
from paramedic.store import acts, attempts, claims, incidents
from paramedic.store.acts import TOUCHED, Act
from paramedic.store.claims import Claim
from tasks.kinds import reads
from tasks.work import Work, at_hand

#: How often a claim that somebody else has is asked for again.
_ASK_AGAIN_SECONDS = 0.5


class AlreadyActed(Exception):
    """An earlier try at this incident touched the target, or may have: what it did is verified, never repeated (P4)."""

    def __init__(self, act: Act) -> None:
        super().__init__(act.words)
        self.act = act


@contextmanager
def exclusive(target: str) -> Iterator[None]:
    """Hold the target's only claim. Waits for at most one lease and a half; then raises Refused, naming who has it.

    Raises AlreadyActed if the incident's earlier work has touched the target, and Refused if another's act is open there.
    """
    with claimed(target):
        if not at_hand().looked_back:
            _look_back(at_hand(), target)
        yield


@contextmanager
def claimed(target: str) -> Iterator[None]:
    """Hold the target's only claim, whatever was done to it before. Raises Refused, naming who has it."""
    work = at_hand()
    work.hold = _claim(work, target)
    try:
        reached("claimed", target)
        yield
    finally:
        work.hold.release()
        work.hold = None


@reads(retries=2, timeout=timedelta(seconds=30))
def suits(incident: Incident, remedy: Remedy) -> bool:
    """Whether this rung is worth a try: still granted to this attempt, and its condition holds. The timeline says why not."""
    work = at_hand()
    release = _release(work.target, remedy)  # read before the transaction: a disk that hangs must not hold it open
    with work.store.record() as tx:
        if not attempts.is_granted(tx, incident.number, work.attempt, remedy.rung):
            why_not = "it was tried before, and no rung is tried twice"
        else:
            why_not = _no_cause(remedy, release, tx.now, work.settings.clock_skew)
        if why_not:
            reason = f"{remedy.name}: {why_not}"
            incidents.tell_timeline(tx, incident.number, actor=work.holder, what="rung.skipped", reason=reason)
    return not why_not


def _release(target: Target, remedy: Remedy) -> Release | str | None:
    """The release that a roll-back on cause is about, or why it cannot be read; None where the remedy asks for none."""
    if remedy.deployed_within is None:
        return None
    try:
        return reading.releases(target).current()
    except PermanentError as error:
        return str(error)


def _no_cause(remedy: Remedy, release: Release | str | None, now: datetime, skew: timedelta) -> str:
    """Why a roll-back on cause has none: the release is too old, or nobody can say how old it is."""
    if remedy.deployed_within is None or release is None:
        return ""
    if isinstance(release, str):
        return release
    if release.deployed_at is None:
        return f"nobody knows when release {release.id} was deployed"
    age = now - release.deployed_at
    if age < -skew:
        return f"release {release.id} was deployed in the future, by its clock: the clocks are not to be trusted"
    if age > remedy.deployed_within:
        return f"nothing was deployed so recently: release {release.id} is {spoken(age)} old"
    return ""


def happened(act: Act) -> bool:
    """Whether the act took place: by its outcome, or by the process or release that the target runs now."""
    if act.result is not None:
        return act.result != "failed"
    try:
        now = reading.identity(at_hand().target)
    except (TemporaryError, PermanentError):
        return False
    before = act.identity
    if None not in (now.revision, before.revision) and now.revision != before.revision:
        return True
    return now.pid is not None and (now.pid, now.started_at) != (before.pid, before.started_at)


def _claim(work: Work, target: str) -> ClaimKeeper:
    patience = boottime() + 1.5 * work.settings.lease.total_seconds()
    while True:
        work.go_on()
        asked_at = boottime()
        with work.store.record() as tx:
            work.still_ours(tx)
            taken = claims.take(
                tx,
                target=target,
                incident=work.incident.number,
                attempt=work.attempt,
                holder=work.holder,
                lease=work.settings.lease,
            )
        if isinstance(taken, Claim):
            hold = ClaimKeeper(
                work.store, taken, lease=work.settings.lease, every=work.settings.renew, taken_at=asked_at
            )
            hold.start()
            return hold
        if boottime() > patience:
            raise Refused(taken, by_hand="wait until it has ended, or cancel it in the Prefect UI")
        work.waited = True
        time.sleep(_ASK_AGAIN_SECONDS)


def _look_back(work: Work, target: str) -> None:
    with work.store.read() as tx:
        unsettled = acts.open_on(tx, target)
        earlier = [act for act in acts.of(tx, work.incident.number) if act.result is None or act.result in TOUCHED]
        reopened_at = incidents.get(tx, work.incident.number).reopened_at
    if reopened_at is not None:  # what was done before was verified then: it is over, and its rung stays spent
        earlier = [act for act in earlier if act.written_at >= reopened_at]
    if earlier:
        raise AlreadyActed(earlier[-1])
    if unsettled is not None:
        raise Refused(
            f"{unsettled.words} has no outcome yet",
            by_hand=f"look at the target, then `paramedic incident resolve {name(unsettled.incident)}`",
        )
