"""Each entry of the trail as a Prefect event, so that an operator's automations can react to what Paramedic does."""

import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import httpx

from paramedic.audit.chain import Entry
from paramedic.dispatch.incident_pages import IncidentPages
from paramedic.errors import PermanentError, TemporaryError
from paramedic.incidents.incident import Incident, parse_ref
from paramedic.machine.backoff import Backoff
from paramedic.oncall.on_call import Oncall
from paramedic.store import Store, event_cursor, incidents, trail
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.transports.prefect_http import PrefectApi

log = logging.getLogger(__name__)

#: How many entries are sent with one request.
BATCH = 100

#: How much of a text an event carries; the trail has it whole.
_LONGEST = 500

#: How long to wait after the first, second, … consecutive time that Prefect did not take them.
_BACKOFF = Backoff((0.5, 1, 2, 5, 10, 30))

_FLOW_RUN = re.compile(r"run:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Events:
    """Sends the trail to Prefect as events, in order. Duplicates are dropped there: an entry's event has a fixed id.

    Several may run on one store. Prefect REST API reference: "Create Events".
    """

    def __init__(
        self,
        store: Store,
        api: PrefectApi,
        *,
        timeout: timedelta = timedelta(seconds=10),
        rest: timedelta = timedelta(),
        who: Callable[[], Oncall | None] = lambda: None,
    ) -> None:
        """An entry is sent once it is `rest` old; `who` says who is on call, for the pages of incidents.

        Raises PermanentError where the address is invalid.
        """
        self._store = store
        self._rest = rest
        self._http = api.client(seconds=timeout.total_seconds(), repeats_503=True)
        self._pages = IncidentPages(store, self._http, who)

    def run(self, stop: threading.Event, *, poll_seconds: float = 0.5) -> None:
        """Send until `stop`. A Prefect that is away delays the events and nothing else."""
        failed = 0
        pause = poll_seconds
        while not stop.wait(pause):
            try:
                busy = self.work() == BATCH
            except Exception as error:  # the thread's edge: whatever it was, the next entries are to be told too
                pause = _BACKOFF.after(failed)
                failed += 1
                known = isinstance(error, (TemporaryError, PermanentError))
                log.warning(
                    "events could not be sent, tried again in %s s: %s", pause, error, exc_info=None if known else error
                )
            else:
                failed = 0
                pause = 0 if busy else poll_seconds

    def work(self) -> int:
        """Send the next batch, and renew the pages of its incidents; returns the number of its entries.

        Raises TemporaryError, StoreUnavailable, or PermanentError for a denied login.
        """
        with self._store.read() as tx:
            found = trail.entries(tx, after=event_cursor.position(tx), limit=BATCH)
            batch = list(takewhile(lambda entry: not self._is_fresh(entry, tx.now), found))
            about = {entry.incident: _incident(tx, entry.incident) for entry in batch if entry.incident}
        if not batch:
            return 0
        self._post([event(self._store.uuid, entry, about.get(entry.incident or "")) for entry in batch])
        self._pages.renew({incident.number for incident in about.values() if incident is not None})
        with self._store.record() as tx:
            event_cursor.advance(tx, batch[-1].seq)
        return len(batch)

    def _is_fresh(self, entry: Entry, now: datetime) -> bool:
        """Whether the entry is too young to be sent; False if its clock ran ahead."""
        return timedelta() <= now - datetime.fromisoformat(entry.at) < self._rest

    def _post(self, events: list[dict[str, Any]]) -> None:
        try:
            answer = self._http.post("/events", json=events)
        except httpx.HTTPError as error:
            raise TemporaryError(f"Prefect does not answer: {type(error).__name__}: {error}") from error
        if answer.status_code == 422 and len(events) > 1:
            for event in events:  # one that Prefect refuses keeps no other from it
                self._post([event])
        elif answer.status_code == 422:
            log.error("Prefect refuses the event %s: %s", events[0]["event"], answer.text[:_LONGEST])
        elif answer.status_code in (401, 403):
            raise PermanentError(f"Prefect answers {answer.status_code}: prefect_api_auth is not what it expects")
        elif not answer.is_success:
            raise TemporaryError(f"Prefect answers {answer.status_code}")


def event(store: str, entry: Entry, incident: Incident | None) -> dict[str, Any]:
    """The entry as a Prefect event: ids and our own words. No label, no output, no note."""
    listed = incident is not None and incident.runbook is not None  # else its target and service are an alert's labels
    run = entry.data.get("flow_run") or next(iter(_FLOW_RUN.findall(entry.actor)), None)
    return {
        "id": str(uuid.uuid5(uuid.UUID(store), entry.hash)),  # the chain's hash: a restored store tells another story
        "occurred": entry.at,
        "event": f"paramedic.{called(entry)}",
        "resource": _resource(store, incident),
        "related": [
            {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "flow-run"},
        ]
        if run
        else [],
        "payload": {
            "store": store,
            "seq": entry.seq,
            "incident": entry.incident,
            "attempt": entry.data.get("attempt"),
            "target": _short(entry.target) if listed else None,
            "actor": _short(entry.actor),
            "phase": entry.phase,
            "what": entry.what,
            "reason": _short(entry.reason),
        },
    }


def called(entry: Entry) -> str:
    """The event's name: the entry's `what`, and `act.…` for every act on a target."""
    subject, _, result = entry.what.partition(".")
    if entry.phase == "intent":
        return "act.intended"
    if subject != "incident" and result and entry.data.keys() & {"act", "guardrail"}:
        return f"act.{result}"
    return entry.what


def _resource(store: str, incident: Incident | None) -> Mapping[str, str]:
    if incident is None:
        return {"prefect.resource.id": f"paramedic.store.{store}", "prefect.resource.name": "Paramedic"}
    labels = {
        "prefect.resource.id": f"paramedic.incident.{store}.{incident.id}",
        "prefect.resource.name": incident.id,
        "paramedic.severity": incident.severity.value,
    }
    if incident.runbook is None:
        return labels
    return labels | {"paramedic.service": incident.service, "paramedic.runbook": incident.runbook}


def _incident(tx: Any, ref: str) -> Incident | None:
    try:
        return incidents.get(tx, parse_ref(ref)[1])
    except incidents.NoSuchIncident:
        return None


def _short(text: str | None) -> str | None:
    return None if text is None else one_line(redact(text))[:_LONGEST]
