"""What Prefect says of itself and of a run, by plain HTTP: its client is part of what may be broken."""

import httpx

from paramedic.settings import Settings

#: Prefect's state types that a run ends in.
FINISHED = ("COMPLETED", "FAILED", "CRASHED")
STOPPED = ("CANCELLED", "CANCELLING")

#: What `state` says of a run that this Prefect does not know.
GONE = "GONE"


class PrefectEyes:
    """Looks at Prefect, for at most two seconds a look."""

    def __init__(self, chosen: Settings) -> None:
        auth = chosen.prefect_api_auth.get_secret_value().partition(":") if chosen.prefect_api_auth else None
        self._url = chosen.prefect_api_url
        self._http = httpx.Client(auth=(auth[0], auth[2]) if auth else None, timeout=2.0, trust_env=False)

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get(f"{self._url}/health").is_success
        except httpx.HTTPError:
            return False

    def state(self, flow_run: str) -> str | None:
        """The run's state type, GONE, or None where Prefect does not answer."""
        try:
            answer = self._http.get(f"{self._url}/flow_runs/{flow_run}")
            if answer.status_code == 404:
                return GONE
            said: str | None = answer.raise_for_status().json()["state_type"]
        except (httpx.HTTPError, ValueError, KeyError):
            return None
        return said or "PENDING"
