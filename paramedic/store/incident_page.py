"""The page of an incident in the Prefect UI: what whoever is on call asks first, then its report as it stands."""

from collections.abc import Iterator
from dataclasses import replace

from paramedic.incidents import report
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.messages.document import Section, markdown
from paramedic.messages.page import first_screen
from paramedic.messages.summary import Summary
from paramedic.messages.words import data, short
from paramedic.oncall.on_call import Oncall
from paramedic.store import Tx
from paramedic.store.incident_story import story
from paramedic.store.incident_summary import summary
from paramedic.text.local_time import LocalTime

#: Everybody who may look at Prefect reads the page: its times are of no one's zone, its commands of no one's name.
_TIMES, _NAME = LocalTime("UTC"), "NAME"

#: So many characters of what a change would touch are shown.
_TOUCHES = 8_000


def key(incident: Incident) -> str:
    """The key of its artifact in Prefect."""
    return f"incident-{incident.id.lower()}"


def page(tx: Tx, incident: Incident, *, oncall: Oncall | None) -> str:
    """Markdown of ours, whatever is in it (P7). `oncall` tells who is paged next (None: that is left out)."""
    seen = summary(tx, incident, oncall=oncall)
    first, *rest = first_screen(seen, _TIMES, by=_NAME)
    headed = replace(first, headline=f"{incident.id}: {first.headline}")
    as_of = Section(lines=(f"As of {_TIMES.moment(seen.now)}: {incident.standing}. {_goes_on(incident)}",))
    return f"{markdown([headed, as_of, *_question(seen), *rest])}\n{report.details(story(tx, incident.number))}"


def _question(seen: Summary) -> Iterator[Section]:
    """The question that waits for an answer, and how to give one."""
    if seen.question is not None:
        until = _TIMES.moment(seen.question.expires_at)
        answer = f"paramedic incident approve {seen.incident.id} --by {_NAME}"
        yield Section(
            "It waits for a person's word",
            (f"May Paramedic do {short(seen.question.what)}? Until {until}:",),
            commands=(("yes", answer), ("no", f"{answer} --deny")),
            data=data(seen.question.touches, first=_TOUCHES),
        )


def _goes_on(incident: Incident) -> str:
    """What becomes of it from here on, by its state."""
    match incident.state:
        case State.RESOLVED:
            return "It is over: nothing is left to do."
        case State.HANDED_OVER if incident.ending is Ending.OBSERVED:
            return "Its runbook only observes: Paramedic changes nothing, and it is for a person to take."
        case State.HANDED_OVER:
            return "People are being paged, step by step, until somebody takes it. Paramedic changes nothing more."
        case State.ACKNOWLEDGED:
            return "Somebody has it, and Paramedic changes nothing more."
        case _:
            return f"Paramedic goes on with attempt {incident.attempt}, in a run of its own."
