"""Which releases a target was seen to run, where its owner keeps no record of them: noted while it runs, read for a roll-back."""

from dataclasses import replace
from datetime import timedelta

from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.remediation.health import Sight
from paramedic.remediation.target import Target
from paramedic.store import Store, noted_releases

#: So long a health address may take to answer.
_HEALTH = timedelta(seconds=5)


def with_noted(store: Store, target: Target) -> Target:
    """The target with the releases that it was seen to run, where its kind's are noted. Raises StoreUnavailable."""
    if not reading.releases_are_noted(target):
        return target
    with store.read() as tx:
        return replace(target, noted=noted_releases.of(tx, target.id))


def seen(target: Target) -> tuple[str, bool] | None:
    """The release that the target runs now, and whether it is seen well with it; None where it does not run or tell.

    A health address that answers well shows that, where there is one; else its owner, if it tells as much.
    """
    try:
        identity = reading.identity(target)
        release, well = reading.noted_as(target, identity)
        if release is None or not reading.running(target, identity):
            return None
        if target.health is not None:
            well = reading.probe(target.health, _HEALTH).sight is Sight.WELL
        again = reading.identity(target)
    except (TemporaryError, PermanentError):
        return None
    return (release, well) if again.means(identity) else None
