"""Schedules in Prefect: one for each group of checks, from prefect.yaml."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import IntervalSchedule


def _by_slug(made: Sequence[DeploymentSchedule | DeploymentScheduleCreate]) -> dict[str | None, Any]:
    return {schedule.slug: (schedule.schedule, schedule.parameters) for schedule in made}


def schedules(
    written: Sequence[dict[str, Any]], *, groups: Sequence[str], every: timedelta
) -> list[DeploymentScheduleCreate]:
    """The schedules of prefect.yaml. Each group gets its own offset, so that not all begin at once."""
    made = []
    for schedule in written:
        run = schedule["parameters"]["run"]
        if "group" not in run:
            made.append(_schedule(schedule["slug"], timedelta(seconds=schedule["interval"]), run))
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
