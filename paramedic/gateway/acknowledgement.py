"""Acknowledgement links: a GET shows a page with a button, because mail scanners follow links; the button's POST acknowledges."""

import logging
from collections.abc import Mapping

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from paramedic import keys
from paramedic.gateway import not_now, pages
from paramedic.gateway.form import Forms, NotThisForm
from paramedic.gateway.form import read as read_form
from paramedic.incidents.incident import IllegalMove
from paramedic.messages import signed_link
from paramedic.messages.signed_link import Acknowledgement, BadLink
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown, incidents, lifecycle
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
        link = self._read(token)
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
        title = f"{incident.id}: is it yours?"
        status = 403 if wrong else 200
        answer = pages.page(
            "ask", status, title=title, incident=incident, person=link.person, form=issued.field, wrong=wrong
        )
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
        link = self._read(token)
        if isinstance(link, Response):
            return link
        try:
            self._forms.use(request, form)
            with self._store.record() as tx:
                incident = lifecycle.acknowledge(tx, link.incident, by=link.person, reason="by the link in a message")
        except NotThisForm as error:
            return self._page(token, request, wrong=f"Nothing was done. {error}")
        except IllegalMove as error:
            return pages.page("say", 409, title="It is over", words=str(error))
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except (StoreUnavailable, OSError) as error:
            return not_now.to_person(error)
        return pages.page("say", title=f"{incident.id} is yours", words=f"{link.person} has it. Further pages stop.")

    def _read(self, token: str) -> Acknowledgement | Response:
        try:
            link = signed_link.read(keys.link_key(self._settings), token, self._settings.link_expires)
            if link.store != self._store.uuid:
                return pages.page("say", 410, title="Another store", words="This link is of a store that is gone.")
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except (StoreUnavailable, StoreUnknown, OSError) as error:  # OSError: the key that signs links
            return not_now.to_person(error)
        return link
