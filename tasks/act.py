"""Act: the only module that may change production."""

import logging
from typing import cast

from paramedic.change.guarded import Intent
from paramedic.doors import reading
from paramedic.doors.changing import changer, command, releases
from paramedic.errors import PermanentError, Refused, TargetChanged, TemporaryError, WaitsForPeople
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Identity
from tasks.kinds import Change, changes

log = logging.getLogger(__name__)


@changes
def restart(intent: Intent) -> Identity:
    """Stop the target and start it again, as one request. Raises as every change does."""
    return changer(intent.target, intent.within, act=intent.act).restart(intent.identity, intent.last_look)


@changes
def roll_back(intent: Intent) -> Identity | None:
    """Make the last healthy release the current one, and restart the target into it, unless its owner does so itself.

    Raises as every change does: Refused where there is no release to go back to, PermanentError where the release folder is
    not in order.
    """
    bad = intent.identity.revision or reading.releases(intent.target).current().id
    back = releases(intent.target, intent.within, act=intent.act)
    if hasattr(back, "incident") and hasattr(back, "act"):
        back.incident, back.act = intent.incident, intent.act or ""
    good = back.roll_back(bad, intent.last_look, approved=intent.approved)
    if reading.keeps_releases(intent.target):
        intent.account.did = getattr(back, "did", "") or f"release {good} is current again"
        return _afterwards(intent)
    return _restarted_into(intent, good)


@changes
def undo(intent: Intent) -> Identity | None:
    """Take back what the last remedy changed: the release that a roll-back left is current again, and the target runs it.

    `@playbook` does it by itself, where that made it worse (MadeWorse). Raises as every change does: Refused where
    another release is current than that roll-back made so, the target's owner keeps its releases and offers no way forward, or
    the remedy of its kind's own was followed by somebody else's change.
    """
    if intent.remedy.undoes is not None and intent.remedy.undoes.offered is not None:
        return _of_its_kind(intent, f"undo_{intent.remedy.undoes.offered}")
    owner = releases(intent.target, intent.within, act=intent.act)
    if not hasattr(owner, "undo"):
        raise Refused(f"{intent.target.id} is not brought forward again by its kind: a person does it, by its own tool")
    expected = intent.identity.revision or reading.releases(intent.target).current().id
    back = owner.undo(expected, intent.last_look)
    if reading.keeps_releases(intent.target):
        intent.account.did = f"release {back} is current again"
        return _afterwards(intent)
    return _restarted_into(intent, back)


@changes
def run(intent: Intent) -> Identity | None:
    """Run one of the commands that services.yaml declares for the target, to its end; what it printed is kept as evidence.

    The remedy names the command. Raises as every change does: PermanentError where none is declared by that name, or it ends
    with another code than 0.
    """
    program = command(intent.target, intent.remedy.command or "", intent.within, act=intent.act)
    try:
        program.run(intent.last_look)
    finally:
        intent.account.output = program.output
    intent.account.did = "it ended with exit code 0"
    return _afterwards(intent)


def _afterwards(intent: Intent) -> Identity | None:
    """The instance after a change that is done; None where it cannot be seen, which the account tells."""
    try:
        return reading.identity(intent.target)
    except (TemporaryError, PermanentError) as error:  # the change is done: that must not pass for "nothing was sent"
        intent.account.did += f"; which instance runs now is not known: {error}"
        return None


@changes
def offered(intent: Intent) -> Identity:
    """Do what the target's kind offers beside a restart, by the remedy's name.

    Raises as every change does: PermanentError where the kind offers nothing by that name.
    """
    return _of_its_kind(intent, intent.remedy.offered or "")


def _of_its_kind(intent: Intent, method: str) -> Identity:
    """What the changer of the target's kind does by this method. Raises PermanentError where it has none."""
    changes_it = changer(intent.target, intent.within, act=intent.act)
    own = getattr(changes_it, method, None)
    if own is None:
        raise PermanentError(f"targets of the kind {intent.target.kind} offer no {intent.remedy.name}")
    more = () if intent.asked is None else (intent.asked,)
    if hasattr(changes_it, "alerts"):
        changes_it.alerts = intent.alerts()
    try:
        return cast("Identity", own(intent.identity, intent.last_look, *more))
    finally:
        intent.account.did = getattr(changes_it, "did", "")
        intent.account.output = getattr(changes_it, "output", None) or None


def _restarted_into(intent: Intent, release: str) -> Identity:
    """Restart the target into the release, which is current again by now."""
    intent.account.did = f"release {release} is current again, and {intent.target.id} answered"
    try:
        return changer(intent.target, intent.within, act=intent.act).restart(intent.identity, intent.last_look)
    except (Refused, TemporaryError) as error:  # of the restart nothing was sent; the other release stands
        raise PermanentError(
            f"release {release} is current again, and the target was not restarted into it: {error}"
        ) from error


_STEPS: dict[Verb, Change] = {Verb.RESTART: restart, Verb.ROLL_BACK: roll_back, Verb.RUN: run, Verb.OFFERED: offered}


def apply(remedy: Remedy, target: str) -> None:
    """Carry out one rung of the ladder. Returns also where it fails, or a crash loop overtakes it: the verification decides.

    `remedy` is one of `runbook.remedies`. Otherwise it raises as every change does; WaitsForPeople ends the ladder.
    """
    try:
        _STEPS[remedy.verb](target, remedy)
    except WaitsForPeople:
        raise
    except (
        PermanentError,
        TargetChanged,
    ) as error:  # its outcome is on the trail; the next rung may heal what this one did not
        log.warning("%s failed: %s", remedy.name, error)
