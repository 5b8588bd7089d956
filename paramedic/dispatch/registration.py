"""Tells Prefect of the work pool and the deployments that prefect.yaml lists, as `prefect deploy --all` would."""

import contextlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectAlreadyExists
from prefect.utilities.callables import parameter_schema
from prefect.workers.base import BaseWorker
from ruamel.yaml import YAML

from paramedic.error import TryAgain, Useless
from paramedic.library import own_flows

log = logging.getLogger(__name__)


def register(
    root: Path, pool: str, pool_type: str, *, groups: Sequence[str], every: timedelta, flows: Path | None = None
) -> None:
    """The pool and every deployment, made or brought up to date. Idempotent. Raises TryAgain while Prefect is away.

    A pool that is there already keeps its type: the same deployments run on a stock worker. A schedule that names a group
    is made once for each of the `groups`, `every` so often. Prefect replaces a deployment's schedules, and the runs that
    they have planned, as a whole. Each file of `flows`, a team's own folder, is one playbook with a deployment of its
    name; one that cannot be imported stops no other.
    """
    said = YAML(typ="safe").load((root / "prefect.yaml").read_text())
    worker = BaseWorker.get_worker_class_from_type(pool_type)
    if worker is None:
        raise Useless(f"work_pool_type: Prefect knows no worker type {pool_type!r}")
    template = worker.get_default_base_job_template()
    try:
        with get_client(sync_client=True) as client:
            with contextlib.suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=pool, type=pool_type, base_job_template=template))
            for one in said["deployments"]:
                _deploy(client, one, pool, schedules(one.get("schedules", []), groups=groups, every=every))
            for path in own_flows(flows):
                _deploy_own(client, path.stem, pool)
    except httpx.HTTPError as error:
        raise TryAgain(f"Prefect does not answer: {type(error).__name__}: {error}") from error


def _deploy_own(client: Any, module: str, pool: str) -> None:
    entrypoint = f"flows.{module}.{module}"
    one = {"name": module.replace("_", "-"), "entrypoint": entrypoint, "tags": ["paramedic", "playbook"]}
    try:
        _deploy(client, one, pool, [])
    except httpx.HTTPError:
        raise
    except Exception:  # somebody's flow: the others must be deployed
        log.exception("%s cannot be deployed", entrypoint)


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


def _deploy(client: Any, one: dict[str, Any], pool: str, schedules: list[DeploymentScheduleCreate]) -> None:
    module, _, function = one["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), function)
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
