"""Acknowledgement links: a GET shows a page with a button, because mail scanners follow links; the button's POST acknowledges."""

import logging
from collections.abc import Mapping
from datetime import datetime

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from paramedic.gateway import incident_link, not_now, pages
from paramedic.gateway.form import Forms, NotThisForm
from paramedic.gateway.form import read as read_form
from paramedic.incidents.incident import IllegalMove, Incident, State
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, incidents, lifecycle
from paramedic.store.incidents import NoSuchIncident

log = logging.getLogger(__name__)


class AcknowledgementEndpoint:
    """Shows the incident on GET and acknowledges on POST, for the one recipient of the link."""

    def __init__(self, settings: Settings, store: Store, forms: Forms) -> None:
        self._settings = settings
        self._store = store
        self._forms = forms

    def show(self, token: str, request: Request) -> Response:
        """Show the page; changes nothing."""
        return self._page(token, request)

    def _page(self, token: str, request: Request, *, wrong: str = "") -> Response:
        link = incident_link.read(self._settings, self._store, token)
        if isinstance(link, Response):
            return link
        try:
            with self._store.read() as tx:
                incident = incidents.get(tx, link.incident)
            issued = self._forms.issue(request)
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except (StoreUnavailable, OSError) as error:  # OSError: the key that signs
            return not_now.to_person(error)
        answer = _incident_page(incident, link.person, form=issued.field, wrong=wrong, token=token)
        self._forms.set_cookie(answer, request, issued)
        return answer

    async def acknowledge(self, token: str, request: Request) -> Response:
        """Acknowledge: the person pressed the button."""
        try:
            form = await read_form(request)
        except NotThisForm as error:
            return pages.page("say", 413, title="That is not the form", words=str(error))
        return await run_in_threadpool(self._acknowledge, token, request, form)

    def _acknowledge(self, token: str, request: Request, form: Mapping[str, str]) -> Response:
        link = incident_link.read(self._settings, self._store, token)
        if isinstance(link, Response):
            return link
        try:
            self._forms.use(request, form)
            with self._store.record() as tx:
                before = incidents.get(tx, link.incident).taken_from(link.person)
                incident = lifecycle.acknowledge(tx, link.incident, by=link.person, reason="by the link in a message")
        except NotThisForm as error:
            return self._page(token, request, wrong=f"Nothing was done. {error}")
        except IllegalMove as error:
            return pages.page("say", 409, title="It is over", words=str(error))
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except (StoreUnavailable, OSError) as error:
            return not_now.to_person(error)
        return _incident_page(incident, link.person, taken_from=before, token=token)


def _incident_page(
    incident: Incident, person: str, *, form: str = "", wrong: str = "", taken_from: str | None = None, token: str
) -> Response:
    """The page of the incident as it is: what has happened so far, and the button where there is something to take.

    A press that was not heard (`wrong`) is no fault where the incident is already this person's.
    """
    at = _at(incident.acknowledged_at)
    button, effect, status = f"I have it: {person}", _EFFECT, 403 if wrong else 200
    match incident.state:
        case State.RESOLVED:
            title, so_far = f"{incident.id} is over", f"It is over since {_at(incident.ended_at)}: {incident.outcome}."
            button, status = "", 409 if wrong else 200
        case State.ACKNOWLEDGED if incident.acknowledged_by == person:
            title, so_far = f"{incident.id} is yours", f"{person} has it since {at}. {_TAKEN}"
            if taken_from is not None:
                so_far = f"{so_far} {taken_from} had it before, and is told that {person} has it now."
            button, wrong, status = "", "", 200
        case State.ACKNOWLEDGED:
            holder = incident.acknowledged_by
            title, so_far = f"{incident.id} is {holder}'s", f"{holder} has it since {at}. {_TAKEN}"
            button, effect = f"Take it over: {person}", f"The button takes it over from {holder}, who is told."
        case State.HANDED_OVER:
            title, so_far = f"{incident.id}: is it yours?", "Nobody has it: people are paged until somebody takes it."
            if (before := incident.taken_from(person)) is not None:
                so_far = f"{so_far} {before} had it from {at}, and it was not over in time."
        case _:
            title, so_far = f"{incident.id}: is it yours?", "Paramedic works on it, and pages nobody about it."
    return pages.page(
        "incident",
        status,
        title=title,
        so_far=so_far,
        incident=incident,
        over=incident.state is State.RESOLVED,
        button=button,
        effect=f"Opening this page has changed nothing. {effect}",
        form=form,
        wrong=wrong,
        token=token,
    )


_TAKEN = "Further pages have stopped, and Paramedic changes nothing more."
_EFFECT = "The button stops further pages and every further change by Paramedic."


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
