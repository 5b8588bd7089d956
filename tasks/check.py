"""What do our own measurements say?"""

import logging
from datetime import timedelta

from paramedic import measurement
from paramedic.check import Placed, Sample
from paramedic.clock import boottime, utc_now
from paramedic.sampling import Eyes, Sampling, Seen
from paramedic.store import StoreUnavailable, checks, heartbeats, mass, messages
from tasks.scheduled import Round

log = logging.getLogger(__name__)


def checks_of(this: Round) -> list[Placed]:
    """The group's checks, each at each of its targets. A person hears of runbooks whose checks cannot be taken."""
    everything = this.library.placed()
    with this.store.record() as tx:
        this.still_ours(tx)
        if not this.library.problems:  # else what is missing may be back in a minute
            checks.retire(tx, [one for _, one in everything])
        else:
            messages.queue_trouble(
                tx,
                subject="Runbooks are refused, and their checks are not taken",
                body="\n".join(map(str, this.library.problems)),
                same_within_minutes=60,
            )
    return [one for group, one in everything if group == this.group]


def measure_until_the_next_round(this: Round, placed: list[Placed]) -> str:
    """Take every check as often as its runbook says, record what it saw, and raise its alert where it breaks."""
    with this.store.read() as tx:
        last = [(one, checks.sampled_at(tx, one)) for one in placed]
        ages = [(one, tx.now - at if at else None) for one, at in last]
        was_blind = mass.current(tx) == mass.BLIND
    timeout = this.settings.probe_timeout
    eyes = Eyes(this.settings.control_probes, lambda address: measurement.silent(address, timeout), blind=was_blind)

    def last_heard(name: str) -> timedelta | None:
        with this.store.read() as tx:
            return heartbeats.missing_for(tx, name)

    def look(one: Placed) -> Seen:
        began_at = boottime()
        sample = measurement.sample(one.check, one.target, now=utc_now, last_heard=last_heard)
        wrong = eyes.blind or not _well(one, sample)
        return Seen(sample, blind=wrong and eyes.blind_since(began_at))

    def record(one: Placed, seen: Seen) -> None:
        try:
            with this.store.record() as tx:
                this.still_ours(tx)
                checks.record(tx, one, seen.sample, blind=seen.blind, mass_limit=this.settings.mass_breach)
        except StoreUnavailable as error:  # one sample is lost: to whoever reads on, a gap
            log.warning("a sample of %s at %s could not be kept: %s", one.name, one.target.id, error)

    count = Sampling(look, record, go_on=this.go_on).run(ages, until=this.ends_at)
    return f"{count} samples of {len(placed)} checks"


def _well(one: Placed, sample: Sample) -> bool:
    """Whether this look alone shows nothing wrong."""
    if sample.values is None or sample.values.get("error"):
        return False
    told = one.check.metrics([sample])
    return all(each.holds(told[each.metric]) for each in one.check.thresholds if each.metric in told)
