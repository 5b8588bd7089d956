"""One run of a playbook: its incident and target, and whether it may go on."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from paramedic.catalog.runbook import Runbook
from paramedic.change.claim_keeper import ClaimKeeper
from paramedic.checks.check import Sample
from paramedic.errors import Refused
from paramedic.incidents.evidence import Evidence
from paramedic.incidents.incident import Incident
from paramedic.machine.clock import boottime
from paramedic.paging import Pager
from paramedic.remediation.proposal import Proposal
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.store import Store, Tx, incidents

log = logging.getLogger(__name__)

#: Prefect has confirmed Running when a run begins: for this long no read asks whether it still is.
_JUST_BEGUN_SECONDS = 0.5

#: An attempt that was raised so long before its run began may be about what is over by now: its target is looked at once
#: more before a change.
ACT_WITHIN = timedelta(minutes=10)

#: Whether an operator has cancelled the run; None where Prefect does not answer, retried for this long.
AskCancelled = Callable[[timedelta], bool | None]


class Cancelled(Exception):
    """An operator cancelled the run: reads stop, and nothing new begins."""


class Proposed(Exception):
    """The runbook observes: what this run would have done is written down, and it does nothing more."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(proposal.words)
        self.proposal = proposal


class GivenUp(Exception):
    """The incident went on without this run: another attempt or a person has it."""


@dataclass
class PlaybookRun:
    """The context of one run. A process has one run at a time."""

    settings: Settings
    store: Store
    pager: Pager
    incident: Incident
    runbook: Runbook
    target: Target
    attempt: int
    flow_run: str
    ask_cancelled: AskCancelled
    say: Callable[[str], None] = log.info  # writes one line of the run's log
    keeper: ClaimKeeper | None = None  # of the claim on the target, while this run holds it
    waited: bool = False  # for a claim, or for its run to begin, and the target has not been looked at since
    looked_back: bool = False  # what earlier attempts did is settled, and what is left of the ladder may be tried
    began_at: float = field(default_factory=boottime, init=False)  # the orchestrator has just said Running
    stopped: bool = field(default=False, init=False)
    _reads: bool = field(default=False, init=False)
    samples: dict[str, list[Sample]] = field(default_factory=dict, init=False)  # of the runbook's checks, by their name
    looks: dict[str, list[Sample]] = field(default_factory=dict, init=False)  # of those, what this run saw itself
    #: Of a check whose metrics are by subject: those that the incident's alerts named before its first change.
    subjects: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict, init=False)
    fresh: bool = field(default=False, init=False)  # only samples that this run takes from now on count
    resident: int | None = field(
        default=None, init=False
    )  # bytes that the target held at the last look, where it was asked
    besides: str = field(default="", init=False)  # what people hear beside that it helped
    of_its_host: Evidence | None = field(
        default=None, init=False
    )  # what is known of the target's host, where it is not reached
    seen_by: str = field(default="", init=False)  # the second way by which it was seen well, in words
    own: Runbook = field(init=False)  # as the incident began with it; `runbook` may ask for more proof

    def __post_init__(self) -> None:
        self.own = self.runbook

    @property
    def holder(self) -> str:
        """The run's name on the trail and in the claim."""
        return f"run:{self.flow_run}"

    def still_ours(self, tx: Tx) -> Incident:
        """The incident in its current state. Raises GivenUp if another attempt has it."""
        incident = incidents.get(tx, self.incident.number)
        if incident.attempt != self.attempt:
            raise GivenUp(f"attempt {incident.attempt} has {incident.id}; attempt {self.attempt} was given up")
        return incident

    def forget_samples(self) -> None:
        """Count only fresh samples from now on: samples from before an act prove nothing about the time after it."""
        self.samples.clear()
        self.looks.clear()
        self.resident = None
        self.fresh = True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Mark a read, which a cancel interrupts at once. Raises Cancelled."""
        self.go_on()
        self._reads = True
        try:
            yield
        finally:
            self._reads = False

    def stop_reading(self, *_: object) -> None:
        """Handle the responder's signal of a cancel. Raises Cancelled in the middle of a read, and only there."""
        self.stopped = True
        if self._reads:
            self._reads = False
            raise _cancelled()

    def go_on(self) -> None:
        """Call between two reads. Raises Cancelled if an operator cancelled the run; a silent Prefect stops no read."""
        if not self.stopped and boottime() - self.began_at < _JUST_BEGUN_SECONDS:
            return
        if self.stopped or self.ask_cancelled(timedelta(0)):
            self.stopped = True
            raise _cancelled()

    def may_change(self) -> None:
        """Call before a change. Raises Cancelled, or Refused where Prefect does not answer: silence is not permission."""
        cancelled = self.ask_cancelled(self.settings.prefect_timeout)
        if cancelled:
            self.stopped = True
            raise _cancelled()
        if cancelled is None:
            raise Refused(
                "Prefect does not say whether an operator has cancelled this run",
                by_hand="look whether the Prefect server is up, then act by hand",
            )


def _cancelled() -> Cancelled:
    return Cancelled("an operator cancelled the run in Prefect")
