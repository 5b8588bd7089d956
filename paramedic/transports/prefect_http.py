"""A Prefect API's address, login and client, and whether it answers. Plain HTTP: Prefect's own client may be what is broken."""

import logging
import ssl
import threading
import time
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from paramedic.errors import PermanentError
from paramedic.machine.backoff import Backoff
from paramedic.settings import Settings
from paramedic.transports.http_deadline import Deadline, certificate_fault
from paramedic.transports.http_retry import RetryOn503
from paramedic.transports.prefect_tls import Verification

log = logging.getLogger(__name__)

#: The wait before Prefect is asked again.
BACKOFF = Backoff((0.2, 0.2, 0.5, 0.5, 1.0, 2.0, 5.0))

#: How often the reason for a wait is logged again while it stays the same.
_SAY_AGAIN_SECONDS = 60.0

#: A run that does not exist: to answer 404, the server needs our login and its database.
_NO_RUN = "00000000-0000-0000-0000-000000000000"


#: A server closes idle connections after 5 s: we do it first.
_IDLE = httpx.Limits(keepalive_expiry=2.0)


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """The address of a Prefect API (`http://HOST:4200/api`), and its login (`user:password`) or key, if it needs one."""

    url: str
    login: SecretStr | None = None
    key: SecretStr | None = None

    @classmethod
    def named(cls, settings: Settings) -> "PrefectApi | None":
        """The Prefect API of the settings; None where they name none."""
        if settings.prefect_api_url is None:
            return None
        return cls(settings.prefect_api_url, settings.prefect_api_auth)

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password; None where no login is set."""
        if self.login is None:
            return None
        user, _, password = self.login.get_secret_value().partition(":")
        return user, password

    def client(self, *, seconds: float, repeats_503: bool = False) -> httpx.Client:
        """A client for paths such as `/health`, straight to the server; none of its calls takes longer than `seconds`.

        `repeats_503`: a call that is answered 503 is made again within its time, as `RetryOn503` says.
        Over https its certificate is verified as `paramedic.transports.prefect_tls` says. Raises PermanentError where the
        address cannot be parsed, or the file of authorities cannot be read.
        """
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key.get_secret_value()}"}
        transport = RetryOn503 if repeats_503 else Deadline
        try:
            url = httpx.URL(self.url.rstrip("/"))
        except httpx.InvalidURL as error:
            raise PermanentError(f"the address of Prefect's API cannot be asked: {error}") from error
        return httpx.Client(
            base_url=url,
            headers=headers,
            auth=self.auth,
            timeout=seconds,
            transport=transport(trust_env=False, limits=_IDLE, verify=_verify(url)),
            trust_env=False,
        )


def _verify(url: httpx.URL) -> ssl.SSLContext | bool:
    if url.scheme != "https":
        return False  # the authorities take 30 ms to read
    return Verification.configured().context()


def complaint(prefect: httpx.Client) -> str | None:
    """Why the client's API cannot be used, in words; None where it can.

    Prefect REST API reference: "Health Check", "Read Flow Run".
    """
    try:
        health = prefect.get("/health")
        wrong = _refusal(health)
        if wrong is None and _json(health) is not True:
            wrong = _NO_API
        if wrong is not None:
            return wrong
        run = prefect.get(f"/flow_runs/{_NO_RUN}")
    except httpx.HTTPError as error:
        fault = certificate_fault(error)
        return (
            type(error).__name__
            if fault is None
            else f"its certificate is not trusted ({fault}); {Verification.configured()}"
        )
    if run.status_code == httpx.codes.NOT_FOUND:
        return None if _is_error(_json(run)) else _NO_API
    return _refusal(run) or _NO_API


def wait_for_prefect(api: PrefectApi, stop: threading.Event) -> None:
    """Wait until the API can be used, or `stop`; the reason for the wait is logged."""
    reported, reported_at = None, 0.0
    with api.client(seconds=3.0) as prefect:
        for pause in BACKOFF:
            found = complaint(prefect)
            if found is None or stop.is_set():
                break
            if found != reported or time.monotonic() - reported_at >= _SAY_AGAIN_SECONDS:
                log.warning("waiting for Prefect at %s: %s", api.url, found)
                reported, reported_at = found, time.monotonic()
            stop.wait(pause)
    if reported is not None and not stop.is_set():
        log.warning("Prefect at %s answers", api.url)


_NO_API = "it answers, and not as Prefect's API (PARAMEDIC_PREFECT_API_URL: http://HOST:4200/api)"


def _refusal(answer: httpx.Response) -> str | None:
    if answer.status_code in (401, 403):
        return f"it refuses our login (HTTP {answer.status_code}): set PARAMEDIC_PREFECT_API_AUTH"
    return None if answer.is_success else f"HTTP {answer.status_code}"


def _is_error(payload: object) -> bool:
    return isinstance(payload, dict) and "detail" in payload


def _json(answer: httpx.Response) -> object:
    try:
        payload: object = answer.json()
    except ValueError:
        return None
    return payload
