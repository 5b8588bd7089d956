"""Schedules in Prefect: one for each group of checks, from prefect.yaml; and when the next round is due by them."""

import math
from collections.abc import Iterable, Sequence
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


def next_due(made: Iterable[DeploymentSchedule], now: datetime) -> datetime | None:
    """When the first of the active schedules is next due; None where none is active. All of them are intervals."""
    active = [each.schedule for each in made if each.active and isinstance(each.schedule, IntervalSchedule)]
    # in seconds: Prefect's moments are of a class of its own, whose differences do not know every operator of a timedelta
    grids = [(each.anchor_date.timestamp(), each.interval.total_seconds()) for each in active]
    due = [anchor + math.ceil((now.timestamp() - anchor) / period) * period for anchor, period in grids]
    return datetime.fromtimestamp(min(due), UTC) if due else None


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
