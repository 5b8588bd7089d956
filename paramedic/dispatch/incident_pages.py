"""Keeps the page of an incident in the Prefect UI as the incident is, after its run has ended: taken, noted, resolved."""

import logging
from collections.abc import Collection

import httpx

from paramedic.store import Store, attempts, incident_page, incidents
from paramedic.text.redaction import redact_known

log = logging.getLogger(__name__)


class IncidentPages:
    """Writes the pages of incidents whose runs have ended anew. Prefect REST API reference: "Update Artifact"."""

    def __init__(self, store: Store, http: httpx.Client) -> None:
        self._store = store
        self._http = http

    def renew(self, numbers: Collection[int]) -> None:
        """Renew the pages of these incidents, each beside its last run. Never raises: only the view is missing."""
        for number in sorted(numbers):
            try:
                self._renew(number)
            except httpx.HTTPStatusError as error:
                log.warning("the page of incident %s is not renewed in the Prefect UI: %s", number, error)
            except httpx.HTTPError as error:  # it does not answer: none of the others would be either
                log.warning("pages of incidents from %s on are not renewed in the Prefect UI: %s", number, error)
                return
            except Exception:  # a fault of the view must delay no event
                log.exception("the page of incident %s is not renewed in the Prefect UI", number)

    def _renew(self, number: int) -> None:
        with self._store.read() as tx:
            incident = incidents.get(tx, number)
            runs = [attempt for attempt in attempts.of(tx, number) if attempt.flow_run is not None]
            if not runs or runs[-1].state == "open":  # the run itself writes it at its end
                return
            text = redact_known(incident_page.page(tx, incident))
        key, run = incident_page.key(incident), runs[-1].flow_run
        wanted = {"artifacts": {"key": {"any_": [key]}, "flow_run_id": {"any_": [run]}}, "limit": 1}
        found = self._http.post("/artifacts/filter", json=wanted).raise_for_status().json()
        if found:
            answer = self._http.patch(f"/artifacts/{found[0]['id']}", json={"data": text})
        else:  # a run that died has written none
            body = {"key": key, "type": "markdown", "data": text, "flow_run_id": run}
            answer = self._http.post("/artifacts/", json=body)
        answer.raise_for_status()
