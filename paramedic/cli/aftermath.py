"""What follows a person's word that an incident is over, while its alerts still fire."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from paramedic.alerts.alert import Status
from paramedic.checks.check import SOURCE

#: Alertmanager's own `repeat_interval`, where its configuration names no other.
_REPEAT_INTERVAL = timedelta(hours=4)


def what_follows(alerts: Sequence[Mapping[str, Any]], *, since: datetime, now: datetime) -> list[str]:
    """One sentence for each alert that still fires; `alerts` are the incident's, `since` is when it was last opened.

    A person's resolution covers what its alerts have said until now: each opens a new incident by its next report.
    """
    return list(_sentences([alert for alert in alerts if alert["last_seen"] >= since], now))


def _sentences(alerts: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    for alert in alerts:
        if alert["status"] != Status.FIRING:
            continue
        if alert["source"] == SOURCE:
            yield f"{alert['name']} is still measured as broken: if it is by samples from now on, a new incident opens"
            continue
        at = alert["last_seen"] + _REPEAT_INTERVAL
        latest = f", at the latest {at:%Y-%m-%d %H:%M} UTC by Alertmanager's default of 4h" if at > now else ""
        yield (
            f"{alert['name']} still fires, last said {alert['last_seen']:%H:%M:%S} UTC: silence until its sender repeats "
            f"it{latest}; it opens a new incident then"
        )
