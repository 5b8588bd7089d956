"""The work at hand: the incident and target that this process's run is about, and whether it may go on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from prefect.settings import get_current_settings

from paramedic.catalog.runbook import Runbook
from paramedic.change.claim_keeper import ClaimKeeper
from paramedic.checks.check import Sample
from paramedic.errors import Refused
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import boottime
from paramedic.paging import Pager
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.store import Store, Tx, incidents

#: Prefect's words for a run that an operator stopped.
STOPPED = ("CANCELLED", "CANCELLING")

#: How long a read waits to hear whether its run was cancelled: a silent Prefect stops no read.
_LOOK_SECONDS = 2.0

#: Prefect has said Running when a run begins: for so long no read asks whether it still is.
_JUST_BEGUN_SECONDS = 0.5

#: How soon a Prefect that gave no answer is asked again, where a change depends on it.
_ASK_AGAIN_SECONDS = 0.1


class Cancelled(Exception):
    """An operator cancelled the run: reads stop, and nothing new is begun."""


class GivenUp(Exception):
    """The incident went on without this run: another attempt or a person has it."""


@dataclass
class Work:
    """What one run works on. A process works on one thing at a time."""

    settings: Settings
    store: Store
    pager: Pager
    incident: Incident
    runbook: Runbook
    target: Target
    attempt: int
    flow_run: str
    hold: ClaimKeeper | None = None
    waited: bool = False  # for a claim, and the target has not been looked at since
    looked_back: bool = False  # what earlier attempts did is settled, and what is left of the ladder may be tried
    began_at: float = field(default_factory=boottime, init=False)  # Prefect has just said Running
    stopped: bool = field(default=False, init=False)
    _reads: bool = field(default=False, init=False)
    samples: dict[str, list[Sample]] = field(default_factory=dict, init=False)  # of the runbook's checks, by their name
    looks: dict[str, list[Sample]] = field(default_factory=dict, init=False)  # of those, what this run saw itself
    fresh: bool = field(default=False, init=False)  # only samples that this run takes from now on count
    own: Runbook = field(init=False)  # as the incident began with it; `runbook` may ask for more proof

    def __post_init__(self) -> None:
        self.own = self.runbook

    @property
    def holder(self) -> str:
        """Who this is, on the trail and in the claim."""
        return f"run:{self.flow_run}"

    def still_ours(self, tx: Tx) -> Incident:
        """The incident as it stands. Raises GivenUp if another attempt has it."""
        incident = incidents.get(tx, self.incident.number)
        if incident.attempt != self.attempt:
            raise GivenUp(f"attempt {incident.attempt} has {incident.id}; attempt {self.attempt} was given up")
        return incident

    def forget_samples(self) -> None:
        """From here on only fresh samples count: what was seen before an act proves nothing about the time after it."""
        self.samples.clear()
        self.looks.clear()
        self.fresh = True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While nothing is touched: a cancel ends it at once. Raises Cancelled."""
        self.go_on()
        self._reads = True
        try:
            yield
        finally:
            self._reads = False

    def stop_reading(self, *_: object) -> None:
        """The responder says that an operator cancels the run. Raises Cancelled in the midst of a read, and only there."""
        self.stopped = True
        if self._reads:
            self._reads = False
            raise Cancelled("an operator cancelled the run in Prefect")

    def go_on(self) -> None:
        """Between two reads. Raises Cancelled if an operator stopped the run; a Prefect that is silent stops no read."""
        if not self.stopped and boottime() - self.began_at < _JUST_BEGUN_SECONDS:
            return
        if self.stopped or own_state(self.flow_run) in STOPPED:
            self.stopped = True
            raise Cancelled("an operator cancelled the run in Prefect")

    def may_change(self) -> None:
        """Before a change. Raises Cancelled, or Refused where Prefect cannot be asked: silence is no permission."""
        state = own_state(self.flow_run, patience=self.settings.prefect_timeout.total_seconds())
        if state in STOPPED:
            self.stopped = True
            raise Cancelled("an operator cancelled the run in Prefect")
        if state is None:
            raise Refused(
                "Prefect does not say whether an operator has cancelled this run",
                by_hand="look whether the Prefect server is up, then act by hand",
            )


def own_state(flow_run: str, *, patience: float = 0.0) -> str | None:
    """The run's state type as Prefect tells it now (`RUNNING`, `CANCELLING`, …); None if it cannot be read in time.

    A Prefect on SQLite says 503 now and then: for `patience` seconds it is asked again.
    """
    until = boottime() + patience
    timeout = max(patience, _LOOK_SECONDS)
    while (state := _own_state(flow_run, timeout)) is None:
        timeout = until - boottime() - _ASK_AGAIN_SECONDS
        if timeout <= 0:
            break
        time.sleep(_ASK_AGAIN_SECONDS)
    return state


def _own_state(flow_run: str, timeout: float) -> str | None:
    try:
        with prefect_api(timeout=timeout) as api:
            answer = api.get(f"/flow_runs/{flow_run}")
        answer.raise_for_status()
        state: str | None = answer.json().get("state_type")
    except (httpx.HTTPError, ValueError, LookupError):
        return None
    return state


def prefect_api(*, timeout: float) -> httpx.Client:
    """Plain HTTP to the Prefect that runs us, no retries. Raises LookupError where there is none."""
    prefect = get_current_settings()
    if prefect.api.url is None:
        raise LookupError("no Prefect API is named (PREFECT_API_URL)")
    headers = {}
    if prefect.api.key is not None:
        headers["Authorization"] = f"Bearer {prefect.api.key.get_secret_value()}"
    auth = None
    if prefect.api.auth_string is not None:
        user, _, password = prefect.api.auth_string.get_secret_value().partition(":")
        auth = httpx.BasicAuth(user, password)
    verify = prefect.api.url.startswith("https:")  # certificates that nobody needs take 30 ms to read
    return httpx.Client(
        base_url=prefect.api.url, headers=headers, auth=auth, timeout=timeout, trust_env=False, verify=verify
    )


_at_hand: list[Work] = []


def at_hand() -> Work:
    """The work of this process. Raises LookupError outside a playbook."""
    if not _at_hand:
        raise LookupError("no playbook is at work in this process; call steps from a @playbook")
    return _at_hand[-1]


def begin(work: Work) -> None:
    """Make it the work at hand."""
    _at_hand.append(work)


def end(work: Work) -> None:
    """It is done."""
    _at_hand.remove(work)
