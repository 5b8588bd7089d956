"""Capacity: slots for playbooks before scheduled rounds, and for critical ones before others."""

import contextlib
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import anyio
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from paramedic.alerts.alert import Severity
from paramedic.machine.clock import utc_now

#: So many runs at once are never scheduled rounds, however many of those wait: an outage must not wait for a measurement.
PLAYBOOKS = 24

#: The number of these that only the queue `critical` gets, so that it does not wait behind warnings.
RESERVED = 4

#: The kinds of runs: what an incident started, and what a schedule did.
PLAYBOOK, ROUND = "playbook", "round"


class Capacity:
    """The running runs, counted by kind."""

    def __init__(self) -> None:
        self._rounds: set[UUID] = set()
        self._playbooks: set[UUID] = set()
        self._uncritical: set[UUID] = set()  # the playbooks that leave RESERVED alone
        self._begun = {PLAYBOOK: 0, ROUND: 0}

    def fits(self, flow_run: FlowRun, limiter: anyio.CapacityLimiter | None) -> bool:
        """Of what the limit allows, PLAYBOOKS are never scheduled rounds, and RESERVED of those only critical."""
        if limiter is None:
            return True
        if limiter.available_tokens < 1:
            return False
        if flow_run.auto_scheduled:
            return len(self._rounds) < limiter.total_tokens - PLAYBOOKS
        return flow_run.work_queue_name == Severity.CRITICAL or len(self._uncritical) < PLAYBOOKS - RESERVED

    def begin(self, flow_run: FlowRun) -> None:
        """Count a run that begins."""
        self._begun[ROUND if flow_run.auto_scheduled else PLAYBOOK] += 1
        if flow_run.auto_scheduled:
            self._rounds.add(flow_run.id)
            return
        self._playbooks.add(flow_run.id)
        if flow_run.work_queue_name != Severity.CRITICAL:
            self._uncritical.add(flow_run.id)

    def end(self, flow_run: UUID) -> None:
        """Count a run that has ended."""
        self._rounds.discard(flow_run)
        self._playbooks.discard(flow_run)
        self._uncritical.discard(flow_run)

    def at_work(self) -> dict[str, int]:
        """The runs at work, by kind."""
        return {PLAYBOOK: len(self._playbooks), ROUND: len(self._rounds)}

    def begun(self) -> dict[str, int]:
        """The runs that began so far, by kind."""
        return dict(self._begun)

    async def cancel_rounds(self, prefect: PrefectClient) -> None:
        """End the rounds at work as Cancelled: they end with this process, and the next start goes on with new ones.

        What Prefect does not take, the watchdog of the next start ends as Crashed.
        """
        for flow_run in list(self._rounds):
            with contextlib.suppress(httpx.HTTPError, ObjectNotFound):
                message = "stopped with the responder; the next start goes on"
                await prefect.set_flow_run_state(flow_run, Cancelled(message=message), force=True)


def newest_rounds(flow_runs: Iterable[FlowRun]) -> set[UUID]:
    """Of each schedule the run that was due last: where all come late, it is played nevertheless."""
    rounds = (run for run in flow_runs if run.auto_scheduled and run.expected_start_time is not None)
    newest = {_schedule(run): run.id for run in sorted(rounds, key=lambda run: run.expected_start_time or utc_now())}
    return set(newest.values())


def _schedule(flow_run: FlowRun) -> tuple[UUID | None, str]:
    """A deployment has a schedule for each of its groups, which is in their parameters."""
    return flow_run.deployment_id, repr(flow_run.parameters.get("run"))


def missed(flow_run: FlowRun) -> bool:
    """Whether a scheduled round is so late that the next one is due already. Its parameters have the period."""
    parameters = flow_run.parameters.get("run")
    every = parameters.get("every") if isinstance(parameters, dict) else None
    due = flow_run.expected_start_time
    if not flow_run.auto_scheduled or not isinstance(every, int) or due is None:
        return False
    return utc_now() - due >= timedelta(seconds=every)
