"""The approval question: whether a change needs one answered first, and asking it."""

from collections.abc import Mapping, Sequence

from paramedic.change.asked import about_of
from paramedic.change.limits import firing_alerts
from paramedic.change.members import look_around
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.asked import in_words
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.guardrail_rules import APPROVAL, Guardrails
from paramedic.remediation.remedy import Remedy
from paramedic.remediation.target import Identity
from paramedic.store import approvals, intents
from paramedic.store.claims import Claim

#: So many characters of what a change would touch are shown.
_SHOWN = 6_000


def open_question(
    run: PlaybookRun, claim: Claim, remedy: Remedy, pinned: Guardrails, current: Guardrails
) -> Approval | None:
    """The question that this change waits for, queued here if it was not yet asked. None where no answer is needed.

    That is where no approval is needed, where a person has answered (the intent judges the answer, P9), and
    where another guardrail refuses anyway. Raises GivenUp; Refused where the target would refuse the change, or no alert says
    what it is about; and TemporaryError or PermanentError where the target cannot be seen.
    """
    if pinned.asking is None and current.asking is None:
        return None
    around = look_around(run, pinned, current)
    identity, about = reading.identity(run.target), about_of(run, remedy)
    with run.store.read() as tx:
        refusal = intents.would_refuse(
            tx, claim, remedy, identity=identity, limits=pinned, today=current, around=around, about=about
        )
        known = approvals.of(tx, claim.incident, claim.attempt, remedy.rung, claim.target)
    if refusal is None or refusal.guardrail != APPROVAL:
        return None
    if known is None:
        known = _ask(run, claim, remedy, identity, about)
    return known if known.state is Answer.ASKED else None


def _ask(
    run: PlaybookRun, claim: Claim, remedy: Remedy, identity: Identity, about: Sequence[Mapping[str, str]]
) -> Approval:
    touches = _touches(run, remedy, about)
    with run.store.record() as tx:
        run.still_ours(tx)
        asked = approvals.ask(
            tx,
            incident=claim.incident,
            attempt=claim.attempt,
            rung=remedy.rung,
            target=claim.target,
            remedy=remedy.name,
            identity=identity,
            within=run.settings.approve_within,
            flow_run=run.flow_run,
            policy=run.incident.policy,
            severity=run.incident.severity,
            touches=touches,
            about=about,
        )
    kill_point("approval_asked", claim.target)
    return asked


def _touches(run: PlaybookRun, remedy: Remedy, about: Sequence[Mapping[str, str]]) -> str:
    """What the change would touch, in words; empty where its name says all. Raises Refused where the target says no now."""
    if about:
        return _bounded(in_words(remedy.asked, about))
    if remedy.offered is None:
        return ""
    try:
        return _bounded(reading.foreseen(run.target, remedy.offered, firing_alerts(run)))
    except (TemporaryError, PermanentError) as error:
        return f"it could not be seen what it would touch: {error}"


def _bounded(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]} … and {len(words) - _SHOWN} characters more"
