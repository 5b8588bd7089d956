"""Creates flow runs by Prefect's REST API. The idempotency key settles whether a run exists after a lost answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from paramedic.errors import PermanentError, TemporaryError
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.transports.prefect_http import PrefectApi

#: Prefect's state types that no run comes back from.
FINISHED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


#: So much of what Prefect says of a run's state is told.
_LONGEST = 300

#: A refusal that ends: it is busy, or our login is being changed.
_LATER = (401, 403, 408, 425, 429)


class NotDeployed(TemporaryError):
    """Prefect has no such deployment: it is new, or was replaced. Deploy, then try again."""


@dataclass(frozen=True, slots=True)
class CreatedRun:
    """The run under the key: new, or existing already."""

    id: str
    state_type: str
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The whole run, as Prefect gave it."""

    @property
    def why(self) -> str:
        """What Prefect says of the run's state, to follow a sentence of ours; empty where it says nothing."""
        message = (self.payload.get("state") or {}).get("message")
        return f": {one_line(redact(str(message)))[:_LONGEST]}" if message else ""


class PrefectRuns:
    """A Prefect API by plain HTTP: Prefect's client would wait whole seconds before it retries a 503.

    Prefect REST API reference: "Read Deployment By Name", "Create Flow Run From Deployment".
    """

    def __init__(self, api: PrefectApi, *, timeout: timedelta = timedelta(seconds=10)) -> None:
        """No call takes longer than `timeout`. Raises PermanentError where the address is none."""
        self._http = api.client(seconds=timeout.total_seconds(), repeats_503=True)
        self._deployments: dict[str, str] = {}

    def create_run(
        self,
        deployment: str,
        *,
        incident_ref: str,
        attempt: int,
        idempotency_key: str,
        name: str,
        tags: Sequence[str],
        queue: str,
    ) -> CreatedRun:
        """Create the run under the key in that work queue, or find it. `deployment` is `flow/deployment`.

        Raises NotDeployed where this Prefect has no such deployment, TemporaryError where it is unknown whether the run exists
        (503, time-out, cut connection), PermanentError where the flow is not a playbook, or Prefect refuses it, in its words.
        """
        parameters = {"run": {"incident": incident_ref, "attempt": attempt}}
        if deployment not in self._deployments:
            self._deployments[deployment] = self._suiting(deployment, parameters)
        body = {
            "name": name,
            "parameters": parameters,
            "idempotency_key": idempotency_key,
            "tags": list(tags),
            "enforce_parameter_schema": False,  # looked at once, above: Prefect would do it for each run
            "state": {"type": "SCHEDULED"},
            "work_queue_name": queue,
        }
        try:
            answer = self._asked("POST", f"/deployments/{self._deployments[deployment]}/create_flow_run", json=body)
        except NotDeployed:
            del self._deployments[deployment]  # it may have been redeployed, under another id
            raise
        return CreatedRun(answer["id"], answer["state_type"] or "PENDING", answer)

    def _suiting(self, deployment: str, parameters: dict[str, Any]) -> str:
        """The deployment's id. Raises PermanentError where its flow does not take such parameters."""
        # Here, because it is seconds to import: who does not ask for runs need not have it.
        from prefect.utilities.schema_tools.validation import CircularSchemaRefError, ValidationError, validate

        answer = self._asked("GET", f"/deployments/name/{deployment}")
        try:
            validate(parameters, answer["parameter_openapi_schema"] or {}, raise_on_error=True)
        except (ValidationError, CircularSchemaRefError) as error:
            raise PermanentError(
                f"{deployment} is not a playbook, which takes `run` and nothing else: {error}"
            ) from error
        return str(answer["id"])

    def resume(self, flow_run: str, *, run_input: Mapping[str, str]) -> None:
        """Resume a suspended run; one that is gone or has ended is left alone. The store decides what it may do.

        Raises TemporaryError where Prefect does not answer, or the run is at work: it may be about to suspend.
        Prefect REST API reference: "Resume Flow Run", "Read Flow Run", "Set Flow Run State".
        """
        try:
            answer = self._asked("POST", f"/flow_runs/{flow_run}/resume", json={"run_input": dict(run_input)})
            if answer["status"] == "ACCEPT":
                return
            state = self._asked("GET", f"/flow_runs/{flow_run}")["state_type"]
            if state == "PAUSED":  # it waits for no form of ours: who suspended it died before the form was written
                body = {"state": {"type": "SCHEDULED", "name": "Resuming"}}
                self._asked("POST", f"/flow_runs/{flow_run}/set_state", json=body)
                return
        except NotDeployed:  # this Prefect knows no such run
            return
        if state not in FINISHED:
            raise TemporaryError(f"the run is {state}, and not suspended")

    def _asked(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise TemporaryError(f"Prefect does not answer: {type(error).__name__}: {error}") from error
        if answer.status_code in _LATER or answer.status_code >= 500:
            raise TemporaryError(f"Prefect answers {answer.status_code}")
        try:
            payload = answer.json()
        except ValueError:
            payload = None
        if not isinstance(payload, dict):  # another server, or a proxy before it: what it says is not a refusal
            raise TemporaryError(f"what answers {answer.status_code} is not Prefect's API")
        if answer.status_code == 404:
            raise NotDeployed(f"Prefect knows no {path}")
        if not answer.is_success:
            raise PermanentError(f"Prefect answers {answer.status_code}: {answer.text[:500]}")
        return _Payload(payload)


class _Payload(dict[str, Any]):
    """A JSON object in Prefect's answer."""

    def __missing__(self, name: str) -> Any:
        raise TemporaryError(f"the answer has no {name!r}: it is not Prefect's API")
