"""Takes one sample of a check. A check that fails to measure is not a breach: its sample is unknown, with the reason."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from paramedic.checks.check import Check, Sample
from paramedic.doors import measuring, reading
from paramedic.doors.transports import transport
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.probing import Question
from paramedic.machine.clock import boottime
from paramedic.remediation.target import Target
from paramedic.sampling import places
from paramedic.sampling.timed_look import within
from paramedic.text.address import host_and_port

log = logging.getLogger(__name__)

#: How long ago a heartbeat was last heard, by the clock that wrote it down; None if never.
LastHeard = Callable[[str], timedelta | None]


#: When an incident on this target last ended; None if never.
LastEnded = Callable[[str], datetime | None]


def sample(
    check: Check,
    target: Target,
    *,
    now: Callable[[], datetime],
    last_heard: LastHeard,
    last_ended: LastEnded = lambda _: None,
) -> Sample:
    """One sample, timed at its start. Never raises: a failed measurement has no values, and a reason."""
    at = now()
    try:
        question = Question(
            where=check.at(target),
            target=target,
            timeout=check.timeout,
            now=at,
            process_use=lambda: within(check.timeout, "process", reading.process_use, target),
            last_heard=last_heard,
            sessions=lambda: within(check.timeout, "sessions", reading.sessions, target),
            free_space=lambda: within(check.timeout, "free space", reading.free_space, target),
            options=check.options_at(target),
            readiness=lambda: within(check.timeout, "readiness", reading.readiness, target),
            window=check.window,
            deadline=boottime() + check.timeout.total_seconds(),
            transport=lambda: transport(target),
            ended_at=lambda: last_ended(target.id),
        )
        if check.asked_from:
            seen = places.looked(check, question)
        elif measuring.looks_by_transport(check.kind):
            what = f"{check.kind} {question.where} {dict(check.options)}"
            seen = within(check.timeout, what, lambda _: measuring.measured(check.kind, question), target)
        else:
            seen = measuring.measured(check.kind, question)
    except (TemporaryError, PermanentError) as error:
        return Sample(at, None, str(error))
    except Exception as error:  # the edge of one check: a fault in it is neither a breach nor the others' fault
        log.exception("the check %s could not measure %s", check.name, target.id)
        return Sample(at, None, f"the check itself failed: {type(error).__name__}: {error}")
    return Sample(at, seen.values, seen.why, seen.each)


def silent(address: str, timeout: timedelta) -> bool:
    """Whether a control address (`http://…`, `tcp://HOST:PORT`) does not answer. Any answer counts."""
    try:
        if address.startswith("tcp://"):
            return not reading.connect(*host_and_port(address), timeout).ok
        return reading.probe(address, timeout).status is None
    except (PermanentError, ValueError) as error:
        log.warning("the control probe %s failed: %s", address, error)
        return True
