"""A look at a cluster for people: who asks it, which version it is, how far its clock is from ours."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.kinds.cluster import Reply
from paramedic.machine.clock import boottime, utc_now
from paramedic.machine.clock_distance import ClockDistance
from paramedic.remediation.host import Host
from paramedic.text.sanitize import one_line
from paramedic.transports.kubernetes import Kubernetes, who

_WHOAMI = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has shown."""

    who: str  # how it logs in, in words
    user: str | None  # by which name; None: the cluster does not say it before Kubernetes 1.28
    version: str
    apart: timedelta  # its clock less ours; its `Date` has whole seconds
    round_trip: timedelta


def look(host: Host, within: timedelta) -> Seen:
    """Ask for its version and for our name. Raises TemporaryError or PermanentError where it does not let us in."""
    if host.kubernetes is None:
        raise PermanentError(f"{host.name} is no cluster")
    cluster, deadline = Kubernetes(host), boottime() + within.total_seconds()
    begun = boottime()
    reply = cluster.ask("GET", "/version", deadline)
    took = timedelta(seconds=boottime() - begun)
    version = _field(reply, "gitVersion")
    if reply.status == 401:
        raise PermanentError(f"the API server of {host.name} does not know who asks (401): {who(host.kubernetes)}")
    if reply.status != 200 or version is None:
        raise TemporaryError(f"the API server of {host.name} answered {reply.status}, and not which version it is")
    return Seen(
        who=who(host.kubernetes),
        user=_user(cluster, deadline),
        version=version,
        apart=_apart(reply.date, took),
        round_trip=took,
    )


def clock_distance(host: Host, deadline: float) -> ClockDistance:
    """How far the API server's clock is from ours, by the `Date` of one answer. Raises TemporaryError or PermanentError."""
    began, asked_at = boottime(), utc_now()
    reply = Kubernetes(host).ask("GET", "/version", deadline)
    took = timedelta(seconds=boottime() - began)
    try:
        theirs = parsedate_to_datetime(reply.date or "").astimezone(UTC)
    except ValueError as error:
        raise TemporaryError(f"the API server of {host.name} does not tell its time") from error
    return ClockDistance.of(theirs, asked_at, took, whole_seconds=True)


def _user(cluster: Kubernetes, deadline: float) -> str | None:
    try:
        reply = cluster.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", deadline, body=_WHOAMI)
    except OutcomeUnknown:  # a question that changes nothing: no answer is none
        return None
    return _field(reply, "status", "userInfo", "username") if reply.status in (200, 201) else None


def _apart(date: str | None, took: timedelta) -> timedelta:
    """How far its clock is ahead: as far as whole seconds tell it."""
    try:
        theirs = parsedate_to_datetime(date or "").astimezone(UTC)
    except ValueError:
        return timedelta(0)
    ours: datetime = utc_now() - took / 2
    apart = theirs - ours
    return timedelta(0) if abs(apart) < timedelta(seconds=1) else apart


def _field(reply: Reply, *path: str) -> str | None:
    try:
        found = json.loads(reply.text)
        for key in path:
            found = found[key]
    except (ValueError, KeyError, TypeError):
        return None
    return one_line(str(found))[:200]
