"""Artifacts in the Prefect UI for operators. The store has all of it: without the UI only the view is missing."""

import logging

import httpx
from prefect.runtime import task_run

from paramedic.incidents.incident import name
from paramedic.oncall.oncall_reload import OncallIfKnown
from paramedic.settings import Settings
from paramedic.store import Store, incident_page, incidents
from paramedic.text.redaction import redact_known
from paramedic.text.sanitize import visible
from paramedic.transports.prefect_page import keep_page
from tasks.prefect_api import prefect_api

log = logging.getLogger(__name__)

#: How long the UI's server may take for each part of an answer. It is asked once.
PATIENCE_SECONDS = 2.0


def show(key: str, markdown: str, *, flow_run: str) -> None:
    """Attach a page to the run. By plain HTTP: Prefect's client would retry for minutes while a target is down."""
    body = {
        "key": key,
        "type": "markdown",
        "data": redact_known(markdown),  # what its parts need beyond that, whoever composed them has done
        "flow_run_id": flow_run,
        "task_run_id": task_run.id,
    }
    try:
        with prefect_api(timeout=PATIENCE_SECONDS) as api:
            api.post("/artifacts/", json=body).raise_for_status()
    except (httpx.HTTPError, LookupError) as error:
        log.warning("%s could not be shown in the Prefect UI: %s", key, error)


def show_incident(store: Store, settings: Settings, number: int, *, flow_run: str) -> None:
    """Attach the incident's page as the run ends, or is suspended. Never raises."""
    try:
        oncall = OncallIfKnown(settings)()
        with store.read() as tx:
            incident = incidents.get(tx, number)
            text = incident_page.page(tx, incident, oncall=oncall)
        with prefect_api(timeout=PATIENCE_SECONDS) as api:
            keep_page(api, key=incident_page.key(incident), text=text, flow_run=flow_run)
    except (httpx.HTTPError, LookupError) as error:
        log.warning("%s could not be shown in the Prefect UI: %s", name(number), error)
    except Exception:  # a fault of the view must not become the run's
        log.exception("%s could not be shown in the Prefect UI", name(number))


def quoted(text: str) -> str:
    """As an indented block: no run of characters inside can end it, and none of it is markup (P7)."""
    return "\n".join(f"    {line}" for line in visible(text).splitlines())
