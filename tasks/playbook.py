"""The decorator that makes a function a playbook: it loads the incident, and ends it by verification or by hand-over (P5)."""

import functools
import inspect
import logging
import os
import shlex
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State as PrefectState
from prefect.runtime import flow_run
from prefect.states import Cancelled as CancelledState
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, Field

from paramedic.catalog.runbook import Runbook
from paramedic.change import noted
from paramedic.change.exclusive import AlreadyActed, claimed, happened, mark_of
from paramedic.change.ladder import rungs_left, undo_for
from paramedic.change.run import ACT_WITHIN, Cancelled, GivenUp, PlaybookRun, Proposed
from paramedic.errors import (
    CannotSee,
    HostNotReached,
    PermanentError,
    Refused,
    StopAfterChange,
    TemporaryError,
    WaitsForPeople,
)
from paramedic.incidents.incident import Incident, parse_ref
from paramedic.incidents.incident import name as incident_name
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.kinds.transport import Mark
from paramedic.machine import parent_death
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager
from paramedic.remediation.proposal import Proposal
from paramedic.store import StoreUnavailable, acts, attempts, incidents, lifecycle, runbook_versions
from paramedic.store.acts import Act
from paramedic.text.redaction import hush_logging
from paramedic.text.sanitize import one_line
from tasks import run_cache
from tasks.act import undo
from tasks.answers import name_of
from tasks.current_run import working_on
from tasks.diagnose import gather_evidence
from tasks.escalate import hand_over
from tasks.nothing_to_do import nothing_to_do
from tasks.notify import resolved
from tasks.observe import recovers_by_itself, told_of_the_verdict, would_have
from tasks.prefect_api import is_cancelled
from tasks.prefect_artifacts import show_incident
from tasks.run_log import say
from tasks.verify import stays_healthy

log = logging.getLogger(__name__)

Story = Callable[[Incident, Runbook], Outcome]


class Run(BaseModel):
    """The parameter of a run, which Paramedic starts itself. A run for another incident or attempt does nothing, and says why."""

    # Ids, and nothing that Prefect could take for a template. The form shows the docstring and the descriptions.
    model_config = ConfigDict(extra="forbid")

    incident: str = Field(
        pattern=r"^[0-9a-f-]{36}/INC-[1-9][0-9]{0,17}$",
        description="The store's UUID and the incident, as another run of the incident has it under Parameters: UUID/INC-42",
    )
    attempt: int = Field(ge=1, description="Which attempt at the incident, from 1: only the newest one works on it")


#: What everybody who looks at a playbook in the UI may want to know; docs/operators.md says it whole.
_OPERATORS = """\
**Cancel** a run: reads stop, no further change is begun, and a person gets the incident. \
**Retry** a finished run: it does nothing, and the run keeps its state; `paramedic incident retry` tries again. \
**Quick run**: does nothing unless Paramedic has raised that attempt. \
A concurrency limit of **0 on the tag `changes`** stops every change, of every playbook; delete the limit to go on.

What is true of an incident is in its page beside the run (Artifacts) and in `paramedic incident show`."""


def playbook(story: Story) -> Flow[[Run], PrefectState[Any]]:
    """Make the function a Prefect flow with the single parameter `run`.

    The flow begins the attempt (or says why it may not, and does nothing), runs the story, and turns its Outcome into
    a named state: green for what ended well, red for what now needs a person. A refusal, a cancel and any exception
    hand over. An earlier attempt that touched the target is verified, never repeated.
    """

    @functools.wraps(story)
    def run_story(run: Run) -> PrefectState[Any]:
        hush_logging()
        if parent_death.VARIABLE in os.environ:
            parent_death.die_with_parent()
        work = _load(run)
        if not isinstance(work, PlaybookRun):
            return _not_played(run, work)
        if threading.current_thread() is threading.main_thread():
            signal.signal(parent_death.STOP_READING, work.stop_reading)
        try:
            work.say(_beginning(work))
            work.say(_by_hand(work.incident))
            with working_on(work):
                return _state(outcome_of(story, work))
        except GivenUp as error:
            return Completed(name="GivenUp", message=str(error))
        except Cancelled:
            return CancelledState(message="cancelled by an operator; a person has the incident")
        finally:
            show_incident(work.store, work.settings, work.incident.number, flow_run=work.flow_run)

    # Prefect builds the run form from the signature, which wraps() hides behind the story's.
    run_story.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("run", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Run)]
    )
    run_story.__annotations__ = {"run": Run, "return": PrefectState[Any]}
    del run_story.__wrapped__
    run_story.story = story  # type: ignore[attr-defined] # for who plays it without Prefect
    decorate = flow(
        name=story.__name__.replace("_", "-"),
        description=f"{inspect.getdoc(story) or ''}\n\n{_OPERATORS}".lstrip(),
        retries=0,
        persist_result=False,
        result_storage=run_cache.results(),
        validate_parameters=True,
    )
    return decorate(run_story)


def _not_played(run: Run, why: Outcome | str) -> PrefectState[Any]:
    """The end of a run that plays no story: its incident was given to a person at once, or is not its to work on."""
    if isinstance(why, Outcome):
        say(f"{why.because}; a person has it")
        return _state(why)
    say(f"nothing to do: {why}")
    retry = f"paramedic incident retry {incident_name(parse_ref(run.incident)[1])} --by NAME"
    return nothing_to_do(str(flow_run.id), why, retry=retry)


def _beginning(work: PlaybookRun) -> str:
    incident, runbook = work.incident, work.runbook.name
    what = f"{incident.id}: {incident.title} on {incident.target} ({incident.severity})"
    return f"{what}; attempt {work.attempt}, by the runbook {runbook}"


def _by_hand(incident: Incident) -> str:
    """What a person can do while it runs."""
    service = shlex.quote(one_line(incident.service))
    return (
        f"to take it over: `paramedic incident ack {incident.id} --by NAME`; to stop every change of the service: "
        f"`paramedic pause --service {service} --because WHY --by NAME`, or cancel this run"
    )


def _load(run: Run) -> PlaybookRun | Outcome | str:
    """The context of this run; the outcome where its target is gone; or the reason in words why there is nothing to do."""
    settings = run_cache.current_settings()
    store = run_cache.store(settings.store())
    named_store, number = parse_ref(run.incident)
    if named_store != store.uuid:
        return f"this run belongs to store {named_store}, and this is store {store.uuid}: nothing is done"
    services = run_cache.services(settings)
    run_id = str(flow_run.id)
    with store.record() as tx:
        refusal = attempts.begin_attempt(tx, number, run.attempt, flow_run=run_id)
        if refusal is not None:
            return refusal
        incident, known = incidents.get(tx, number), attempts.get(tx, number, run.attempt)
        waited = known is not None and tx.now - known.raised_at > ACT_WITHIN
        pinned = runbook_versions.runbook_text(tx, incident.runbook_version or "")
    pager = Pager(store, settings, OncallFile(settings))
    target = services.by_id(incident.target)
    if target is None:
        outcome = Outcome(Ending.HANDED_OVER, f"services.yaml no longer lists {incident.target}")
        with store.record() as tx:
            lifecycle.hand_over(tx, number, outcome, actor=f"run:{run_id}")
        pager.deliver_due(number)
        return outcome
    return PlaybookRun(
        settings=settings,
        store=store,
        pager=pager,
        incident=incident,
        runbook=run_cache.parsed(pinned, f"{incident.runbook}.md").with_places(services),
        target=noted.with_noted(store, target),
        attempt=run.attempt,
        flow_run=run_id,
        ask_cancelled=partial(is_cancelled, run_id),
        say=say,
        waited=waited,
    )


def outcome_of(story: Story, run: PlaybookRun) -> Outcome:
    """The function's outcome; on any error the incident is handed over with the reason."""
    incident = run.incident
    try:
        return _played(story, run)
    except Proposed as observed:
        return _observed(incident, observed.proposal)
    except (GivenUp, StoreUnavailable):
        raise  # nothing can be written now: the attempt stays open, and the watchdog hands it on
    except Cancelled as error:
        hand_over(incident, because=str(error))
        raise
    except Refused as error:
        by_hand = f". By hand: {error.by_hand}" if error.by_hand else ""
        return hand_over(incident, because=f"{error.reason}{by_hand}", ending=Ending.REFUSED)
    except (CannotSee, WaitsForPeople) as error:
        return hand_over(incident, because=str(error))
    except (TemporaryError, PermanentError) as error:  # written for people
        return hand_over(incident, because=f"the playbook cannot go on: {error}")
    except Exception as error:  # the process's edge: a bug in a flow must not end in silence (P5)
        log.exception("the playbook failed")
        return hand_over(incident, because=f"the playbook failed: {type(error).__name__}: {error}")


def _played(story: Story, run: PlaybookRun) -> Outcome:
    """The story's outcome, also of one that goes on after an earlier attempt's act, or has to undo its own."""
    try:
        try:
            return _ended(story(run.incident, run.runbook))
        except AlreadyActed as before:
            run.say(f"{before.act.words} is verified now, and not repeated")
            return _settle(run, before) or _ended(story(run.incident, run.runbook))
    except StopAfterChange as error:
        return _stopped(run, error)
    except HostNotReached as error:  # what can be seen of it without its host is kept all the same
        return hand_over(run.incident, because=str(error), evidence=gather_evidence(run.incident, run.runbook))


def _stopped(run: PlaybookRun, stop: StopAfterChange) -> Outcome:
    """Undo the last change, where it can be undone and nothing speaks against it, and hand over; nothing else is tried."""
    words = str(stop)
    undoing = None if stop.kept else undo_for(run, words)
    if undoing is None and (why := stop.kept or stop.otherwise):
        words = f"{words}; nothing was undone: {why}"
    if undoing is not None:
        try:
            with claimed(run, run.incident.target):
                undo(run.incident.target, undoing)
            with run.store.read() as tx:
                is_done = acts.of(tx, run.incident.number)[-1].result == "done"
            words = f"{words}; {'what was changed was undone' if is_done else 'whether it was undone is open'}"
        except (Refused, TemporaryError, PermanentError) as error:
            words = f"{words}; it was not undone: {error}"
    return hand_over(run.incident, because=words)


def _ended(outcome: object) -> Outcome:
    """What the story returned. Raises TypeError where that is no outcome, as of a path without `return`."""
    if not isinstance(outcome, Outcome):
        raise TypeError(f"it returned {outcome!r:.100}, and no Outcome")
    return outcome


def _observed(incident: Incident, proposal: Proposal) -> Outcome:
    """Tell what would have been done, and look whether it would have been needed."""
    would_have(incident, proposal)
    outcome = recovers_by_itself(incident, proposal)
    told_of_the_verdict(incident)
    return outcome


def _settle(run: PlaybookRun, before: AlreadyActed) -> Outcome | None:
    """Verify what an earlier attempt did, or may have done; nothing is repeated.

    None where it did not help, its outcome is known, and the ladder has rungs that were never tried: the story goes on.
    A change that was under way at the first look is seen by the second one; what was well before that proves nothing of it.
    """
    with claimed(run, run.incident.target):
        mark, took_place = _what_became_of(run, before.act)
        try:
            healthy = stays_healthy(run.incident, run.runbook)
            if healthy and not took_place:
                mark, took_place = _what_became_of(run, before.act)
                healthy = not took_place or stays_healthy(run.incident, run.runbook)
        except CannotSee as error:
            return hand_over(run.incident, because=f"{before.act.words} was not repeated; {error}")
    if healthy and took_place:
        return resolved(run.incident, ())
    if not healthy and before.act.result is not None and rungs_left(run):
        run.looked_back = True
        return None
    unsettled = "" if before.act.result else f", and {mark.words if mark else 'whether it happened is open'}"
    return hand_over(
        run.incident,
        because=f"{before.act.words} was not repeated{unsettled}; the target is {'well' if healthy else 'still failing'}",
    )


def _what_became_of(run: PlaybookRun, act: Act) -> tuple[Mark | None, bool]:
    """The act's mark on the target's machine, and whether it has taken place by now. Raises Cancelled."""
    mark = mark_of(run, act)
    return mark, happened(run, act, mark)


def _state(outcome: Outcome) -> PrefectState[Any]:
    name = name_of(outcome.ending)
    if outcome.needs_a_person:
        return Failed(name=name, message=outcome.because)
    return Completed(name=name, message=outcome.because)
