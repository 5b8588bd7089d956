"""Does a person agree? Asked before a change and outside its task: the run is suspended, and no process waits."""

import contextlib
from datetime import timedelta
from typing import Literal

import httpx
from prefect import suspend_flow_run
from prefect.exceptions import Pause
from prefect.input import RunInput
from prefect.settings import get_current_settings
from pydantic import Field, ValidationError

from paramedic.change.approval_question import open_question
from paramedic.change.run import PlaybookRun
from paramedic.errors import Refused
from paramedic.machine.clock import iso
from paramedic.machine.kill_points import kill_point
from paramedic.remediation.approval import FORM, Approval, describe_instance
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.remedy import Remedy
from paramedic.settings import Settings
from paramedic.store import StoreUnavailable, approvals
from paramedic.store.claims import Claim
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.transports.prefect_login import asks_for_login

#: Prefect's own time-out is a little later than ours: the store's word counts, and it comes first.
_LATER = timedelta(minutes=1)

#: After this many approvals by a form that does not count, nobody is asked any more: a person gets the incident.
_FORMS = 5


class Decision(RunInput):
    """The form in the Prefect UI. It has no defaults: the server refuses Resume without an answer."""

    decision: Literal["approve", "deny"] = Field(description="Only `approve` lets the change happen.")
    by: str = Field(
        min_length=1, max_length=100, pattern=r"\S", description="Who you are. Your name stands on the audit trail."
    )


def ask_if_needed(run: PlaybookRun, claim: Claim, remedy: Remedy, pinned: Guardrails, current: Guardrails) -> None:
    """Return once no approval is needed, or a person has answered; the intent judges the answer (P9).

    Nobody is asked about a change that another guardrail refuses. Else the question is written, the run is suspended
    (Prefect's Pause ends this process), and a person told; when it is resumed, by whomever, it comes here again from
    the story's first line. Raises Refused where Prefect does not suspend it, Cancelled where an operator cancelled,
    TemporaryError or PermanentError where the target cannot be seen.
    """
    asked = open_question(run, claim, remedy, pinned, current)
    if asked is not None:
        _asked_by_form(run, asked)


def _asked_by_form(run: PlaybookRun, asked: Approval) -> None:
    """Suspend the run until a person answers. An approval by a form that proves nothing is refused, and asked again.

    Each time has its own form: a restarted run meets the earlier answers first.
    """
    useless = form_proves_nothing(run.settings, get_current_settings().api.url or "")
    for question in range(_FORMS):
        decision = _suspended(run, asked, question, useless)
        if decision is None:
            return
        granted, by = decision.decision == "approve", decision.by.strip()
        with run.store.record() as tx:
            if not granted or useless is None:
                approvals.decide(tx, asked.id, granted=granted, by=by, how=FORM)
                return
            approvals.refuse_form(tx, asked, by=by, question=question, because=useless)


def form_proves_nothing(settings: Settings, api_url: str) -> str | None:
    """Why an approval by Prefect's form does not count; None where it comes from somebody with the login to Prefect."""
    if not settings.approve_by_form:
        return "approve_by_form is off: approve by the link with its code, or on the command line"
    match asks_for_login(api_url, timeout=settings.prefect_timeout):
        case True:
            return None
        case False:
            return (
                "this Prefect answers everybody without a login (`paramedic doctor`): "
                "approve by the link with its code, or on the command line"
            )
    return "Prefect did not say whether it asks for a login: approve by the link with its code, or on the command line"


def _suspended(run: PlaybookRun, asked: Approval, question: int, useless: str | None) -> Decision | None:
    """The form's answer if the run was resumed with one, else None. Raises Pause."""
    with run.store.read() as tx:
        left = asked.expires_at - tx.now
    try:
        return suspend_flow_run(
            wait_for_input=Decision.with_initial_data(description=described(run, asked, useless)),
            timeout=int((max(left, timedelta(0)) + _LATER).total_seconds()),
            key=f"approval-{asked.attempt}-{asked.rung}" + (f"-{question}" if question else ""),
        )
    except Pause:
        kill_point("suspended", asked.target)
        with contextlib.suppress(StoreUnavailable):  # the watchdog delivers it as well
            run.pager.deliver_due(asked.incident)
        raise
    except ValidationError:
        return None  # somebody set the run's state by hand: that is not an answer
    except (RuntimeError, httpx.HTTPError) as error:
        run.go_on()
        raise Refused(
            f"Prefect did not suspend the run, to wait for a person's approval: {error}", by_hand="do it by hand"
        ) from error


def described(run: PlaybookRun, asked: Approval, useless: str | None) -> str:
    """The description above the form's fields: our text at the margin, text from outside indented, without markup (P7)."""
    facts = [
        f"change: {asked.remedy}",
        *(f"it touches: {words}" for words in [asked.touches] if words),
        f"target: {asked.target}",
        f"its instance: {describe_instance(asked.identity)}",
        f"incident: {run.incident.id}, {run.incident.title}, {run.incident.severity}",
        f"until: {iso(asked.expires_at)}",
    ]
    block = "\n".join(f"    {one_line(redact(fact))}" for fact in facts)
    here = f"Here you can only deny: {useless}." if useless else "Whoever may use this form may approve."
    return (
        f"Paramedic asks before it changes this:\n\n{block}\n\n{here} "
        "Without an approval nothing is done, and a person gets it."
    )
