"""Tells Prefect of the work pool and the deployments that prefect.yaml lists, as `prefect deploy --all` would."""

import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from json import JSONDecodeError
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectException
from prefect.utilities.callables import parameter_schema
from prefect.workers.base import BaseWorker
from pydantic import ValidationError

from paramedic.alerts.alert import Severity
from paramedic.catalog.deployments import declared, own_deployments
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.responder import admission

log = logging.getLogger(__name__)


def register(
    root: Path,
    pool: str,
    pool_type: str,
    *,
    groups: Sequence[str],
    every: timedelta,
    flows: Path | None = None,
    only: Collection[str] | None = None,
) -> None:
    """The pool and every deployment, or `only` those, made or brought up to date. Raises TemporaryError while Prefect is away.

    The pool has a work queue for each severity: what is critical comes first.

    Idempotent. A pool that is there already keeps its type: the same deployments run on a stock worker. A schedule that
    names a group is made once for each of the `groups`, `every` so often. Prefect replaces a deployment's schedules, and
    the runs that they have planned, as a whole; what an operator has paused stays so. Each file of `flows`, a team's own
    folder, is one playbook with a deployment of its name; one that cannot be imported stops no other.
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
        for one in declared(root):
            if only is None or one["name"] in only:
                _deploy(client, one, pool, schedules(one.get("schedules", []), groups=groups, every=every))
        for one in own_deployments(flows, root):
            if only is None or one["name"] in only:
                _deploy_own(client, one, pool)


def amiss(root: Path, *, groups: Sequence[str], every: timedelta, flows: Path | None = None) -> list[str]:
    """The deployments that Prefect lacks, or has otherwise than `register` makes them: their schedules, or what they run.

    `prefect deploy` knows only the group `default`, and Prefect 3.8.8 forgets a schedule's parameters when somebody
    pauses or resumes it: its rounds would be another group's. Of a team's own folder, only what is there and runs
    something else. Raises TemporaryError while Prefect is away.
    """
    names = []
    with _prefect() as client:
        for one in declared(root):
            there = _there(client, one)
            meant = schedules(one.get("schedules", []), groups=groups, every=every)
            if there is None or _by_slug(there.schedules) != _by_slug(meant) or _runs_something_else(there, one):
                names.append(one["name"])
        for one in own_deployments(flows, root):
            there = _there(client, one)
            if there is not None and _runs_something_else(there, one):
                names.append(one["name"])
    return names


def _runs_something_else(there: DeploymentResponse, one: dict[str, Any]) -> bool:
    """By the worker's own rule. What an operator may choose, such as cancel_grace_seconds, stays."""
    try:
        admission.admit(there, {}, entrypoints=[one["entrypoint"]])
    except Refused:
        return True
    return False


def _by_slug(made: Sequence[DeploymentSchedule | DeploymentScheduleCreate]) -> dict[str | None, Any]:
    return {one.slug: (one.schedule, one.parameters) for one in made}


def _there(client: SyncPrefectClient, one: dict[str, Any]) -> DeploymentResponse | None:
    """The deployment as Prefect has it; None where it knows no such deployment."""
    try:
        return client.read_deployment_by_name(f"{one['name']}/{one['name']}")
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


def _deploy_own(client: SyncPrefectClient, one: dict[str, Any], pool: str) -> None:
    try:
        _deploy(client, one, pool, [])
    except httpx.HTTPError:
        raise
    except Exception:  # somebody's flow: the others must be deployed
        log.exception("%s cannot be deployed", one["entrypoint"])


def schedules(
    said: Sequence[dict[str, Any]], *, groups: Sequence[str], every: timedelta
) -> list[DeploymentScheduleCreate]:
    """The schedules that prefect.yaml means. Each group has a second of its own, so that not all begin at once."""
    made = []
    for one in said:
        run = one["parameters"]["run"]
        if "group" not in run:
            made.append(_schedule(one["slug"], timedelta(seconds=one["interval"]), run))
            continue
        made += [_schedule(group, every, run | {"group": group}) for group in groups]
    return made


def _schedule(slug: str, every: timedelta, run: dict[str, Any]) -> DeploymentScheduleCreate:
    seconds = round(every.total_seconds())
    return DeploymentScheduleCreate(
        schedule=IntervalSchedule(
            interval=timedelta(seconds=seconds),
            anchor_date=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=crc32(slug.encode()) % seconds),
        ),
        active=True,
        slug=slug,
        parameters={"run": run | {"every": seconds}},
    )


def _deploy(
    client: SyncPrefectClient, one: dict[str, Any], pool: str, schedules: list[DeploymentScheduleCreate]
) -> None:
    module, _, function = one["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), function)
    there = _there(client, one)
    paused = {made.slug for made in (there.schedules if there else []) if not made.active}
    for made in schedules:
        made.active = made.slug not in paused
    client.create_deployment(
        flow_id=client.create_flow(flow),
        name=one["name"],
        description=one.get("description") or flow.description,
        tags=one.get("tags", []),
        schedules=schedules,
        entrypoint=one["entrypoint"],
        pull_steps=[],
        path=None,
        work_pool_name=pool,
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
    )
