"""Registers the work pool and the deployments of prefect.yaml with Prefect, as `prefect deploy --all` would."""

import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from importlib import import_module
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectException
from prefect.utilities.callables import parameter_schema
from prefect.workers.base import BaseWorker
from pydantic import ValidationError

from paramedic.alerts.alert import Severity
from paramedic.catalog.deployments import declared, own_deployments
from paramedic.dispatch.schedules import _by_slug, next_due, schedules
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.machine.clock import iso, utc_now
from paramedic.responder import admission, unloadable

log = logging.getLogger(__name__)

#: A run in one of these is a round to come, or an operator's answer to one: a round that is over says nothing of the next.
_PLANNED = [state.value for state in StateType if state is not StateType.COMPLETED]


def register(
    root: Path,
    pool: str,
    pool_type: str,
    *,
    groups: Sequence[str],
    every: timedelta,
    flows: Path | None = None,
    only: Collection[str] | None = None,
) -> dict[str, str]:
    """Create or update the pool and every deployment, or `only` those. Raises TemporaryError while Prefect is away.

    Returns the team's own playbooks that cannot be deployed, each with the cause in words.

    The pool has a work queue for each severity: critical comes first.

    Idempotent. An existing pool keeps its type: the same deployments run on a stock worker. A schedule that
    names a group is made for each of the `groups`, with the interval `every`. Prefect replaces a deployment's schedules, and
    their planned runs, as a whole, and plans the next ones at once; what an operator has paused stays paused. Each file of
    `flows`, a team's own folder, is one playbook with a deployment of its name; one that cannot be imported stops no other.
    """
    worker = BaseWorker.get_worker_class_from_type(pool_type)
    if worker is None:
        raise PermanentError(f"work_pool_type: Prefect knows no worker type {pool_type!r}")
    template = worker.get_default_base_job_template()
    with _prefect() as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=pool, type=pool_type, base_job_template=template))
        for priority, severity in enumerate((Severity.CRITICAL, Severity.WARNING), start=1):
            with contextlib.suppress(ObjectAlreadyExists):
                client.create_work_queue(severity.value, work_pool_name=pool, priority=priority)
        for deployment in declared(root):
            if only is None or deployment["name"] in only:
                _deploy(
                    client, deployment, pool, schedules(deployment.get("schedules", []), groups=groups, every=every)
                )
        wanted = [made for made in own_deployments(flows, root) if only is None or made["name"] in only]
        causes = {made["name"]: _deploy_own(client, made, pool) for made in wanted}
    return {name: cause for name, cause in causes.items() if cause}


def amiss(root: Path, *, groups: Sequence[str], every: timedelta, flows: Path | None = None) -> list[str]:
    """The deployments that are missing, differ in schedules or entrypoint from what `register` makes, or have no next round.

    `prefect deploy` knows only the group `default`, and Prefect 3.8.8 forgets a schedule's parameters when somebody
    pauses or resumes it: its rounds would be another group's. Of a team's own folder, only what is there and runs
    something else. Raises TemporaryError while Prefect is away.
    """
    names = []
    with _prefect() as client:
        for deployment in declared(root):
            there = _there(client, deployment)
            meant = schedules(deployment.get("schedules", []), groups=groups, every=every)
            if (
                there is None
                or _by_slug(there.schedules) != _by_slug(meant)
                or _runs_something_else(there, deployment)
                or not _is_planned(client, there)
            ):
                names.append(deployment["name"])
        for deployment in own_deployments(flows, root):
            there = _there(client, deployment)
            if there is not None and _runs_something_else(there, deployment):
                names.append(deployment["name"])
    return names


def _runs_something_else(there: DeploymentResponse, deployment: dict[str, Any]) -> bool:
    """Whether it runs something else, by the worker's own rule. An operator's choices, such as cancel_grace_seconds, are fine."""
    try:
        admission.admit(there, {}, entrypoints=[deployment["entrypoint"]])
    except Refused:
        return True
    return False


def _is_planned(client: SyncPrefectClient, there: DeploymentResponse) -> bool:
    """Whether the round that is due next is planned, or must not be: of a paused deployment none is.

    Where the clock of Prefect's machine is set back, it is not: Prefect 3.8.8 goes by the runs that it has planned, all of them
    later by as much, and holds a schedule's rounds of the time that comes again for made. Its planner stands still as well.
    """
    now = utc_now()
    due = None if there.paused else next_due(there.schedules, now)
    if due is None:
        return True
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [there.id]}}),
        flow_run_filter=FlowRunFilter.model_validate(
            {"state": {"type": {"any_": _PLANNED}}, "expected_start_time": {"after_": now, "before_": due}}
        ),
        limit=1,
    )
    return bool(runs)


def _there(client: SyncPrefectClient, deployment: dict[str, Any]) -> DeploymentResponse | None:
    """The deployment in Prefect; None without one."""
    try:
        return client.read_deployment_by_name(f"{deployment['name']}/{deployment['name']}")
    except ObjectNotFound:
        return None


@contextlib.contextmanager
def _prefect() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.HTTPError, PrefectException, JSONDecodeError, ValidationError) as error:
        words = " ".join(str(error).split())[:300]
        raise TemporaryError(f"Prefect does not answer as it should: {type(error).__name__}: {words}") from error


def _deploy_own(client: SyncPrefectClient, deployment: dict[str, Any], pool: str) -> str:
    """Deploy a team's own playbook; returns why it cannot be, or nothing."""
    try:
        _deploy(client, deployment, pool, [])
    except httpx.HTTPError:
        raise
    except Exception as error:  # somebody's flow: the others must be deployed
        log.exception("%s cannot be deployed", deployment["entrypoint"])
        return unloadable.words(deployment["name"], error)
    return ""


def _deploy(
    client: SyncPrefectClient, deployment: dict[str, Any], pool: str, schedules: list[DeploymentScheduleCreate]
) -> None:
    module, _, function = deployment["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), function)
    there = _there(client, deployment)
    paused = {made.slug for made in (there.schedules if there else []) if not made.active}
    for made in schedules:
        made.active = made.slug not in paused
    deployment_id = client.create_deployment(
        flow_id=client.create_flow(flow),
        name=deployment["name"],
        description=deployment.get("description") or flow.description,
        tags=deployment.get("tags", []),
        schedules=schedules,
        entrypoint=deployment["entrypoint"],
        pull_steps=[],
        path=None,
        work_pool_name=pool,
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
    )
    if schedules and not (there and there.paused):
        from_now = {"start_time": iso(utc_now())}  # by our clock: Prefect's machine may have another
        client.request("POST", "/deployments/{id}/schedule", path_params={"id": deployment_id}, json=from_now)
