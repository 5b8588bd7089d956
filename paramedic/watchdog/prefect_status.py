"""Prefect's health and the state of its runs, by plain HTTP: Prefect's client is part of what may be broken."""

import logging

import httpx

from paramedic.errors import TemporaryError
from paramedic.settings import Settings
from paramedic.store import Store, prefect_claim
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.transports import prefect_http
from paramedic.transports.prefect_http import PrefectApi

log = logging.getLogger(__name__)

#: So many errors of a run's log are looked at; how one with a traceback goes on, and how much of its last line is told.
_ERRORS = 10
_TRACEBACK = "Traceback (most recent call last)"
_LONGEST = 300

#: What `state` says of a run that this Prefect does not know.
GONE = "GONE"


class PrefectStatus:
    """Asks Prefect, for at most two seconds per request; one that timed out is not asked again in the round.

    Prefect REST API reference: "Health Check", "Read Flow Run", "Set Flow Run State".
    """

    def __init__(self, settings: Settings) -> None:
        api = PrefectApi.named(settings)
        self._prefect = None if api is None else api.client(seconds=2.0)
        self._answers = True
        self._installation: str | None = None

    def complaint(self) -> str | None:
        """Why Prefect does not answer, or None, as without an address. Begins a new round."""
        self._answers = True
        if self._prefect is None:
            return None
        found = prefect_http.complaint(self._prefect)
        self._answers = found is None
        return found

    def is_of_another_store(self, store: Store) -> bool:
        """Whether the store's runs are in another Prefect: then it means nothing that this one has none of them.

        Raises StoreUnavailable.
        """
        if self._prefect is None:
            return False
        with store.read() as tx:
            if not prefect_claim.is_claimed(tx):
                return False
        self._installation = self._installation or prefect_claim.look(self._prefect)
        if self._installation is None:  # it does not answer: that is for the other looks
            return False
        try:
            with store.read() as tx:
                prefect_claim.check(tx, self._installation)
        except prefect_claim.AnotherPrefect as error:
            log.warning("the runs in Prefect cannot be checked: %s", error)
            return True
        return False

    def state(self, flow_run: str) -> str | None:
        """The run's state type (`RUNNING`, `CANCELLED`, …), GONE, or None where Prefect does not answer."""
        if self._prefect is None or not self._answers:
            return None
        try:
            answer = _asked(self._prefect, f"/flow_runs/{flow_run}")
            if answer.status_code == 404 and "detail" in answer.json():  # and not of any other server
                return GONE
            state_type: str | None = answer.raise_for_status().json()["state_type"]
        except httpx.TransportError:
            self._answers = False
            return None
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
            return None
        return state_type or "PENDING"

    def cause(self, flow_run: str) -> str:
        """Why the run died, as far as Prefect has it: the error in its log, how its process ended; empty where it has neither.

        A process that dies as it imports its flow never comes to Paramedic's code: only its engine and its worker can tell.
        Prefect REST API reference: "Read Flow Run", "Read Logs".
        """
        if self._prefect is None or not self._answers:
            return ""
        wanted = {"flow_run_id": {"any_": [flow_run]}, "level": {"ge_": logging.ERROR}}
        try:
            state = _asked(self._prefect, f"/flow_runs/{flow_run}").raise_for_status().json().get("state") or {}
            body = {"logs": wanted, "sort": "TIMESTAMP_ASC", "limit": _ERRORS}
            errors = self._prefect.post("/logs/filter", json=body).raise_for_status().json()
            tracebacks = [str(entry["message"]) for entry in errors if _TRACEBACK in str(entry["message"])]
            ended = _told(state.get("message") or "")
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
            return ""
        if not tracebacks:
            return f"{ended}; what it printed is in the output of its worker" if ended else ""
        error = _told(tracebacks[0].rstrip().rpartition("\n")[2])
        return f"{error}{f' ({ended})' if ended else ''}; the log of its run in Prefect has all of it"

    def crash(self, flow_run: str, why: str) -> None:
        """Set an unfinished run to Crashed, or to Cancelled where an operator was cancelling it.

        Raises TemporaryError where Prefect does not confirm it. Prefect REST API reference: "Set Flow Run State".
        """
        state = self.state(flow_run)
        if self._prefect is None or state is None:
            raise TemporaryError("Prefect does not say how the run stands")
        if state not in ("RUNNING", "PENDING", "CANCELLING"):
            return
        body = {"type": "CANCELLED" if state == "CANCELLING" else "CRASHED", "message": why}
        try:
            answer = self._prefect.post(f"/flow_runs/{flow_run}/set_state", json={"state": body, "force": True})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise TemporaryError(f"Prefect does not take the run's end: {type(error).__name__}") from error


def _told(text: str) -> str:
    """What Prefect says, as part of a sentence of ours."""
    return one_line(redact(text))[:_LONGEST].rstrip(" .")


def _asked(prefect: httpx.Client, path: str) -> httpx.Response:
    """On SQLite Prefect answers 503 now and then: three in a row count as no answer."""
    for _ in range(2):
        answer = prefect.get(path)
        if answer.status_code < 500:
            return answer
    return prefect.get(path)
