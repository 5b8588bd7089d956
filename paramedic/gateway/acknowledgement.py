"""The link in a message: a page with a button, because mail scanners follow links; the button acknowledges."""

import logging

from fastapi import Response

from paramedic import link, settings
from paramedic.gateway import pages
from paramedic.incident import IllegalMove
from paramedic.link import Acknowledgement, BadLink
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown, incidents
from paramedic.store.incidents import NoSuchIncident

log = logging.getLogger(__name__)


class AcknowledgementDesk:
    """Shows the incident on GET and acts on POST, for the one recipient that the link was written for."""

    def __init__(self, chosen: Settings, store: Store) -> None:
        self._chosen = chosen
        self._store = store

    def show(self, token: str) -> Response:
        """Looking at a link does nothing."""
        said = self._read(token)
        if isinstance(said, Response):
            return said
        try:
            with self._store.read() as tx:
                incident = incidents.get(tx, said.incident)
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except StoreUnavailable as error:
            return _not_now(error)
        return pages.page("ask", title=f"{incident.id}: is it yours?", incident=incident, person=said.person)

    def acknowledge(self, token: str) -> Response:
        """The person has it."""
        said = self._read(token)
        if isinstance(said, Response):
            return said
        try:
            with self._store.record() as tx:
                incident = incidents.acknowledge(tx, said.incident, by=said.person, reason="by the link in a message")
        except IllegalMove as error:
            return pages.page("say", 409, title="It is over", words=str(error))
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except StoreUnavailable as error:
            return _not_now(error)
        return pages.page("say", title=f"{incident.id} is yours", words=f"{said.person} has it. Further pages stop.")

    def _read(self, token: str) -> Acknowledgement | Response:
        try:
            said = link.read(settings.link_key(self._chosen), token, self._chosen.link_expires)
            if said.store != self._store.uuid:
                return pages.page("say", 410, title="Another store", words="This link is of a store that is gone.")
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except (StoreUnavailable, StoreUnknown, OSError) as error:  # OSError: the key that signs links
            return _not_now(error)
        return said


def _not_now(error: Exception) -> Response:
    log.warning("a link was not answered: %s", error)
    return pages.page("say", 503, title="Not now", words="It cannot be answered now. Try again in a minute.")
