"""Keeps the page of an incident in the Prefect UI as the incident is, after its run has ended: taken, noted, resolved."""

import logging
from collections.abc import Callable, Collection

import httpx

from paramedic.oncall.on_call import Oncall
from paramedic.store import Store, attempts, incident_page, incidents
from paramedic.transports.prefect_page import keep_page

log = logging.getLogger(__name__)


class IncidentPages:
    """Writes the pages of incidents whose runs have ended anew."""

    def __init__(self, store: Store, http: httpx.Client, who: Callable[[], Oncall | None]) -> None:
        """`who` says who is on call, None where that cannot be read."""
        self._store = store
        self._http = http
        self._who = who

    def renew(self, numbers: Collection[int]) -> None:
        """Renew the pages of these incidents, each beside its last run. Never raises: only the view is missing."""
        oncall = self._who() if numbers else None  # read from a file: not inside a transaction
        for number in sorted(numbers):
            try:
                self._renew(number, oncall)
            except httpx.HTTPStatusError as error:
                log.warning("the page of incident %s is not renewed in the Prefect UI: %s", number, error)
            except httpx.HTTPError as error:  # it does not answer: none of the others would be either
                log.warning("pages of incidents from %s on are not renewed in the Prefect UI: %s", number, error)
                return
            except Exception:  # a fault of the view must delay no event
                log.exception("the page of incident %s is not renewed in the Prefect UI", number)

    def _renew(self, number: int, oncall: Oncall | None) -> None:
        with self._store.read() as tx:
            incident = incidents.get(tx, number)
            runs = [attempt for attempt in attempts.of(tx, number) if attempt.flow_run is not None]
            if not runs or runs[-1].state == "open":  # the run itself writes it at its end
                return
            text = incident_page.page(tx, incident, oncall=oncall)
        # A run that died has written none.
        keep_page(self._http, key=incident_page.key(incident), text=text, flow_run=str(runs[-1].flow_run))
