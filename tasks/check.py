"""What do our own measurements say?"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from paramedic.alerts.alert import Severity
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.machine.clock import boottime, utc_now
from paramedic.sampling import one_sample
from paramedic.sampling.round_log import RoundLog
from paramedic.sampling.sampler import ControlProbes, Sampling, Seen
from paramedic.store import StoreUnavailable, checks, heartbeats, incidents, mass_failure, quiet_samples
from paramedic.store.wakeups import TRIAGE, notify
from paramedic.text.yaml_document import BadDocument
from tasks import run_cache
from tasks.run_log import say
from tasks.scheduled import Round

#: How often a round looks whether its checks have been edited.
_LIBRARY_SECONDS = 10.0


def checks_of(this: Round) -> list[CheckAtTarget]:
    """The group's checks, each at each of its targets; the gateway reports refused runbooks."""
    everything = this.library.placed()
    with this.store.record() as tx:
        this.still_ours(tx)
        if not this.library.problems:  # else what is missing may be back in a minute
            checks.retire(tx, [placed_check for _, placed_check in everything])
    return [placed_check for group, placed_check in everything if group == this.group]


class _Edited(Exception):
    """The group's checks have changed since the sampling began."""


def measure_until_the_next_round(this: Round, placed: list[CheckAtTarget]) -> str:
    """Take every check as often as its runbook says, record what it saw, and raise its alert where it breaks.

    A round may last for a day: what authors change meanwhile is in force within seconds.
    """
    count = 0
    seen = RoundLog(say)
    try:
        while True:
            try:
                return f"{count + _measure(this, placed, seen)} samples of {len(placed)} checks"
            except _Edited as edited:
                count += edited.args[0]
                placed = checks_of(this)
                say(f"its checks were edited: {len(placed)} are measured from now on")
    finally:
        seen.sum_up(len(placed))


def _measure(this: Round, placed: list[CheckAtTarget], round_log: RoundLog) -> int:
    """Sample until the round ends; returns the number of samples. Raises _Edited with that number."""
    with this.store.read() as tx:
        last = checks.last_sampled(tx)
        ages = [(placed_check, tx.now - at if (at := last.get(placed_check.key)) else None) for placed_check in placed]
        was_blind = mass_failure.current(tx) == mass_failure.BLIND
    timeout = this.settings.probe_timeout
    control_probes = ControlProbes(
        this.settings.control_probes, lambda address: one_sample.silent(address, timeout), blind=was_blind
    )

    def last_heard(name: str) -> timedelta | None:
        with this.store.read() as tx:
            return heartbeats.missing_for(tx, name)

    def last_ended(target: str) -> datetime | None:
        with this.store.read() as tx:
            return incidents.last_ended_at(tx, target)

    def look(placed_check: CheckAtTarget) -> Seen:
        began_at = boottime()
        check, target = placed_check.check, placed_check.target
        sample = one_sample.sample(check, target, now=utc_now, last_heard=last_heard, last_ended=last_ended)
        wrong = control_probes.blind or not _well(placed_check, sample)
        return Seen(sample, blind=wrong and control_probes.blind_since(began_at))

    samples_taken = 0
    looked_at = boottime()

    def record_and_count(some: Sequence[tuple[CheckAtTarget, Seen]]) -> None:
        nonlocal samples_taken
        samples_taken += len(some)
        _record_all(this, some, round_log)

    def go_on() -> None:
        nonlocal looked_at
        this.go_on()
        if boottime() - looked_at >= _LIBRARY_SECONDS:
            looked_at = boottime()
            if _edited(this, placed):
                raise _Edited(samples_taken)

    sampling = Sampling(look, record_and_count, go_on=go_on, most=quiet_samples.MOST)
    return sampling.run(ages, until=this.ends_at)


def _record_all(this: Round, some: Sequence[tuple[CheckAtTarget, Seen]], round_log: RoundLog) -> None:
    """Record them, and say what has changed. Raises GivenUp where another run has the round."""
    for (placed, seen), kept in zip(some, _record_quiet(this, some), strict=True):
        try:
            recorded = kept or _record(this, placed, seen)
            round_log.see(placed, recorded)
        except StoreUnavailable as error:  # one sample is lost: to whoever reads on, a gap
            round_log.lose(placed, str(error))
        else:
            _wake_triage(this, recorded)


def _record_quiet(this: Round, some: Sequence[tuple[CheckAtTarget, Seen]]) -> list[checks.Recorded | None]:
    """Record, where there are several, those after which all is as it was; None of each that has to be recorded by itself."""
    alone: list[checks.Recorded | None] = [None] * len(some)
    if len(some) == 1 or any(seen.blind for _, seen in some):
        return alone
    try:
        with this.store.write() as tx:
            this.still_ours(tx)
            return quiet_samples.record_quiet(tx, [(placed, seen.sample) for placed, seen in some])
    except StoreUnavailable:
        return alone


def _record(this: Round, placed: CheckAtTarget, seen: Seen) -> checks.Recorded:
    """Record the sample, and what follows from it. Raises StoreUnavailable, and GivenUp where another run has the round."""
    with this.store.write() as tx:
        this.still_ours(tx)
        kept = checks.record_without_trail(tx, placed, seen.sample, blind=seen.blind)
    if kept is not None:
        return kept
    with this.store.record() as tx:
        this.still_ours(tx)
        return checks.record(tx, placed, seen.sample, blind=seen.blind, mass_limit=this.settings.mass_breach)


def _wake_triage(this: Round, recorded: checks.Recorded) -> None:
    """Have alerts decided now, and not at triage's next poll."""
    if recorded.alerts:
        critical = any(alert.severity is Severity.CRITICAL for alert in recorded.alerts)
        notify(this.store, TRIAGE, {"critical": critical})


def _edited(this: Round, placed: list[CheckAtTarget]) -> bool:
    """Whether the group's checks have changed; the round's library is then today's."""
    try:
        now = run_cache.library(this.settings)
    except BadDocument:
        return False  # nothing that could be measured instead; the gateway tells a person
    if [placed_check for group, placed_check in now.placed() if group == this.group] == placed:
        return False
    this.library = now
    return True


def _well(placed_check: CheckAtTarget, sample: Sample) -> bool:
    """Whether this sample alone is inside every bound. What a subject does, such as an address, says nothing of our own sight."""
    if sample.values is None or sample.values.get("error"):
        return False
    values = placed_check.check.metrics([sample])
    of_target = [each for each in placed_check.check.thresholds if placed_check.check.by(each.metric) is None]
    return all(each.holds(values[each.metric]) for each in of_target if each.metric in values)
